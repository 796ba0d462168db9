"""Import a folder of foreign files, compare tiles with other readers, and print a table: scripts/try-files FOLDER.

Each file is imported and compared in processes of its own, into a data folder that is thrown away, so that a crash
of a C library, or a file that takes too long, is one row of the table.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from vsv.identifiers import SLIDE_SUFFIXES

from benchmarks.bounded_process import Bounds, End, run

# Formats that are tried whether or not they can be imported: a refusal should name them.
SUFFIXES = frozenset(
    (*SLIDE_SUFFIXES, ".mrxs", ".vms", ".vmu", ".dcm", ".czi", ".btf", ".tf8", ".jp2", ".vsi")
)
# Results that end the command with status 1.
BAD = frozenset(("wrong", "crash", "too slow"))
_REFUSED = frozenset((0, 1))  # the statuses of ``vsv import``: 1 where a file is refused
_VSV = str(Path(sys.executable).with_name("vsv"))
_DEFAULT = Bounds()
_UNTRIED = "not tried"


@dataclass(frozen=True, slots=True)
class Tried:
    """A row of the table: what became of a file, in which words, and after how many seconds."""

    name: str
    size: int
    result: str
    words: str
    seconds: float


def try_folder(folder: Path, bounds: Bounds) -> Iterator[Tried]:
    """Try each image of a folder and of the folders in it, one after the other."""
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in SUFFIXES and path.is_file():
            yield try_file(path, str(path.relative_to(folder)), bounds)


def try_file(path: Path, name: str, bounds: Bounds) -> Tried:
    """Import a file into a data folder of its own, compare its tiles, and throw the folder away."""
    size = path.stat().st_size
    if size > bounds.size_mb << 20:
        return Tried(name, size, _UNTRIED, f"larger than {bounds.size_mb} MB", 0.0)
    with TemporaryDirectory(prefix="vsv-try-") as scratch:
        data = Path(scratch) / "data"
        imported = run([_VSV, "import", str(path), "--data", str(data), "--json"], bounds, _REFUSED)
        result, words = _outcome(imported)
        if result != "OK":
            return Tried(name, size, result, words, imported.seconds)
        compared = run([sys.executable, "-m", "benchmarks.tried_file", str(data), str(path)], bounds)
        result, words = _verdict(compared)
        return Tried(name, size, result, words, imported.seconds + compared.seconds)


def _outcome(end: End) -> tuple[str, str]:
    """Return what ``vsv import --json`` says of its only file: OK, refused, or how it ended."""
    if end.trouble is not None:
        return _trouble(end.trouble)
    try:
        (item,) = json.loads(end.output)
    except ValueError:
        return "crash", "crash: no answer"
    return ("OK", "") if item["Outcome"] == "OK" else ("refused", str(item["Error"]))


def _verdict(end: End) -> tuple[str, str]:
    if end.trouble is not None:
        return _trouble(end.trouble)
    found = json.loads(end.output)
    return found["result"], found["words"]


def _trouble(words: str) -> tuple[str, str]:
    return ("crash" if words.startswith("crash") else "too slow"), words


def table(rows: Iterable[Tried]) -> Iterator[str]:
    """Yield the lines of the table as they are known."""
    yield "| file | bytes | result | in which words | s |"
    yield "|---|---:|---|---|---:|"
    for row in rows:
        words = row.words.replace("|", "\\|").replace("\n", " ")
        yield f"| {row.name} | {row.size:,} | {row.result} | {words} | {row.seconds:.1f} |"


def main() -> None:
    """Print the table, or JSON, and end with status 1 where a result is bad."""
    parser = argparse.ArgumentParser(prog="scripts/try-files", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, default=_DEFAULT.seconds, help="for each file (%(default)s)")
    parser.add_argument(
        "--memory-mb", type=int, default=_DEFAULT.memory_mb, help="for each file (%(default)s)"
    )
    parser.add_argument("--size-mb", type=int, default=_DEFAULT.size_mb, help="of each file (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON in place of the table")
    options = parser.parse_args()
    rows: list[Tried] = []

    def noted() -> Iterator[Tried]:
        for row in try_folder(options.folder, Bounds(options.seconds, options.memory_mb, options.size_mb)):
            rows.append(row)
            yield row

    if options.json:
        print(json.dumps([asdict(row) for row in noted()], indent=2))
    else:
        for line in table(noted()):
            print(line, flush=True)
    sys.exit(summarize(rows))


def summarize(rows: list[Tried]) -> int:
    """Print how many files have each result, and return the exit status."""
    counts = {
        result: sum(row.result == result for row in rows) for result in dict.fromkeys(r.result for r in rows)
    }
    print(
        ", ".join(f"{count} {result}" for result, count in counts.items()) or "no image here", file=sys.stderr
    )
    return int(not BAD.isdisjoint(counts))


if __name__ == "__main__":
    main()
