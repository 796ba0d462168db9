"""Duplicates through the doors: imports, corrections, deletions, the pattern's new IDs, GraphQL's filter."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from vsv.records.models import SlideRecord, Status
from vsv.workflow.transitions import Decider, change

from tests.support.servers.running import Site
from tests.support.slides.small import other_scan, slide_bytes
from tests.support.stores.store_records import slide
from vsv_local.cli.main import main
from vsv_local.composition import standalone

ADMIN = Decider("Eve", is_admin=True)


@pytest.fixture(autouse=True)
def no_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vsv.ingest.extraction.read_codes", lambda _image, _fits: ())


def by_name(site: Site) -> dict[str, SlideRecord]:
    return {record.filename: record for record in site.records()}


def test_same_bytes_under_another_name_are_marked_and_a_deletion_ends_it(site: Site) -> None:
    for name in ("a.svs", "b.svs"):
        assert site.bring(name, slide_bytes()) == 200
    assert site.bring("c.svs", other_scan(slide_bytes())) == 200
    records = by_name(site)
    first, second = records["a.svs"], records["b.svs"]
    assert (first.same_file_as, second.same_file_as) == (second.image_id, first.image_id)
    assert not records["c.svs"].is_duplicate
    deleted = change(site.services, first.image_id, {"status": Status.DELETED}, ADMIN)
    assert (deleted.same_file_as, by_name(site)["b.svs"].same_file_as) == (None, None)
    assert deleted.version == by_name(site)["a.svs"].version
    back = change(site.services, first.image_id, {"status": Status.NEW}, ADMIN)
    assert (back.same_file_as, by_name(site)["b.svs"].same_file_as) == (second.image_id, first.image_id)


def test_correction_returns_the_record_with_its_mark(site: Site) -> None:
    for image_id in ("1", "2"):
        site.services.slides.put_new(slide(image_id, slide_id=f"S{image_id}"))
    changed = change(site.services, "2", {"slide_id": "S1"}, ADMIN)
    assert (changed.same_id_as, changed) == ("1", site.services.slides.get("2"))
    again = change(site.services, "2", {"slide_id": "S2"}, ADMIN, expected_version=changed.version)
    assert (again.same_id_as, site.services.slides.get("1")) == (
        None,
        site.services.slides.get_many(["1"])[0],
    )
    first = site.services.slides.get("1")
    assert first is not None
    assert first.same_id_as is None


def test_correction_that_was_killed_before_the_marks_sets_them_when_it_is_repeated(site: Site) -> None:
    for image_id in ("1", "2"):
        site.services.slides.put_new(slide(image_id, slide_id="S1"))
    repeated = change(site.services, "2", {"slide_id": "S1"}, ADMIN)
    assert repeated.same_id_as == "1"
    assert [one.same_id_as for one in site.services.slides.get_many(["1", "2"])] == ["2", "1"]


def test_import_with_the_slide_id_of_another_slide_marks_both(site: Site) -> None:
    site.services.slides.put_new(slide("1", slide_id="S12-34567-A1", case_id="S12-34567"))
    assert site.bring("S12-34567-A1.svs", slide_bytes()) == 200
    imported = by_name(site)["S12-34567-A1.svs"]
    first = site.services.slides.get("1")
    assert first is not None
    assert (imported.same_id_as, first.same_id_as) == ("1", imported.image_id)
    assert site.bring("S12-34567-A1.svs", slide_bytes()) == 200  # the scanner asks again: nothing changes
    assert by_name(site)["S12-34567-A1.svs"] == imported


def test_ids_that_the_pattern_changes_are_compared(tmp_path: Path) -> None:
    with standalone(tmp_path) as (services, _intake):
        for image_id in ("1", "2"):
            services.slides.put_new(
                slide(image_id, slide_id=image_id, case_id=image_id, barcode="S12-34567-A1")
            )
    assert CliRunner().invoke(main, ["ids", "--apply", "--yes", "--data", str(tmp_path)]).exit_code == 0
    with standalone(tmp_path) as (services, _intake):
        marks = {one.image_id: one.same_id_as for one in services.slides.list_all().items}
    assert marks == {"1": "2", "2": "1"}
