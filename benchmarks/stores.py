"""Time pages of a store of many slides and of one of few: first, middle and last page, a search, the counts.

    .venv/bin/python -m benchmarks.stores [--rows 1000000] [--beside 10000] [--folder DIR]

Fills an SQLite file with rows as imports leave them (in one transaction, which imports do not have), then reads
through the same code as the server. Times are the median of some reads of pages of 20, in milliseconds.
"""

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from vsv.records.models import SlideRecord, Status
from vsv.records.review_index import writes
from vsv.records.stores import Page, SlideQuery

from vsv_local.stores import review_index
from vsv_local.stores.sqlite_records import SqliteSlideStore, open_database

READS = 15
BEGUN = datetime(2016, 1, 4, 7, tzinfo=UTC)
# As in a lab: nearly all sent, some waiting.
SHARES = {
    Status.SENT: 0.90,
    Status.ARCHIVED: 0.05,
    Status.GOOD: 0.02,
    Status.NEW: 0.01,
    Status.BAD: 0.01,
    Status.DELETED: 0.005,
    Status.PUBLISHED: 0.005,
}


def slides(rows: int) -> Iterator[SlideRecord]:
    """Yield this many slides: cases of four, a scan every few minutes, IDs in no order of time."""
    chance = random.Random(1)
    statuses = chance.choices(list(SHARES), list(SHARES.values()), k=rows)
    for number, status in enumerate(statuses):
        scanned = BEGUN + timedelta(seconds=280 * number)
        case_id = f"S{scanned:%y}-{number // 4:06d}"
        yield SlideRecord(
            image_id=f"{chance.getrandbits(40):010x}{number:07d}",
            slide_id=f"{case_id}-A{number % 4 + 1}",
            case_id=case_id,
            filename=f"{number:07d}.svs",
            status=status,
            scan_date=scanned.isoformat(),
            app_mag="40",
            mpp=0.2498,
            width=92000,
            height=65828,
            file_size=1 << 30,
            last_modified=scanned.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        )


def fill(path: Path, rows: int) -> float:
    """Write the rows and return the seconds that writing took."""
    begun = time.perf_counter()
    with open_database(path) as database, database.writing() as connection:
        connection.execute("PRAGMA cache_size = -400000")
        for record in slides(rows):
            item = record.to_item()
            connection.execute(
                "INSERT INTO slides (image_id, sort_id, case_id, filename, status, item) VALUES (?, ?, ?, ?, ?, ?)",
                (
                    record.image_id,
                    record.slide_id,
                    record.case_id,
                    record.filename,
                    record.status,
                    json.dumps(item, separators=(",", ":")),
                ),
            )
            review_index.apply(connection, writes(None, item))
    return time.perf_counter() - begun


Read = Callable[[int, str | None], Page[Any]]


def reads(store: Any, rows: int) -> dict[str, Read]:
    """Return the reads to measure: each reads a page after a token."""
    middle = slide_at(rows, rows // 2)
    case = middle.case_id or ""
    return {
        "all slides": store.list_all,
        "status SENT": partial(store.by_status, Status.SENT),
        "search, newest first": partial(store.search, SlideQuery()),
        "search, newest GOOD": partial(store.search, SlideQuery(status=Status.GOOD)),
        "search of all that begins with S": partial(store.search, SlideQuery("s")),
        "search of a case": partial(store.search, SlideQuery(case)),
        "search of one filename": partial(store.search, SlideQuery(middle.filename)),
        "search of what is not there": partial(store.search, SlideQuery("nothing")),
        "cases": store.list_cases,
        "history": partial(store.history, middle.image_id),
    }


def slide_at(rows: int, number: int) -> SlideRecord:
    """Return one of the slides."""
    return next(record for at, record in enumerate(slides(rows)) if at == number)


def median_ms(read: Callable[[], Any]) -> float:
    """Return the median time of some reads."""
    times = []
    for _ in range(READS):
        begun = time.perf_counter()
        read()
        times.append(time.perf_counter() - begun)
    return statistics.median(times) * 1000


def places(read: Read) -> list[str | None]:
    """Return the tokens of the first, a middle and the last page."""
    tokens: list[str | None] = [None]
    while (token := read(1000, tokens[-1]).next_token) is not None:
        tokens.append(token)
    return [tokens[0], tokens[len(tokens) // 2], tokens[-1]]


def measure(store: Any, rows: int) -> dict[str, list[float]]:
    """Return the milliseconds of each list's first, middle and last page."""
    found = {
        name: [median_ms(partial(read, 20, token)) for token in places(read)]
        for name, read in reads(store, rows).items()
    }
    return found | {"counts of each status": [median_ms(store.counts)]}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--beside", type=int, default=10_000)
    parser.add_argument("--folder", type=Path, help="where the files go; a temporary folder if not given")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        few, many = (_sqlite(folder, rows) for rows in (options.beside, options.rows))
    print(f"\n{'pages of 20, ms':32}{f'{options.beside:,} rows':>24}   |{f'{options.rows:,} rows':>24}")
    print(f"{'':32}" + "   |".join(["".join(f"{place:>8}" for place in ("first", "middle", "last"))] * 2))
    for name, times in many.items():
        print(f"{name:32}" + "   |".join(_columns(shown) for shown in (few[name], times)))


def _columns(times: list[float]) -> str:
    return "".join(f"{ms:8.2f}" for ms in times).ljust(24)


def _sqlite(folder: Path, rows: int) -> dict[str, list[float]]:
    path = folder / f"stores-{rows}.sqlite"
    if not path.exists():
        part = path.with_suffix(".part")
        part.unlink(missing_ok=True)
        seconds = fill(part, rows)
        part.rename(path)  # so that a file of an interrupted run is not mistaken for a complete one
        print(f"{rows:,} rows in {seconds:.0f} s, {path.stat().st_size / 1e6:.0f} MB", flush=True)
    with open_database(path) as database:
        return measure(SqliteSlideStore(database), rows)


if __name__ == "__main__":
    main()
