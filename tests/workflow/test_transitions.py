"""What may be changed about a slide, by whom: transitions, conflicts, files that follow their slide."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from vsv.errors import ForbiddenError, IllegalTransitionError, SlideNotFoundError, VersionConflictError
from vsv.records.models import Status
from vsv.services import Services
from vsv.storage.slide_files import SlideFiles
from vsv.workflow import transitions
from vsv.workflow.transitions import BY_ADMINS, BY_TECHNICIANS, Decider, change, check_transition

from tests.support.stores.store_records import slide
from vsv_local.composition import standalone

TECHNICIAN, ADMIN = Decider("Ann", is_admin=False), Decider("Eve", is_admin=True)
NEW, GOOD, BAD, SENT = Status.NEW, Status.GOOD, Status.BAD, Status.SENT
PUBLISHED, ARCHIVED, DELETED = Status.PUBLISHED, Status.ARCHIVED, Status.DELETED


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    with standalone(tmp_path / "data") as (services, _intake):
        yield services


class TestTransitions:
    @pytest.mark.parametrize(("old", "new"), list(itertools.product(Status, Status)))
    def test_each_pair_of_statuses_is_allowed_or_refused_by_role(self, old: Status, new: Status) -> None:
        """Technicians mark; only Admins publish, archive and delete; nobody leaps."""
        marks = {NEW, GOOD, BAD}
        freely = old == new or {old, new} <= marks or (old, new) in {(GOOD, SENT), (SENT, GOOD), (SENT, BAD)}
        if freely:
            check_transition(old, new, TECHNICIAN)
        else:
            with pytest.raises((ForbiddenError, IllegalTransitionError)):
                check_transition(old, new, TECHNICIAN)
        if freely or new in BY_ADMINS[old]:
            check_transition(old, new, ADMIN)
        else:
            with pytest.raises(IllegalTransitionError):
                check_transition(old, new, ADMIN)

    def test_tables_cover_every_status_without_overlap(self) -> None:
        assert set(BY_TECHNICIANS) == set(BY_ADMINS) == set(Status)
        for old in Status:
            assert not set(BY_TECHNICIANS[old]) & set(BY_ADMINS[old])
            assert not {PUBLISHED, ARCHIVED, DELETED} & set(BY_TECHNICIANS[old])

    def test_refusal_names_both_statuses_and_the_allowed_statuses(self) -> None:
        with pytest.raises(IllegalTransitionError, match=r"^Mark the slide GOOD before sending it\.$"):
            check_transition(NEW, SENT, TECHNICIAN)
        with pytest.raises(IllegalTransitionError, match=r"from NEW to PUBLISHED\. Allowed: GOOD, BAD\.$"):
            check_transition(NEW, PUBLISHED, TECHNICIAN)
        with pytest.raises(IllegalTransitionError, match="GOOD, SENT, ARCHIVED"):
            check_transition(PUBLISHED, DELETED, ADMIN)
        with pytest.raises(IllegalTransitionError, match="Allowed: none, except for Admins"):
            check_transition(DELETED, GOOD, TECHNICIAN)
        with pytest.raises(ForbiddenError, match="Only Admins may change the status from NEW to DELETED"):
            check_transition(NEW, DELETED, TECHNICIAN)


class TestChange:
    def test_only_changed_fields_are_written(self, services: Services) -> None:
        services.slides.put_new(slide("1", case_id="C"))
        assert change(services, "1", {"case_id": "C", "status": NEW}, TECHNICIAN).version == 1
        changed = change(services, "1", {"case_id": "C", "note": "folded"}, TECHNICIAN)
        assert (changed.version, changed.note, changed.modified_by) == (2, "folded", "Ann")
        assert [c.field for c in services.slides.history("1").items] == ["Note", "Status"]

    @pytest.mark.parametrize("case", ["1", "S26-04170"])
    def test_case_that_a_person_sets_confirms_the_id(self, services: Services, case: str) -> None:
        services.slides.put_new(slide("1", slide_id="1", case_id="1", id_not_confirmed=True))
        for changes in ({"note": "folded"}, {"slide_id": "S26-04170-A1"}, {"case_id": None}):
            assert change(services, "1", changes, TECHNICIAN).id_not_confirmed is True
        changed = change(services, "1", {"case_id": case}, TECHNICIAN)
        assert (changed.case_id, changed.id_not_confirmed) == (case, None)
        confirmed = [c for c in services.slides.history("1").items if c.field == "IDNotConfirmed"]
        assert [(c.by, c.old, c.new) for c in confirmed] == [("Ann", "true", None)]

    def test_concurrent_change_raises_conflict_that_names_the_first_user(self, services: Services) -> None:
        services.slides.put_new(slide("1"))
        change(services, "1", {"case_id": "C"}, TECHNICIAN, expected_version=1)
        with pytest.raises(VersionConflictError, match="Ann changed this slide"):
            change(services, "1", {"case_id": "D"}, ADMIN, expected_version=1)
        stored = services.slides.get("1")
        assert stored
        assert stored.case_id == "C"

    def test_status_is_checked_against_the_record_at_the_time_of_writing(
        self, services: Services, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Somebody deletes the slide between the look and the write."""
        services.slides.put_new(slide("1", status=GOOD))
        look = transitions._read_record

        def look_then_lose(services: Services, image_id: str, expected: int | None) -> object:
            stored = look(services, image_id, expected)
            if stored.status is GOOD:
                services.slides.update(image_id, {"status": DELETED}, by="Eve")
            return stored

        monkeypatch.setattr(transitions, "_read_record", look_then_lose)
        with pytest.raises(IllegalTransitionError, match="DELETED"):
            change(services, "1", {"status": SENT}, TECHNICIAN)

    def test_missing_slide_raises_not_found_and_is_not_created(self, services: Services) -> None:
        for image_id in ("1", "", "x" * 500):
            with pytest.raises(SlideNotFoundError):
                change(services, image_id, {"status": GOOD}, ADMIN)
        assert services.slides.list_all().items == ()

    def test_status_none_becomes_new(self, services: Services) -> None:
        services.slides.put_new(slide("1", status=BAD))
        assert change(services, "1", {"status": None}, TECHNICIAN).status is NEW


class TestFilesOfDeletedSlides:
    @pytest.fixture
    def stored(self, services: Services) -> Path:
        services.slides.put_new(slide("1"))
        path = services.files.slide("1")
        path.parent.mkdir(parents=True)
        path.write_bytes(b"slide")
        return path

    def test_deletion_hides_files_and_undeletion_restores_them(
        self, services: Services, stored: Path
    ) -> None:
        change(services, "1", {"status": DELETED}, ADMIN)
        assert not stored.exists()
        assert services.files.stored_size("1") == 5
        assert change(services, "1", {"status": NEW}, ADMIN).status is NEW
        assert stored.read_bytes() == b"slide"

    def test_repeated_deletion_completes_an_interrupted_deletion(
        self, services: Services, stored: Path
    ) -> None:
        services.slides.update("1", {"status": DELETED}, by="Eve")
        assert change(services, "1", {"status": DELETED}, ADMIN).version == 2
        assert not stored.exists()

    @pytest.mark.parametrize("late", ["record", "files"])
    def test_undeletion_during_a_deletion_leaves_files_visible(
        self, services: Services, stored: Path, monkeypatch: pytest.MonkeyPatch, late: str
    ) -> None:
        """Two at the same moment: one deletes, the other has seen that and brings it back."""
        hide, update = SlideFiles.hide, services.slides.update

        def hide_late(files: SlideFiles, image_id: str) -> None:
            monkeypatch.undo()
            if late == "files":
                change(services, "1", {"status": NEW}, ADMIN)
                hide(files, image_id)
                return
            monkeypatch.setattr(services.slides, "update", hide_first)
            change(services, "1", {"status": NEW}, ADMIN)

        def hide_first(*arguments: Any, **more: Any) -> Any:
            hide(services.files, "1")
            return update(*arguments, **more)

        monkeypatch.setattr(SlideFiles, "hide", hide_late)
        change(services, "1", {"status": DELETED}, ADMIN)
        found = services.slides.get("1")
        assert found
        assert found.status is NEW
        assert stored.read_bytes() == b"slide"

    def test_technician_may_not_delete(self, services: Services, stored: Path) -> None:
        with pytest.raises(ForbiddenError):
            change(services, "1", {"status": DELETED}, TECHNICIAN)
        assert stored.exists()

    def test_conflict_hides_no_files(self, services: Services, stored: Path) -> None:
        with pytest.raises(VersionConflictError):
            change(services, "1", {"status": DELETED}, ADMIN, expected_version=7)
        assert stored.exists()

    def test_purged_slide_cannot_be_undeleted(self, services: Services, stored: Path) -> None:
        change(services, "1", {"status": DELETED}, ADMIN)
        services.files.purge("1")
        with pytest.raises(SlideNotFoundError, match="permanently deleted"):
            change(services, "1", {"status": NEW}, ADMIN)
        record = services.slides.get("1")
        assert record
        assert record.status is DELETED

    def test_record_without_files_can_be_deleted(self, services: Services) -> None:
        services.slides.put_new(slide("2"))
        assert change(services, "2", {"status": DELETED}, ADMIN).status is DELETED
