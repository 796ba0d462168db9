"""Compare the libraries that can decode Aperio's JPEG 2000 tiles: their abilities, accuracy and speed.

    PYTHONPATH=functions .venv-peers/bin/python -m benchmarks.openjpeg_libraries [--rounds N] [--source SLIDE]

Two tiles of 256×256 pixels are decoded: ``tests/data/tile_422.j2k`` (YCbCr, chroma of half the width) and one of a
real slide's pixels, coded by Pillow as Aperio codes 33005 (RGB, transformed, 9/7); without the file of ``--source``,
the first tile's light replaces those pixels. A library that is not installed is skipped: imagecodecs and PyAV need
Python 3.12, so make ``.venv-peers`` with 3.13, which Lambda has. Each library's abilities are tested, not looked up.
"""

import argparse
import contextlib
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from vsv.errors import CorruptTileError
from vsv.formats.jpeg2000 import read_codestream

from benchmarks.jpeg2000_libraries import LIBRARIES, Decoder, UnsupportedError, rgb_tile
from benchmarks.measured import run

TILE_422 = Path(__file__).resolve().parents[1] / "tests/data/tile_422.j2k"
REAL_SLIDE = Path(__file__).resolve().parents[2] / "shared/data/CMU-1-Small-Region.svs"
SIDE_PX = 256
ROUNDING = 2
REDUCTIONS = range(6)
TIMED = range(4)
TILES_A_ROUND = 40
HOSTILE_TILES = 600
# Another thread takes a free lock some hundred times in the milliseconds of a tile.
TURNS_OF_A_FREE_LOCK = 20
# No thread is asked to give up the lock within a round.
NEVER_S = 1000.0

Planes = list[npt.NDArray[np.uint8]]


def main() -> None:
    """Print the table, or decode hostile tiles with one library."""
    options = _options()
    data = {"4:2:2": TILE_422.read_bytes(), "RGB": rgb_tile(options.source, SIDE_PX)}
    if options.hostile:
        _decode_hostile(LIBRARIES[options.hostile].load(), data)
        return
    print(f"{platform.machine()}, Python {platform.python_version()}; {len(data['RGB'])} bytes of RGB")
    expected = LIBRARIES["vsv (Pillow's libopenjp2)"].load()
    head = (
        "reduced",
        "4:2:2",
        "as coded",
        "apart",
        "ms 1/1",
        "1/2",
        "1/4",
        "1/8",
        "4:2:2",
        "turns",
    )
    print(" | ".join(("library", "version", "released", "licence", "MB", "aarch64, 3.13", *head, "hostile")))
    for name, library in LIBRARIES.items():
        try:
            decode = library.load()
        except ImportError as error:
            print(f"{name} | skipped: {error}")
            continue
        cells = [*library.facts(), *_abilities(decode, expected, data), *_times(decode, data, options.rounds)]
        print(" | ".join((name, *cells, _hostile(name, options.source))), flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--source", type=Path, default=REAL_SLIDE, help="the slide whose pixels are coded")
    parser.add_argument("--rounds", type=int, default=7, help="how often each is timed")
    parser.add_argument("--hostile", choices=LIBRARIES, help="decode damaged tiles with this library alone")
    return parser.parse_args()


def _abilities(decode: Decoder, expected: Decoder, data: dict[str, bytes]) -> Iterator[str]:
    """Yield whether a library reduces, keeps chroma as stored, leaves out the transform, and its accuracy."""
    cases = [(name, reduce, False) for name in data for reduce in REDUCTIONS] + [("RGB", 0, True)]
    found = {case: _tried(decode, data[case[0]], *case[1:]) for case in cases}
    wanted = {case: [*expected(data[case[0]], *case[1:])] for case in cases}
    comparable = [case for case in cases if _same_shapes(found[case], wanted[case])]
    reduced = [reduce for name, reduce, _ in comparable if name == "RGB"]
    yield f"0 to {max(reduced)}" if max(reduced) else "no"
    yield _chroma(found["4:2:2", 0, False], wanted["4:2:2", 0, False])
    yield "yes" if found["RGB", 0, True] else "no"
    yield str(max(_largest_difference(found[case] or [], wanted[case]) for case in comparable))


def _tried(decode: Decoder, data: bytes, reduce: int, as_coded: bool) -> Planes | None:
    try:
        return [np.asarray(plane) for plane in decode(data, reduce, as_coded)]
    except UnsupportedError:
        return None


def _same_shapes(found: Planes | None, wanted: Planes) -> bool:
    return found is not None and [plane.shape for plane in found] == [plane.shape for plane in wanted]


def _chroma(found: Planes | None, wanted: Planes) -> str:
    """Return how a library returns subsampled chroma; light that differs was converted to red."""
    if found is None:
        return "refused"
    if _same_shapes(found, wanted):
        return "as stored"
    return "upsampled" if _largest_difference(found[:1], wanted[:1]) <= ROUNDING else "made RGB"


def _largest_difference(found: Planes, wanted: Planes) -> int:
    pairs = zip(found, wanted, strict=True)
    return max(int(np.abs(plane.astype(int) - other).max()) for plane, other in pairs)


def _times(decode: Decoder, data: dict[str, bytes], rounds: int) -> Iterator[str]:
    """Yield milliseconds of RGB at full size, 1/2, 1/4 and 1/8, of 4:2:2, and turns."""
    for name, reduce in [*(("RGB", reduce) for reduce in TIMED), ("4:2:2", 0)]:
        if _tried(decode, data[name], reduce, False) is None:
            yield "–"
            continue
        yield f"{min(_cpu_ms(lambda n=name, r=reduce: decode(data[n], r, False)) for _ in range(rounds)):.2f}"

    def tiles() -> None:
        for _ in range(TILES_A_ROUND):
            decode(data["RGB"], 0, False)

    turns = _turns(tiles) / TILES_A_ROUND
    yield f"{turns:.0f} ({'free' if turns >= TURNS_OF_A_FREE_LOCK else 'held'})"


def _cpu_ms(work: Callable[[], object]) -> float:
    start = time.process_time()
    for _ in range(TILES_A_ROUND):
        work()
    return (time.process_time() - start) * 1000 / TILES_A_ROUND


def _turns(work: Callable[[], None]) -> int:
    """Count how often this thread gets the interpreter's lock while another works and never gives it up by itself."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(NEVER_S)
    try:
        thread = threading.Thread(target=work)
        thread.start()
        turns = 0
        while thread.is_alive():
            time.sleep(0)
            turns += 1
        return turns
    finally:
        sys.setswitchinterval(before)


def _hostile(name: str, source: Path) -> str:
    command = [
        sys.executable,
        "-m",
        "benchmarks.openjpeg_libraries",
        "--hostile",
        name,
        "--source",
        str(source),
    ]
    try:
        return f"survived, {run(command).peak_mib:.0f} MiB"
    except subprocess.CalledProcessError as error:
        return f"ended with {error.returncode}"


def _decode_hostile(decode: Decoder, data: dict[str, bytes]) -> None:
    random = np.random.default_rng(0)
    for index in range(HOSTILE_TILES):
        spoiled = bytearray(data["RGB" if index % 2 else "4:2:2"])
        for where, value in zip(random.random(6) ** 2, random.integers(0, 256, 6), strict=True):
            spoiled[int(where * len(spoiled))] = value
        cut = (
            bytes(spoiled[: int(random.integers(len(spoiled) // 2, len(spoiled)))])
            if index % 3
            else bytes(spoiled)
        )
        try:
            read_codestream(cut, SIDE_PX)
        except CorruptTileError:
            continue
        with contextlib.suppress(
            Exception
        ):  # each library has exceptions of its own; only the end of the process counts
            decode(cut, 0, False)


if __name__ == "__main__":
    main()
