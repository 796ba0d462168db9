"""Measure how many damaged labels each barcode reader reads, how many texts are wrong, and the time per label.

Run from the repository's root: ``python -m benchmarks.barcodes [--count 260] [--blank 160] [--seed 1] [--json]``.
"""

import argparse
import json
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openslide
import zxingcpp
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent.parent / "functions"))

from vsv.barcodes.reader import libdmtx_missing, read_codes

from benchmarks.blank_labels import blank_label
from benchmarks.label_images import DAMAGES, FORMAT_TURNS, FORMATS, SELDOM_FORMATS, Label, make_label

REAL_SLIDE = Path(__file__).parent.parent.parent / "shared" / "data" / "CMU-1-Small-Region.svs"
OUTSIDE = "outside frame"
ALL_FORMATS = zxingcpp.BarcodeFormats(list((FORMATS | SELDOM_FORMATS).values()))
Reader = Callable[[Image.Image], list[str]]


@dataclass(frozen=True)
class Outcome:
    """One reader's result for one label."""

    damage: str
    kind: str
    right: bool
    wrong: str | None
    seconds: float


def zxing_plain(image: Image.Image) -> list[str]:
    """Read with zxing-cpp and its default options."""
    return [code.text for code in zxingcpp.read_barcodes(image, formats=ALL_FORMATS)]


def zxing_retried(image: Image.Image) -> list[str]:
    """Read with zxing-cpp alone and four simple retries, taking the first text."""
    grey = image.convert("L")
    values = np.asarray(grey, np.float32)
    stretched = Image.fromarray(((values - values.min()) * 255 / max(1.0, np.ptp(values))).astype(np.uint8))
    double = grey.resize((grey.width * 2, grey.height * 2), Image.Resampling.BICUBIC)
    half = grey.resize((max(1, grey.width // 2), max(1, grey.height // 2)), Image.Resampling.BOX)
    for picture in (image, stretched, double, half, grey.rotate(45, Image.Resampling.BICUBIC, expand=True)):
        if texts := zxing_plain(picture):
            return texts
    return []


def libdmtx_alone(image: Image.Image) -> list[str]:
    """Read with libdmtx within one second."""
    from pylibdmtx import pylibdmtx  # noqa: PLC0415 - the library may be missing

    found = pylibdmtx.decode(image.convert("L"), timeout=1000, max_count=1, shrink=2)
    return [code.data.decode("latin-1") for code in found]


def ours(image: Image.Image) -> list[str]:
    """Read with the product's own reader."""
    return [code.text for code in read_codes(image)]


def readers() -> dict[str, Reader]:
    """Return the readers to compare, without libdmtx where it is not installed."""
    found: dict[str, Reader] = {"zxing": zxing_plain, "retries": zxing_retried}
    if libdmtx_missing() is None:
        found["libdmtx"] = libdmtx_alone
    return found | {"read_label": ours}


def measure(reader: Reader, label: Label) -> Outcome:
    """Read one label; every text must be on it."""
    before = time.perf_counter()
    texts = reader(label.image)
    seconds = time.perf_counter() - before
    allowed = {label.text, *label.others}
    wrong = next((text for text in texts if text not in allowed), None)
    return Outcome(label.damage, label.format, label.text in texts, wrong, seconds)


def run(count: int, seed: int, strength: float, turns: tuple[str, ...]) -> dict[str, list[Outcome]]:
    """Draw ``count`` labels, evenly over the kinds of damage, and show each to every reader."""
    outcomes: dict[str, list[Outcome]] = defaultdict(list)
    names = list(DAMAGES)
    for number in range(count):
        label = make_label(number // len(names), names[number % len(names)], seed, strength, turns)
        for name, reader in readers().items():
            outcomes[name].append(measure(reader, label))
    return outcomes


def false_reads(count: int, seed: int) -> tuple[int, list[str], float]:
    """Show ``read_codes`` images without a code; return their number, the texts read, and the longest time."""
    images = [blank_label(number, seed) for number in range(count)]
    if REAL_SLIDE.exists():
        images.append(openslide.OpenSlide(REAL_SLIDE).associated_images["label"])
    texts, longest = [], 0.0
    for image in images:
        before = time.perf_counter()
        texts += ours(image)
        longest = max(longest, time.perf_counter() - before)
    return len(images), texts, longest


def line(
    title: str, outcomes: dict[str, list[Outcome]], chosen: Callable[[Outcome], bool]
) -> dict[str, object]:
    """Return the figures of the labels that ``chosen`` picks: how many each reader read, and the product's times."""
    picked = {name: [o for o in group if chosen(o)] for name, group in outcomes.items()}
    times = [outcome.seconds for outcome in picked["read_label"]]
    row: dict[str, object] = {"labels": title, "count": len(times)}
    row |= {name: sum(o.right for o in group) for name, group in picked.items()}
    row |= {"wrong": sum(o.wrong is not None for o in picked["read_label"])}
    return row | {"median_s": round(statistics.median(times), 3), "max_s": round(max(times), 2)}


def table(outcomes: dict[str, list[Outcome]]) -> list[dict[str, object]]:
    """Return the lines to print: per damage, per kind of code, and for all labels inside the frame."""
    seen = {outcome.damage for outcome in outcomes["read_label"]}
    rows = [line(d, outcomes, lambda o, d=d: o.damage == d) for d in DAMAGES if d in seen]
    kinds = {outcome.kind for outcome in outcomes["read_label"] if outcome.damage != OUTSIDE}
    rows += [
        line(f"all {k}", outcomes, lambda o, k=k: o.kind == k and o.damage != OUTSIDE)
        for k in FORMATS | SELDOM_FORMATS
        if k in kinds
    ]
    return [*rows, line("ALL INSIDE", outcomes, lambda o: o.damage != OUTSIDE)]


def report(outcomes: dict[str, list[Outcome]], blank: tuple[int, list[str], float]) -> None:
    """Print the table for people."""
    rows = table(outcomes)
    print("".join(f"{name:>17}" if i == 0 else f"{name:>11}" for i, name in enumerate(rows[0])))
    for row in rows:
        print(
            "".join(f"{value!s:>17}" if i == 0 else f"{value!s:>11}" for i, value in enumerate(row.values()))
        )
    inside = rows[-1]
    print(
        "share".rjust(28)
        + "".join(f"{int(str(inside[n])) / int(str(inside['count'])):>11.1%}" for n in outcomes)
    )
    for name, group in outcomes.items():
        print(f"wrong texts, {name}: {[outcome.wrong for outcome in group if outcome.wrong is not None]}")
    print(f"without a barcode: {blank[0]} images, read {blank[1]}, at most {blank[2]:.2f} s")
    print(f"libdmtx: {libdmtx_missing() or 'present'}")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=260, help="labels with a barcode")
    parser.add_argument("--blank", type=int, default=160, help="images without one")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--strength", type=float, default=1.0, help="of the damage; 0.5 is half")
    parser.add_argument("--seldom", action="store_true", help="formats that are seldom on labels")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of a table")
    options = parser.parse_args()
    outcomes, blank = (
        run(
            options.count,
            options.seed,
            options.strength,
            tuple(SELDOM_FORMATS) if options.seldom else FORMAT_TURNS,
        ),
        false_reads(options.blank, options.seed),
    )
    if options.json:
        print(json.dumps({"rows": table(outcomes), "blank": blank[0], "false": blank[1], "max_s": blank[2]}))
    else:
        report(outcomes, blank)


if __name__ == "__main__":
    main()
