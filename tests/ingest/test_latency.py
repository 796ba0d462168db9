"""How long people waited for a slide."""

from datetime import UTC, datetime

import pytest
from vsv.ingest.latency import scan_to_viewable, transfer
from vsv.records.models import ImportRecord, ImportState, SlideRecord

STARTED = "2026-11-21T10:00:00.000000Z"
NOW = datetime(2026, 11, 21, 10, 30, tzinfo=UTC)
RUN = ImportRecord(
    filename="a.svs", size=1, state=ImportState.IMPORTING, run_id="r", started_at=STARTED, updated_at=STARTED
)


def slide(scan_date: str | None) -> SlideRecord:
    return SlideRecord(
        image_id="1",
        filename="a.svs",
        width=1,
        height=1,
        file_size=1,
        last_modified=STARTED,
        scan_date=scan_date,
    )


def test_transfer_time_starts_at_the_announcement() -> None:
    assert transfer(RUN, NOW) == 30


@pytest.mark.parametrize(
    ("scan_date", "waited"),
    [
        ("2026-11-21T09:45:00+00:00", 45),
        ("2026-11-21T02:45:00-07:00", 45),
        ("2026-11-20T10:00:00+00:00", 24 * 60 + 30),
        ("2026-11-20T09:59:59+00:00", 30),  # an archive's slide
        ("2026-11-21T10:01:00+00:00", 30),  # a clock that is wrong
        ("2026-11-21T09:45:00", 30),  # nobody knows in which zone
        ("yesterday", 30),
        (None, 30),
    ],
)
def test_scan_to_viewable_starts_at_recent_scan_time_with_zone(scan_date: str | None, waited: float) -> None:
    assert scan_to_viewable(RUN, slide(scan_date), NOW) == waited
