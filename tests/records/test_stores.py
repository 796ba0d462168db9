"""One contract, two stores: what holds for SQLite holds for DynamoDB. Lists are in test_store_pages.py."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from vsv.errors import (
    AlreadyExistsError,
    ConflictError,
    InvalidQueryError,
    SlideNotFoundError,
    UnavailableError,
    VersionConflictError,
)
from vsv.records.models import ImportRecord, ImportState, JobKind, JobRecord, JobState, SlideRecord, Status
from vsv.records.stores import ImportStore, JobStore, Page, SlideStore

from tests.support.stores.store_records import (
    FULL_IMPORT,
    FULL_JOB,
    FULL_SLIDE,
    NOT_KEYS,
    slide,
    slide_import,
    slide_job,
)

pytest_plugins = ["tests.support.stores.store_fixtures"]


def together(*tasks: Callable[[], Any]) -> list[Any]:
    """Run the tasks in threads that start at once; give each one's result or conflict."""
    barrier = threading.Barrier(len(tasks))

    def run(task: Callable[[], Any]) -> Any:
        barrier.wait()
        try:
            return task()
        except ConflictError as error:
            return error

    with ThreadPoolExecutor(len(tasks)) as pool:
        return list(pool.map(run, tasks))


@pytest.mark.parametrize("record", [FULL_SLIDE, FULL_IMPORT, FULL_JOB])
def test_full_test_records_set_every_field(record: SlideRecord | ImportRecord | JobRecord) -> None:
    assert record.to_item().keys() == set(record.wire_names().values())


def insist(write: Callable[[], object]) -> None:
    """Do as a writer does who is told to come back: eight at once on a slow machine may be too many for a while."""
    for _ in range(20):
        try:
            write()
        except UnavailableError:
            continue
        return
    raise AssertionError("told to come back twenty times")


class TestSlides:
    def test_get_returns_the_stored_record(self, slides: SlideStore) -> None:
        for record in (FULL_SLIDE, slide("plain")):
            slides.put_new(record)
            stored = slides.get(record.image_id)
            assert stored == record
            assert isinstance(stored.version, int)
            assert isinstance(stored.status, Status)
        assert slides.list_all().items == (FULL_SLIDE, slide("plain"))

    @pytest.mark.parametrize("mpp", [0.499, 0.2498, 1.0, 1, 0.1 + 0.2, 1 / 3, 1e-9, 0.0])
    def test_get_returns_the_same_float(self, slides: SlideStore, mpp: float) -> None:
        slides.put_new(slide(mpp=mpp))
        stored = slides.get("image-1")
        assert stored is not None
        assert (stored.mpp, type(stored.mpp)) == (mpp, float)

    def test_get_returns_none_for_missing_slide(self, slides: SlideStore) -> None:
        assert [slides.get(key) for key in ["nowhere", *NOT_KEYS]] == [None] * 4
        assert slides.get_many([]) == []

    def test_get_many_returns_records_in_requested_order(self, slides: SlideStore) -> None:
        for name in "abc":
            slides.put_new(slide(name))
        wanted = ["c", "nowhere", "a", "", "c", "b", "c", "x" * 5000, "\ud83d"]
        assert [record.image_id for record in slides.get_many(wanted)] == ["c", "a", "c", "b", "c"]

    def test_get_many_reads_more_than_a_batch(self, slides: SlideStore) -> None:
        for number in range(3):
            slides.put_new(slide(f"image-{number * 100}"))
        wanted = [f"image-{number}" for number in range(230)]
        assert [r.image_id for r in slides.get_many(wanted * 2)] == ["image-0", "image-100", "image-200"] * 2

    def test_put_new_refuses_to_replace_stored_record(self, slides: SlideStore) -> None:
        slides.put_new(FULL_SLIDE)
        with pytest.raises(AlreadyExistsError):
            slides.put_new(slide(FULL_SLIDE.image_id))
        assert slides.get(FULL_SLIDE.image_id) == FULL_SLIDE

    def test_put_new_accepts_only_the_first_of_concurrent_records(self, slides: SlideStore) -> None:
        for number in range(5):
            rivals = [slide(f"image-{number}", scanner_id=name) for name in ("a", "b", "c")]
            results = together(*(partial(slides.put_new, r) for r in rivals))
            assert [type(result) for result in results if result] == [AlreadyExistsError] * 2
            assert slides.get(f"image-{number}") == rivals[results.index(None)]

    def test_remove_is_final_and_repeatable(self, slides: SlideStore) -> None:
        slides.put_new(slide())
        for key in ["image-1", "image-1", "nowhere", *NOT_KEYS]:
            slides.remove(key)
        assert slides.get("image-1") is None
        assert slides.list_all() == slides.by_status(Status.NEW) == Page(())

    @pytest.mark.parametrize("field", ["image_id", "slide_id", "case_id", "filename"])
    @pytest.mark.parametrize("value", NOT_KEYS)
    def test_put_new_refuses_values_that_cannot_be_indexed(
        self, slides: SlideStore, field: str, value: Any
    ) -> None:
        with pytest.raises(InvalidQueryError):
            slides.put_new(replace(FULL_SLIDE, **{field: value}))
        assert slides.list_all().items == ()

    @pytest.mark.parametrize(
        "fields",
        [
            {"mpp": float("nan")},
            {"mpp": float("inf")},
            {"mpp": 1e-200},
            {"width": 2**63},
            {"width": 1.5},
            {"width": True},
            {"width": None},
            {"app_mag": 40},
            {"app_mag": "\ud83d"},
            {"tags": {"a": 1}},
            {"tags": {"a": "\ud83d"}},
            {"tags": {"a": "x" * 200_000}},
        ],
    )
    def test_put_new_and_update_refuse_values_that_cannot_be_stored(
        self, slides: SlideStore, fields: dict[str, Any]
    ) -> None:
        with pytest.raises(InvalidQueryError):
            slides.put_new(slide(**fields))
        slides.put_new(slide())
        with pytest.raises(InvalidQueryError):
            slides.update("image-1", fields, by="me")
        assert slides.get("image-1") == slide()


class TestUpdate:
    def test_update_records_user_time_and_version(self, slides: SlideStore) -> None:
        slides.put_new(FULL_SLIDE)
        changed = slides.update(FULL_SLIDE.image_id, {"status": Status.GOOD, "mpp": 0.499}, by="Jürgen")
        assert slides.get(FULL_SLIDE.image_id) == changed
        assert changed.last_modified > FULL_SLIDE.last_modified
        assert changed == replace(
            FULL_SLIDE,
            status=Status.GOOD,
            mpp=0.499,
            modified_by="Jürgen",
            version=8,
            last_modified=changed.last_modified,
        )

    def test_update_sets_strictly_increasing_time_stamps(self, slides: SlideStore) -> None:
        slides.put_new(slide())
        stamps = [slides.update("image-1", {}, by="me").last_modified for _ in range(3)]
        assert stamps == sorted(set(stamps))

    def test_none_removes_the_field(self, slides: SlideStore) -> None:
        slides.put_new(FULL_SLIDE)
        gone = {"slide_id": None, "case_id": None, "barcode": None, "mpp": None, "tags": None}
        changed = slides.update(FULL_SLIDE.image_id, gone, by="me")
        assert [getattr(changed, attribute) for attribute in gone] == [None] * 5
        assert slides.get(FULL_SLIDE.image_id) == changed
        assert "SlideID" not in changed.to_item()
        assert slides.by_case("S26-1234").items == ()

    def test_status_none_becomes_new(self, slides: SlideStore) -> None:
        slides.put_new(slide(status=Status.BAD))
        assert slides.update("image-1", {"status": None}, by="me").status == Status.NEW
        assert len(slides.by_status(Status.NEW).items) == 1

    def test_slide_id_can_be_removed_and_set_again(self, slides: SlideStore) -> None:
        slides.put_new(slide(slide_id="S1"))
        for slide_id in (None, None, "S2", "image-1", None, "S3"):
            slides.update("image-1", {"slide_id": slide_id}, by="me")
            (listed,) = slides.by_status(Status.NEW).items
            assert listed.slide_id == slide_id
            assert listed == slides.get("image-1")

    @pytest.mark.parametrize(
        "attribute",
        ["image_id", "version", "last_modified", "modified_by", "unknown", "ImageID", "to_item", ""],
    )
    def test_fields_not_owned_by_the_caller_are_refused(self, slides: SlideStore, attribute: str) -> None:
        slides.put_new(slide())
        with pytest.raises(InvalidQueryError):
            slides.update("image-1", {"status": Status.BAD, attribute: "2"}, by="me")
        assert slides.get("image-1") == slide()

    @pytest.mark.parametrize(
        "changes",
        [
            {"status": "FINE"},
            {"status": 1},
            {"width": None},
            {"filename": None},
            {"slide_id": ""},
            {"case_id": 5},
        ],
    )
    def test_values_that_would_make_the_record_invalid_are_refused(
        self, slides: SlideStore, changes: dict[str, Any]
    ) -> None:
        slides.put_new(slide())
        with pytest.raises(InvalidQueryError):
            slides.update("image-1", changes, by="me")
        assert slides.get("image-1") == slide()

    @pytest.mark.parametrize("version", [None, 1])
    @pytest.mark.parametrize("image_id", ["nowhere", *NOT_KEYS])
    def test_update_of_missing_slide_raises_not_found_and_creates_no_record(
        self, slides: SlideStore, image_id: str, version: int | None
    ) -> None:
        with pytest.raises(SlideNotFoundError):
            slides.update(image_id, {"status": Status.BAD}, by="me", expected_version=version)
        assert slides.list_all().items == ()

    def test_other_expected_version_raises_conflict(self, slides: SlideStore) -> None:
        slides.put_new(slide())
        changed = slides.update("image-1", {"case_id": "C"}, by="me", expected_version=1)
        for version in (0, 1, 3):
            with pytest.raises(VersionConflictError):
                slides.update("image-1", {"case_id": "D"}, by="me", expected_version=version)
        assert slides.get("image-1") == changed

    def test_concurrent_versioned_updates_lose_no_change(self, slides: SlideStore) -> None:
        slides.put_new(slide(barcode=""))

        def add_mark(mark: str) -> None:
            while True:
                seen = slides.get("image-1")
                assert seen is not None
                try:
                    slides.update(
                        "image-1",
                        {"barcode": f"{seen.barcode}{mark} "},
                        by=mark,
                        expected_version=seen.version,
                    )
                except (VersionConflictError, UnavailableError):
                    continue
                return

        def write(name: str) -> None:
            for number in range(5):
                add_mark(f"{name}{number}")

        assert together(*(partial(write, n) for n in "abcdefgh")) == [None] * 8
        stored = slides.get("image-1")
        assert stored is not None
        assert stored.version == 41
        assert sorted((stored.barcode or "").split()) == [f"{n}{i}" for n in "abcdefgh" for i in range(5)]

    def test_concurrent_unversioned_updates_all_increase_the_version(self, slides: SlideStore) -> None:
        slides.put_new(slide())

        def write(name: str) -> None:
            for number in range(5):
                insist(
                    lambda number=number: slides.update("image-1", {"scanner_id": f"{name}{number}"}, by=name)
                )

        assert together(*(partial(write, n) for n in "abcdefgh")) == [None] * 8
        stored = slides.get("image-1")
        assert stored is not None
        assert stored.version == 41
        assert (stored.scanner_id or "")[0] == stored.modified_by


class TestImports:
    def test_get_returns_the_started_record(self, imports: ImportStore) -> None:
        for record in (FULL_IMPORT, slide_import("plain.svs")):
            imports.start(record, replaces=None)
            assert imports.get(record.filename) == record
        assert [imports.get(key) for key in ["nowhere", *NOT_KEYS]] == [None] * 4

    def test_start_requires_the_run_id_of_the_replaced_run(self, imports: ImportStore) -> None:
        first, second = slide_import(run_id="1"), slide_import(run_id="2", size=5)
        with pytest.raises(AlreadyExistsError):
            imports.start(first, replaces="0")
        imports.start(first, replaces=None)
        for replaces in (None, "0", "2"):
            with pytest.raises(AlreadyExistsError):
                imports.start(second, replaces=replaces)
        assert imports.get("a.svs") == first
        imports.start(replace(second, error="old errors go"), replaces="1")
        imports.start(second, replaces="2")
        assert imports.get("a.svs") == second

    def test_start_repeated_with_the_same_run_is_not_a_conflict(self, imports: ImportStore) -> None:
        for _ in range(2):
            imports.start(FULL_IMPORT, replaces=None)
        later = replace(FULL_IMPORT, started_at="2026-11-21T06:10:58.000043Z")
        with pytest.raises(AlreadyExistsError):
            imports.start(later, replaces=None)
        assert imports.get(FULL_IMPORT.filename) == FULL_IMPORT

    def test_start_accepts_only_the_first_of_concurrent_runs(self, imports: ImportStore) -> None:
        replaces = None
        for number in range(5):
            rivals = [slide_import(run_id=f"{name}{number}") for name in ("a", "b", "c")]
            results = together(*(partial(imports.start, r, replaces=replaces) for r in rivals))
            assert [type(result) for result in results if result] == [AlreadyExistsError] * 2
            winner = rivals[results.index(None)]
            assert imports.get("a.svs") == winner
            replaces = winner.run_id

    def test_advance_changes_the_matching_run(self, imports: ImportStore) -> None:
        imports.start(FULL_IMPORT, replaces=None)
        changes: dict[str, Any] = {"state": ImportState.READY, "image_id": "image-2", "error": None}
        changed = imports.advance(FULL_IMPORT.filename, "run-1", changes)
        assert changed.updated_at > FULL_IMPORT.updated_at
        assert changed == replace(FULL_IMPORT, **changes, progress=None, updated_at=changed.updated_at)
        assert imports.get(FULL_IMPORT.filename) == changed

    def test_advance_clears_progress_when_state_changes(self, imports: ImportStore) -> None:
        imports.start(slide_import(), replaces=None)
        assert imports.advance("a.svs", "run-1", {"progress": 0.5}).progress == 0.5
        assert imports.advance("a.svs", "run-1", {"checksum": "1"}).progress == 0.5
        assert imports.advance("a.svs", "run-1", {"state": ImportState.IMPORTING}).progress is None

    @pytest.mark.parametrize("filename", ["a.svs", "nowhere.svs", *NOT_KEYS])
    def test_advance_refuses_other_run(self, imports: ImportStore, filename: str) -> None:
        imports.start(slide_import(run_id="2"), replaces=None)
        with pytest.raises(VersionConflictError):
            imports.advance(filename, "1", {"state": ImportState.READY})
        assert imports.list_all().items == (slide_import(run_id="2"),)

    @pytest.mark.parametrize(
        "changes",
        [
            {"filename": "b"},
            {"run_id": "2"},
            {"updated_at": "x"},
            {"Error": "x"},
            {"state": "DONE"},
            {"size": None},
        ],
    )
    def test_advance_refuses_fields_not_owned_by_the_caller(
        self, imports: ImportStore, changes: dict[str, Any]
    ) -> None:
        imports.start(slide_import(), replaces=None)
        with pytest.raises(InvalidQueryError):
            imports.advance("a.svs", "run-1", changes)
        assert imports.get("a.svs") == slide_import()


class TestJobs:
    def test_get_returns_the_started_record(self, jobs: JobStore) -> None:
        for record in (FULL_JOB, slide_job()):
            jobs.start(record, replaces=None)
            assert jobs.get("image-1", record.kind) == record
        assert [jobs.get(key, JobKind.ARCHIVE) for key in ["nowhere", *NOT_KEYS]] == [None] * 4

    def test_start_requires_the_run_id_of_the_replaced_job_of_that_kind(self, jobs: JobStore) -> None:
        first, second = slide_job(), slide_job(run_id="2", by="Ann")
        jobs.start(first, replaces=None)
        jobs.start(first, replaces=None)  # told twice
        jobs.start(slide_job(kind=JobKind.SEND), replaces=None)
        for replaces in (None, "0", "2"):
            with pytest.raises(AlreadyExistsError):
                jobs.start(second, replaces=replaces)
        jobs.start(second, replaces="run-1")
        assert jobs.get("image-1", JobKind.ARCHIVE) == second
        assert jobs.get("image-1", JobKind.SEND) == slide_job(kind=JobKind.SEND)

    def test_start_accepts_only_the_first_of_concurrent_requests(self, jobs: JobStore) -> None:
        rivals = [slide_job(run_id=name) for name in ("a", "b", "c")]
        results = together(*(partial(jobs.start, r, replaces=None) for r in rivals))
        assert [type(result) for result in results if result] == [AlreadyExistsError] * 2
        assert jobs.get("image-1", JobKind.ARCHIVE) == rivals[results.index(None)]

    def test_advance_changes_the_matching_request(self, jobs: JobStore) -> None:
        jobs.start(FULL_JOB, replaces=None)
        changes: dict[str, Any] = {"state": JobState.DONE, "result": {"a": "b"}, "error": None}
        changed = jobs.advance(FULL_JOB, changes)
        assert changed.updated_at > FULL_JOB.updated_at
        assert changed == replace(FULL_JOB, **changes, updated_at=changed.updated_at)
        assert jobs.get("image-1", JobKind.PUBLISH) == changed

    @pytest.mark.parametrize("other", [{"run_id": "2"}, {"image_id": "nowhere"}])
    def test_advance_refuses_other_request(self, jobs: JobStore, other: dict[str, str]) -> None:
        jobs.start(slide_job(), replaces=None)
        with pytest.raises(VersionConflictError):
            jobs.advance(slide_job(**{"image_id": "image-1", **other}), {"state": JobState.DONE})
        assert jobs.get("image-1", JobKind.ARCHIVE) == slide_job()

    @pytest.mark.parametrize(
        "changes",
        [
            {"job_id": "b"},
            {"run_id": "2"},
            {"by": "Ann"},
            {"state": "LOST"},
            {"next_at": None},
            {"detail": {"a": 1}},
        ],
    )
    def test_advance_refuses_fields_not_owned_by_the_caller(
        self, jobs: JobStore, changes: dict[str, Any]
    ) -> None:
        jobs.start(slide_job(), replaces=None)
        with pytest.raises(InvalidQueryError):
            jobs.advance(slide_job(), changes)
        assert jobs.get("image-1", JobKind.ARCHIVE) == slide_job()

    def test_by_state_is_ordered_by_due_time(self, jobs: JobStore) -> None:
        for number in (3, 1, 2, 0):
            jobs.start(slide_job(f"s{number}", next_at=f"2026-11-21T06:10:58.00000{number}Z"), replaces=None)
        jobs.start(slide_job("s9", state=JobState.DONE), replaces=None)
        first = jobs.by_state(JobState.WAITING, 3)
        rest = jobs.by_state(JobState.WAITING, 3, first.next_token)
        assert [job.image_id for job in (*first.items, *rest.items)] == ["s0", "s1", "s2", "s3"]
        assert rest.next_token is None
        assert [job.image_id for job in jobs.by_state(JobState.DONE).items] == ["s9"]

    def test_sending_lock_excludes_other_runs_of_the_same_slide_alone(self, jobs: JobStore) -> None:
        for _ in range(2):
            with jobs.sending("1"):
                with pytest.raises(UnavailableError), jobs.sending("1"):
                    raise AssertionError("two runs send one slide")
                with jobs.sending("2"):
                    pass
        with pytest.raises(KeyError), jobs.sending("1"):
            raise KeyError("a failed run")
        with jobs.sending("1"):
            pass

    def test_one_of_concurrent_runs_gets_the_sending_lock(self, jobs: JobStore) -> None:
        barrier = threading.Barrier(4)

        def run(_number: int) -> bool:
            barrier.wait()
            try:
                with jobs.sending("1"):
                    barrier.wait()
                    return True
            except UnavailableError:
                barrier.wait()
                return False

        with ThreadPoolExecutor(4) as threads:
            assert sorted(threads.map(run, range(4))) == [False, False, False, True]

    def test_sending_lock_is_in_no_list_of_jobs_and_stays_when_a_job_is_requested_again(
        self, jobs: JobStore
    ) -> None:
        first = slide_job("1", JobKind.SEND)
        jobs.start(first, replaces=None)
        with jobs.sending("1"):
            assert jobs.by_state(JobState.WAITING).items == (first,)
            jobs.start(replace(first, run_id="run-2"), replaces="run-1")
            with pytest.raises(UnavailableError), jobs.sending("1"):
                raise AssertionError("two runs send one slide")
