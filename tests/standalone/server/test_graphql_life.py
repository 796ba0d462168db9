"""A slide's life by GraphQL: what Admins ask for, what became of it, and who may know."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from review_slides.handler import lambda_handler
from vsv import runtime
from vsv.errors import NotYetError, UnreadableSlideError
from vsv.lifecycle import job_registry, job_runner
from vsv.records.models import JobKind, JobState
from vsv.services import Services
from vsv.workflow import job_queue

from tests.http.test_graphql_events import (
    ADMIN,
    IAM,
    NOBODY,
    PATHOLOGIST,
    TECHNICIAN,
    ask,
    change,
    event,
    refused,
    update,
)
from tests.support.stores.store_records import slide, slide_job
from vsv_local.composition import standalone

PUBLISH = ("publishSlide", {"ImageID": "good", "name": "STUDY-7"})
WITHDRAW = ("withdrawSlide", {"ImageID": "out"})
ARCHIVE = ("archiveSlide", {"ImageID": "good"})
RESTORE = ("restoreSlide", {"ImageID": "away"})
PURGE = ("purgeSlide", {"ImageID": "gone", "confirm": "gone"})
ALL = [PUBLISH, WITHDRAW, ARCHIVE, RESTORE, PURGE]
DELETED_AT = "2026-11-21T06:10:58.000042Z"


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    with standalone(tmp_path / "secret-folder") as (services, _intake):
        for record in (
            slide("good", status="GOOD", case_id="C1"),
            slide("new", status="NEW"),
            slide("out", status="PUBLISHED", published_as="STUDY-1", predecessor="4711", case_id="C1"),
            slide("away", status="ARCHIVED", original="ARCHIVED"),
            slide("gone", status="DELETED", deleted_at=DELETED_AT),
            slide("purged", status="DELETED", deleted_at=DELETED_AT, original="PURGED"),
        ):
            services.slides.put_new(record)
        yield services


def run_step(services: Services, monkeypatch: pytest.MonkeyPatch, outcome: Any) -> None:
    """Run all due jobs with one outcome."""

    def step(_services: Services, _job: Any) -> Any:
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(job_registry, "step", lambda _kind: step)
    assert job_runner.run_due(services, JobKind, lambda: True)


class TestDismissal:
    def failed(self, services: Services, kind: JobKind = JobKind.ARCHIVE) -> None:
        job = job_queue.request(services, "good", kind, "Ann")
        services.jobs.advance(
            job, {"state": JobState.FAILED, "error": "The archive is full.", "attempts": 12}
        )

    def test_dismissed_job_leaves_the_list_of_failed_jobs_and_keeps_its_record(
        self, services: Services
    ) -> None:
        self.failed(services)
        (before,) = ask("listJobs", state="FAILED")["items"]
        dismissed = change("dismissJob", ADMIN, ImageID="good", kind="ARCHIVE")
        assert dismissed == before | {
            "State": "DISMISSED", "DismissedBy": "eve", "UpdatedAt": dismissed["UpdatedAt"],
        }  # fmt: skip
        assert ask("listJobs", state="FAILED")["items"] == []
        assert ask("listJobs", state="DISMISSED")["items"] == [dismissed] == ask("slideJobs", ImageID="good")
        assert change("dismissJob", ADMIN, ImageID="good", kind="ARCHIVE") == dismissed
        assert change("archiveSlide", ADMIN, ImageID="good")["State"] == "WAITING"

    def test_only_who_may_request_a_job_may_dismiss_it(self, services: Services) -> None:
        self.failed(services)
        self.failed(services, JobKind.SEND)
        for identity in (TECHNICIAN, PATHOLOGIST, NOBODY, None, {}):
            with refused("Unauthorized"):
                change("dismissJob", identity, ImageID="good", kind="ARCHIVE")
        for identity in (PATHOLOGIST, NOBODY, None, {}):
            with refused("Unauthorized"):
                change("dismissJob", identity, ImageID="good", kind="SEND")
        assert len(ask("listJobs", state="FAILED")["items"]) == 2
        assert change("dismissJob", TECHNICIAN, ImageID="good", kind="SEND")["State"] == "DISMISSED"

    def test_job_that_has_not_failed_is_not_dismissed(self, services: Services) -> None:
        with refused("NOT_FOUND", "no such job"):
            change("dismissJob", ADMIN, ImageID="good", kind="ARCHIVE")
        change("archiveSlide", ADMIN, ImageID="good")
        with refused("CONFLICT", "has not failed"):
            change("dismissJob", ADMIN, ImageID="good", kind="ARCHIVE")
        for kind in ("EXPLODE", None, 7, ["ARCHIVE"]):
            with refused("BAD_REQUEST", "kind must be one of PUBLISH"):
                change("dismissJob", ADMIN, ImageID="good", kind=kind)

    def test_report_of_a_job_returns_it_as_it_is_stored_and_is_for_the_system_alone(
        self, services: Services
    ) -> None:
        self.failed(services)
        for identity in (ADMIN, TECHNICIAN, NOBODY):
            with refused("Unauthorized"):
                change("reportJobUpdate", identity, ImageID="good", kind="ARCHIVE")
        (stored,) = ask("slideJobs", ImageID="good")
        assert change("reportJobUpdate", IAM, ImageID="good", kind="ARCHIVE") == stored
        with refused("NOT_FOUND", "no such job"):
            change("reportJobUpdate", IAM, ImageID="good", kind="SEND")


class TestLifecycleRequests:
    @pytest.mark.parametrize(("field", "arguments"), ALL)
    def test_each_mutation_creates_a_waiting_job_only_once(
        self, services: Services, field: str, arguments: dict[str, Any]
    ) -> None:
        asked = change(field, ADMIN, **arguments)
        kind = JobKind(field.removesuffix("Slide").upper())
        assert (asked["ImageID"], asked["Kind"], asked["State"]) == (arguments["ImageID"], kind, "WAITING")
        assert (asked["RequestedBy"], asked["Attempts"], asked["Result"]) == ("eve", 0, None)
        assert change(field, ADMIN, **arguments) == asked  # asked for already is as good
        assert ask("slideJobs", ImageID=arguments["ImageID"]) == [asked]
        assert ask("listJobs")["items"] == [asked]

    @pytest.mark.parametrize(("field", "arguments"), ALL)
    def test_only_admins_and_iam_create_jobs(
        self, services: Services, field: str, arguments: dict[str, Any]
    ) -> None:
        for identity in (TECHNICIAN, PATHOLOGIST, NOBODY, None, {}):
            with refused("Unauthorized"):
                change(field, identity, **arguments)
        assert ask("listJobs")["items"] == []
        assert change(field, IAM, **arguments)["RequestedBy"] == "stream-function"

    def test_publish_job_returns_its_name_and_refuses_other_requests(self, services: Services) -> None:
        assert change(PUBLISH[0], ADMIN, **PUBLISH[1])["Name"] == "STUDY-7"
        with refused("CONFLICT", "with other options"):
            change("publishSlide", ADMIN, ImageID="good", name="STUDY-8")
        with refused("CONFLICT", "Another job is in progress"):
            change(ARCHIVE[0], ADMIN, **ARCHIVE[1])

    @pytest.mark.parametrize(
        ("field", "arguments", "error_type", "text"),
        [
            ("publishSlide", {"ImageID": "new", "name": "STUDY-7"}, "BAD_REQUEST", "from NEW to PUBLISHED"),
            ("publishSlide", {"ImageID": "good", "name": "C1"}, "BAD_REQUEST", "choose another"),
            (
                "publishSlide",
                {"ImageID": "good", "name": "x-Good-1"},
                "BAD_REQUEST",
                "not contain its present IDs",
            ),
            (
                "publishSlide",
                {"ImageID": "good", "name": "../x"},
                "BAD_REQUEST",
                "The name of a published slide is 1 to",
            ),
            ("publishSlide", {"ImageID": "good", "name": "x" * 500_000}, "BAD_REQUEST", ""),
            ("publishSlide", {"ImageID": "good"}, "BAD_REQUEST", ""),
            ("publishSlide", {"ImageID": "out", "name": "STUDY-2"}, "CONFLICT", "under another name"),
            ("withdrawSlide", {"ImageID": "good"}, "CONFLICT", "not published"),
            ("restoreSlide", {"ImageID": "good"}, "CONFLICT", "is not archived"),
            ("archiveSlide", {"ImageID": "gone"}, "BAD_REQUEST", "from DELETED to ARCHIVED"),
            ("archiveSlide", {"ImageID": "nowhere"}, "NOT_FOUND", ""),
            ("archiveSlide", {"ImageID": "../x"}, "BAD_REQUEST", ""),
            ("purgeSlide", {"ImageID": "gone", "confirm": "good"}, "BAD_REQUEST", "repeat its ImageID"),
            ("purgeSlide", {"ImageID": "gone"}, "BAD_REQUEST", "repeat its ImageID"),
            ("purgeSlide", {"ImageID": "good", "confirm": "good"}, "CONFLICT", "Only a deleted slide"),
        ],
    )
    def test_impossible_request_is_refused_with_a_short_reason_and_no_job(
        self, services: Services, field: str, arguments: dict[str, Any], error_type: str, text: str
    ) -> None:
        with refused(error_type, text) as caught:
            change(field, ADMIN, **arguments)
        assert len(str(caught.value)) < 300
        assert ask("listJobs")["items"] == []

    def test_undelete_of_a_slide_without_files_is_refused(self, services: Services) -> None:
        assert update(ADMIN, ImageID="good", Status="DELETED")["DeletedAt"]
        with refused("NOT_FOUND", "permanently deleted"):  # this record never had files
            update(ADMIN, ImageID="good", Status="NEW")


class TestJobOutcomes:
    def test_completed_job_returns_its_result(
        self, services: Services, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        change(ARCHIVE[0], ADMIN, **ARCHIVE[1])
        run_step(services, monkeypatch, {"bytes": "1048576", "key": "good.svs"})
        (job,) = ask("slideJobs", ImageID="good")
        assert (job["State"], job["Result"]) == ("DONE", "bytes: 1048576; key: good.svs")
        assert ask("listJobs")["items"] == []
        assert ask("listJobs", state="DONE")["items"] == [job]

    def test_failed_job_returns_its_error_and_can_be_requested_again(
        self, services: Services, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        change(PUBLISH[0], ADMIN, **PUBLISH[1])
        run_step(services, monkeypatch, UnreadableSlideError("The file is damaged."))
        (job,) = ask("listJobs", state="FAILED")["items"]
        assert (job["Error"], job["Name"]) == ("The file is damaged.", "STUDY-7")
        again = change("publishSlide", ADMIN, ImageID="good", name=job["Name"])
        assert (again["State"], again["Error"]) == ("WAITING", None)
        assert ask("listJobs", state="FAILED")["items"] == []

    def test_waiting_restore_returns_its_expected_time(
        self, services: Services, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        change(RESTORE[0], ADMIN, **RESTORE[1])
        run_step(services, monkeypatch, NotYetError("It thaws.", 5 * 3600.0))
        (job,) = ask("slideJobs", ImageID="away")
        assert (job["State"], job["Attempts"]) == ("WAITING", 0)
        assert job["ExpectedAt"] > job["UpdatedAt"]

    def test_send_job_result_is_not_returned(self, services: Services) -> None:
        kept = slide_job("good", JobKind.SEND, result={"document": "{}"}, state=JobState.FAILED)
        services.jobs.start(kept, replaces=None)
        (job,) = ask("listJobs", state="FAILED")["items"]
        assert job["Result"] is None

    def test_list_jobs_returns_every_job_across_pages(self, services: Services) -> None:
        for number in range(25):
            job_queue.request(services, f"i{number:02d}", JobKind.ARCHIVE, "eve")
        first = ask("listJobs")
        rest = ask("listJobs", nextToken=first["nextToken"], limit=100)
        ids = [job["ImageID"] for job in first["items"] + rest["items"]]
        assert (len(first["items"]), ids) == (20, [f"i{number:02d}" for number in range(25)])
        assert rest["nextToken"] is None
        with refused("BAD_REQUEST"):
            ask("listJobs", state="FAILED", nextToken=first["nextToken"])

    @pytest.mark.parametrize(
        "arguments",
        [{"state": "failed"}, {"state": ["x"]}, {"limit": 0}, {"limit": 1001}, {"nextToken": "x"}],
    )
    def test_list_jobs_refuses_invalid_arguments(self, services: Services, arguments: dict[str, Any]) -> None:
        with refused("BAD_REQUEST"):
            ask("listJobs", **arguments)

    def test_pathologists_and_users_without_group_read_no_jobs(self, services: Services) -> None:
        for identity in (PATHOLOGIST, NOBODY, None):
            for field, arguments in (("slideJobs", {"ImageID": "good"}), ("listJobs", {})):
                with refused("Unauthorized"):
                    ask(field, identity, **arguments)


class TestStudyNameVisibility:
    """A study's name beside a slide's tells whose tissue was published: not everybody may see that."""

    READS: tuple[tuple[str, dict[str, Any]], ...] = (
        ("getSlides", {"ImageIDs": ["out"]}),
        ("listSlides", {"filter": {"CaseID": {"eq": "C1"}}}),
        ("querySlidesByStatus", {"Status": "PUBLISHED"}),
        ("searchSlides", {"status": "PUBLISHED"}),
    )

    @pytest.mark.parametrize(("field", "arguments"), READS)
    def test_lists_show_study_names_only_to_technicians_and_admins(
        self, services: Services, field: str, arguments: dict[str, Any]
    ) -> None:
        for identity, names in (
            (TECHNICIAN, ("STUDY-1", "4711")),
            (ADMIN, ("STUDY-1", "4711")),
            (PATHOLOGIST, (None, None)),
        ):
            found = ask(field, identity, **arguments)
            rows = found if isinstance(found, list) else found["items"]
            (row,) = (one for one in rows if one["ImageID"] == "out")
            assert (row["PublishedAs"], row["Predecessor"]) == names

    def test_get_slide_and_case_list_hide_study_names_from_pathologists(self, services: Services) -> None:
        assert ask("getSlide", PATHOLOGIST, ImageID="out")["PublishedAs"] is None
        assert ask("getSlide", TECHNICIAN, ImageID="out")["PublishedAs"] == "STUDY-1"
        assert all(row["PublishedAs"] is None for row in ask("listCaseIDs", PATHOLOGIST)["items"])

    def test_mutations_that_reach_subscribers_omit_study_names(self, services: Services) -> None:
        """What these answer goes to all who follow: pathologists, too."""
        told = [
            update(ADMIN, ImageID="out", Note="a fold"),
            change("assignSlide", ADMIN, ImageID="out", reviewer="pat"),
            change("reportSlideUpdate", IAM, ImageID="out"),
        ]
        assert [(one["PublishedAs"], one["Predecessor"]) for one in told] == [(None, None)] * 3

    def test_update_slides_returns_study_names_to_the_caller(self, services: Services) -> None:
        (changed,) = change("updateSlides", input=[{"ImageID": "out", "Note": "a fold"}])
        assert changed["slide"]["PublishedAs"] == "STUDY-1"


class TestGracePeriod:
    def test_only_a_deleted_slide_returns_its_purge_time(self, services: Services) -> None:
        assert ask("getSlide", ImageID="gone")["GoesAt"] == "2026-11-28T06:10:58.000042Z"
        for image_id in ("good", "purged"):
            assert ask("getSlide", ImageID=image_id)["GoesAt"] is None

    def test_purge_time_follows_the_grace_days_setting(self, services: Services) -> None:
        runtime.use(replace(services, settings=replace(services.settings, grace_days=0.5)))
        assert ask("getSlide", ImageID="gone")["GoesAt"] == "2026-11-21T18:10:58.000042Z"


def test_sent_status_with_destinations_starts_a_send_job_and_waits(
    services: Services, tmp_path: Path
) -> None:
    settings = replace(services.settings, destinations=str(tmp_path / "destinations.json"))
    runtime.use(replace(services, settings=settings))
    asked = update(ImageID="good", Status="SENT")
    assert (asked["Status"], asked["Delivery"]) == ("GOOD", "WAITING")
    (job,) = ask("slideJobs", ImageID="good")
    assert (job["Kind"], job["State"], job["RequestedBy"]) == ("SEND", "WAITING", "ann")


def test_mutation_field_called_as_a_query_is_refused(services: Services) -> None:
    with refused("INTERNAL"):
        lambda_handler(event("Query", *PUBLISH, ADMIN), None)
    assert ask("listJobs")["items"] == []
