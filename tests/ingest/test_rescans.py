"""A rescan of a deleted slide is a new slide that knows which one it replaces."""

from pathlib import Path

import pytest
from vsv.barcodes.reader import Barcode
from vsv.records.models import SlideRecord, Status
from vsv.workflow.transitions import Decider, change

from tests.support.servers.running import Site
from tests.support.slides.aperio import Plan, write_slide
from tests.support.slides.small import slide_bytes
from tests.support.stores.store_records import slide

ADMIN = Decider("Eve", is_admin=True)


@pytest.fixture(autouse=True)
def label(monkeypatch: pytest.MonkeyPatch) -> list[Barcode | None]:
    """Patch the barcode reader; return the list of results for the next labels."""
    read: list[Barcode | None] = [None]
    monkeypatch.setattr("vsv.ingest.extraction.read_codes", lambda _image, _fits: filter(None, read))
    return read


def delete(site: Site, image_id: str) -> None:
    change(site.services, image_id, {"status": Status.DELETED}, ADMIN)


def newest(site: Site, known: set[str]) -> SlideRecord:
    (record,) = (record for record in site.records() if record.image_id not in known)
    return record


def test_rescan_with_same_filename_records_deleted_predecessor(site: Site) -> None:
    assert site.bring("a.svs", slide_bytes()) == 200
    (first,) = site.records()
    assert first.predecessor is None
    delete(site, first.image_id)
    assert site.bring("a.svs", slide_bytes() + b"rescan") == 200
    second = newest(site, {first.image_id})
    assert (second.predecessor, second.status) == (first.image_id, Status.NEW)
    stored = site.services.slides.get(first.image_id)
    assert stored
    assert stored.status is Status.DELETED


def test_rescan_with_same_barcode_records_latest_deleted_predecessor(
    site: Site, label: list[Barcode | None], tmp_path: Path
) -> None:
    code = Barcode("S26-0007-A1", "DataMatrix", "zxing")
    for image_id, fields in {
        "gone": {"status": Status.DELETED, "deleted_at": "2026-11-20T00:00:00.000000Z"},
        "gone-since": {"status": Status.DELETED, "deleted_at": "2026-11-21T00:00:00.000000Z"},
        "kept": {},
        "other": {
            "status": Status.DELETED,
            "barcode": "S26-0007-B1",
            "deleted_at": "2026-11-22T00:00:00.000000Z",
        },
    }.items():
        site.services.slides.put_new(
            slide(image_id, **{"case_id": "S26-0007", "barcode": code.text, **fields})
        )
    label[0] = code
    path = write_slide(tmp_path / "x.svs", Plan(600, 500, 240))
    assert site.bring("b.svs", path.read_bytes()) == 200
    assert newest(site, {"gone", "gone-since", "kept", "other"}).predecessor == "gone-since"


def test_second_scan_of_kept_slide_records_no_predecessor(site: Site) -> None:
    assert site.bring("a.svs", slide_bytes()) == 200
    (first,) = site.records()
    assert site.bring("a.svs", slide_bytes() + b"again") == 200
    assert newest(site, {first.image_id}).predecessor is None
