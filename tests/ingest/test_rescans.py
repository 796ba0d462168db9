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
    """Give what is read on the next labels."""
    read: list[Barcode | None] = [None]
    monkeypatch.setattr("vsv.ingest.extraction.read_label", lambda _image: read[0])
    return read


def delete(services: Site, image_id: str) -> None:
    change(services.services, image_id, {"status": Status.DELETED}, ADMIN)


def newest(services: Site, known: set[str]) -> SlideRecord:
    (record,) = (record for record in services.records() if record.image_id not in known)
    return record


def test_rescan_with_same_filename_records_deleted_predecessor(services: Site) -> None:
    assert services.bring("a.svs", slide_bytes()) == 200
    (first,) = services.records()
    assert first.predecessor is None
    delete(services, first.image_id)
    assert services.bring("a.svs", slide_bytes() + b"rescan") == 200
    second = newest(services, {first.image_id})
    assert (second.predecessor, second.status) == (first.image_id, Status.NEW)
    stored = services.services.slides.get(first.image_id)
    assert stored
    assert stored.status is Status.DELETED


def test_rescan_with_same_barcode_records_latest_deleted_predecessor(
    services: Site, label: list[Barcode | None], tmp_path: Path
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
        services.services.slides.put_new(
            slide(image_id, **{"case_id": "S26-0007", "barcode": code.text, **fields})
        )
    label[0] = code
    path = write_slide(tmp_path / "x.svs", Plan(600, 500, 240))
    assert services.bring("b.svs", path.read_bytes()) == 200
    assert newest(services, {"gone", "gone-since", "kept", "other"}).predecessor == "gone-since"


def test_second_scan_of_kept_slide_records_no_predecessor(services: Site) -> None:
    assert services.bring("a.svs", slide_bytes()) == 200
    (first,) = services.records()
    assert services.bring("a.svs", slide_bytes() + b"again") == 200
    assert newest(services, {first.image_id}).predecessor is None
