"""Jobs: asked for once, tried again with patience, ended with a reason; one at a time on a slide."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path

import pytest
from vsv.errors import (
    ConflictError,
    NotYetError,
    UnavailableError,
    UnreadableSlideError,
    VersionConflictError,
)
from vsv.lifecycle import job_registry, job_runner
from vsv.records.models import JobKind, JobRecord, JobState
from vsv.services import Services
from vsv.storage.slide_lock import locked
from vsv.timestamps import later, now_utc
from vsv.workflow import job_queue

from tests.support.stores.store_records import slide
from vsv_local.composition import standalone

ARCHIVE, RESTORE, SEND = JobKind.ARCHIVE, JobKind.RESTORE, JobKind.SEND


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    with standalone(tmp_path / "data") as (services, _intake):
        services.slides.put_new(slide("1"))
        yield services


class Step:
    """A step that does as it is told, and remembers how often it was run."""

    def __init__(self, *outcomes: Exception | Mapping[str, str]) -> None:
        self.outcomes = list(outcomes)
        self.runs = 0

    def __call__(self, _services: Services, _job: JobRecord) -> Mapping[str, str]:
        self.runs += 1
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> dict[JobKind, Step]:
    made: dict[JobKind, Step] = {}
    monkeypatch.setattr(job_registry, "step", lambda kind: made[kind])
    return made


def stored(services: Services, kind: JobKind = ARCHIVE) -> JobRecord:
    found = services.jobs.get("1", kind)
    assert found is not None
    return found


def make_due(services: Services, kind: JobKind = ARCHIVE) -> None:
    services.jobs.advance(stored(services, kind), {"next_at": now_utc()})


def run_all(services: Services) -> list[JobRecord]:
    return job_runner.run_due(services, JobKind, lambda: True)


class TestJobRequests:
    def test_repeated_request_returns_the_first_job(self, services: Services) -> None:
        first = job_queue.request(services, "1", ARCHIVE, "Eve", {"a": "b"})
        assert job_queue.request(services, "1", ARCHIVE, "Ann", {"a": "b"}) == first
        assert (first.by, first.state, first.attempts) == ("Eve", JobState.WAITING, 0)

    def test_request_with_other_options_raises_conflict(self, services: Services) -> None:
        job_queue.request(services, "1", ARCHIVE, "Eve", {"a": "b"})
        with pytest.raises(ConflictError, match="with other options"):
            job_queue.request(services, "1", ARCHIVE, "Eve", {"a": "c"})

    def test_request_refuses_second_file_job_of_the_same_slide(
        self, services: Services, steps: dict[JobKind, Step]
    ) -> None:
        steps[ARCHIVE] = Step({})
        job_queue.request(services, "1", ARCHIVE, "Eve")
        with pytest.raises(ConflictError, match="ARCHIVE"):
            job_queue.request(services, "1", RESTORE, "Eve")
        job_queue.request(services, "1", SEND, "Eve")  # reads a record only
        job_runner.run_due(services, [ARCHIVE], lambda: True)
        assert job_queue.request(services, "1", RESTORE, "Eve").state is JobState.WAITING

    def test_failed_job_can_be_requested_again(self, services: Services, steps: dict[JobKind, Step]) -> None:
        steps[ARCHIVE] = Step(UnreadableSlideError("it is damaged"), {"fine": "now"})
        first = job_queue.request(services, "1", ARCHIVE, "Eve")
        assert [job.state for job in run_all(services)] == [JobState.FAILED]
        assert stored(services).error == "it is damaged"
        second = job_queue.request(services, "1", ARCHIVE, "Eve")
        assert second.run_id != first.run_id
        assert [(job.state, job.result) for job in run_all(services)] == [(JobState.DONE, {"fine": "now"})]


class TestPriority:
    """What people request goes before what the daily checks have requested."""

    @pytest.fixture
    def order(self, services: Services, steps: dict[JobKind, Step]) -> list[str]:
        ran: list[str] = []

        class Noted(Step):
            def __call__(self, services: Services, job: JobRecord) -> Mapping[str, str]:
                ran.append(job.image_id)
                return super().__call__(services, job)

        steps |= {kind: Noted({}) for kind in JobKind}
        for image_id in ("a", "b", "c"):
            services.slides.put_new(slide(image_id))
            job_queue.request_in_background(services, image_id, ARCHIVE, "idle")
        return ran

    def test_persons_job_goes_before_background_jobs_that_wait_longer(
        self, services: Services, order: list[str]
    ) -> None:
        job_queue.request(services, "1", JobKind.PUBLISH, "Eve", {"name": "STUDY-1"})
        run_all(services)
        assert order == ["1", "a", "b", "c"]

    def test_job_requested_during_a_background_job_is_next(
        self, services: Services, order: list[str]
    ) -> None:
        for job in job_runner.runs(services, JobKind, lambda: True):
            if job.image_id == "a":
                job_queue.request(services, "1", RESTORE, "Eve")
                job_queue.request(services, "2", RESTORE, "Eve")
        assert order == ["a", "1", "2", "b", "c"]

    def test_background_job_that_a_person_requests_as_well_becomes_a_persons(
        self, services: Services, order: list[str]
    ) -> None:
        asked = job_queue.request(services, "c", ARCHIVE, "Eve")
        assert (asked.is_background, asked.by) == (None, "idle")
        again = job_queue.request_in_background(services, "c", ARCHIVE, "idle")
        assert again.is_background is None
        run_all(services)
        assert order == ["c", "a", "b"]

    def test_failing_background_job_is_run_once_in_one_look(
        self,
        services: Services,
        order: list[str],
        steps: dict[JobKind, Step],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(job_runner, "FIRST_PAUSE_S", 0.0)
        steps[ARCHIVE].outcomes[:] = [UnavailableError("the archive is away")]
        run_all(services)
        assert order == ["a", "b", "c"]

    def test_no_job_starts_once_it_is_time_to_stop(self, services: Services, order: list[str]) -> None:
        asked = iter([True, False])
        job_runner.run_due(services, JobKind, lambda: next(asked))
        assert order == ["a"]


class TestJobRuns:
    def test_temporary_failure_is_retried_later(self, services: Services, steps: dict[JobKind, Step]) -> None:
        steps[ARCHIVE] = Step(UnavailableError("the archive is away"), {})
        job_queue.request(services, "1", ARCHIVE, "Eve")
        pauses = []
        for attempt in range(1, 4):
            steps[ARCHIVE].outcomes[:] = [UnavailableError("the archive is away")]
            make_due(services)
            before = now_utc()
            (job,) = run_all(services)
            assert (job.state, job.attempts, job.error) == (JobState.WAITING, attempt, "the archive is away")
            assert job.next_at > before
            pauses.append(job.next_at)
            assert run_all(services) == []  # not due
        steps[ARCHIVE].outcomes[:] = [{}]
        make_due(services)
        assert [(job.state, job.error) for job in run_all(services)] == [(JobState.DONE, None)]

    def test_pauses_grow_up_to_an_hour(self) -> None:
        for attempts, longest in ((1, 10), (2, 20), (5, 160), (9, 2560), (10, 3600), (500, 3600)):
            pause = job_runner._back_off(attempts).total_seconds()
            assert longest / 2 <= pause <= longest

    def test_job_fails_after_all_attempts(self, services: Services, steps: dict[JobKind, Step]) -> None:
        steps[ARCHIVE] = Step(OSError(28, "No space left on device"))
        services.slides.update("1", {"original": "ARCHIVING"}, by="Eve")
        job_queue.request(services, "1", ARCHIVE, "Eve")
        for _ in range(job_runner.ATTEMPTS):
            make_due(services)
            run_all(services)
        assert steps[ARCHIVE].runs == job_runner.ATTEMPTS
        assert stored(services).state is JobState.FAILED
        assert "disk full" in (stored(services).error or "")
        record = services.slides.get("1")
        assert record
        assert record.original is None  # nothing is under way any more

    def test_job_that_kills_the_process_fails_after_all_attempts(
        self, services: Services, steps: dict[JobKind, Step], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class KilledError(BaseException):
            pass

        def killed(_services: Services, _job: JobRecord) -> Mapping[str, str]:
            raise KilledError

        monkeypatch.setattr(job_registry, "step", lambda _kind: killed)
        job_queue.request(services, "1", ARCHIVE, "Eve")
        for attempt in (1, 2):
            make_due(services)
            with pytest.raises(KilledError):
                run_all(services)
            assert stored(services).attempts == attempt
            assert stored(services).next_at > now_utc()
        services.slides.update("1", {"original": "ARCHIVING"}, by="Eve")
        services.jobs.advance(stored(services), {"attempts": job_runner.ATTEMPTS})
        make_due(services)
        assert [job.state for job in run_all(services)] == [JobState.FAILED]
        assert "time or memory" in str(stored(services).error)
        record = services.slides.get("1")
        assert record
        assert record.original is None

    def test_job_that_waits_costs_no_attempts_and_stores_expected_time(
        self, services: Services, steps: dict[JobKind, Step]
    ) -> None:
        steps[RESTORE] = Step(NotYetError("it thaws", 5 * 3600))
        job_queue.request(services, "1", RESTORE, "Eve")
        for _ in range(job_runner.ATTEMPTS + 2):
            make_due(services, RESTORE)
            (job,) = run_all(services)
            assert (job.state, job.attempts, job.error) == (JobState.WAITING, 0, None)
            assert later(timedelta(hours=4)) < str(job.expected_at) < later(timedelta(hours=6))
            assert job.next_at < later(timedelta(minutes=16))

    def test_unknown_failure_is_logged_without_details_in_the_job(
        self, services: Services, steps: dict[JobKind, Step], caplog: pytest.LogCaptureFixture
    ) -> None:
        steps[ARCHIVE] = Step(RuntimeError("/secret/path"))
        job_queue.request(services, "1", ARCHIVE, "Eve")
        (job,) = run_all(services)
        assert job.state is JobState.WAITING
        assert "secret" not in str(job.error)
        assert "/secret/path" in caplog.text

    def test_job_of_locked_slide_is_not_run(self, services: Services, steps: dict[JobKind, Step]) -> None:
        steps[ARCHIVE] = Step({})
        job = job_queue.request(services, "1", ARCHIVE, "Eve")
        with locked(services.files, "1"):
            with pytest.raises(UnavailableError, match="something else"):
                job_runner.run(services, job)
            assert run_all(services) == []
            assert stored(services).attempts == 0
        assert [job.state for job in run_all(services)] == [JobState.DONE]
        assert steps[ARCHIVE].runs == 1

    def test_replaced_request_is_not_run(self, services: Services, steps: dict[JobKind, Step]) -> None:
        steps[ARCHIVE] = Step(UnreadableSlideError("no"), {})
        first = job_queue.request(services, "1", ARCHIVE, "Eve")
        run_all(services)
        job_queue.request(services, "1", ARCHIVE, "Eve")
        with pytest.raises(VersionConflictError):
            job_runner.run(services, first)
        assert steps[ARCHIVE].runs == 1

    def test_job_already_run_elsewhere_is_skipped(
        self, services: Services, steps: dict[JobKind, Step]
    ) -> None:
        steps[ARCHIVE] = Step(UnavailableError("away"))
        for image_id in ("1", "2"):
            job_queue.request(services, image_id, ARCHIVE, "Eve")
        first = job_runner.runs(services, JobKind, lambda: True)
        assert next(first).image_id == "1"
        assert [job.image_id for job in run_all(services)] == ["2"]
        assert list(first) == []
        assert steps[ARCHIVE].runs == 2

    def test_job_replaced_during_run_leaves_record_to_the_new_job(
        self, services: Services, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        services.slides.update("1", {"delivery": "WAITING"}, by="Eve")
        first = job_queue.request(services, "1", SEND, "Eve", {"version": "1"})

        def replaced(services: Services, _job: JobRecord) -> Mapping[str, str]:
            job_queue.request(services, "1", SEND, "Eve", {"version": "2"}, instead=True)
            raise UnreadableSlideError("no")

        monkeypatch.setattr(job_registry, "step", lambda _kind: replaced)
        with pytest.raises(VersionConflictError):
            job_runner.run(services, first)
        record = services.slides.get("1")
        assert record
        assert record.delivery == "WAITING"
        assert stored(services, SEND).state is JobState.WAITING

    def test_job_with_due_time_far_in_the_future_is_run(
        self, services: Services, steps: dict[JobKind, Step]
    ) -> None:
        steps[ARCHIVE] = Step({})
        job_queue.request(services, "1", ARCHIVE, "Eve")
        services.jobs.advance(stored(services), {"next_at": later(timedelta(days=400))})
        assert [job.state for job in run_all(services)] == [JobState.DONE]

    def test_run_due_stops_when_time_is_up(self, services: Services, steps: dict[JobKind, Step]) -> None:
        steps[ARCHIVE] = Step({})
        for image_id in ("1", "2", "3"):
            job_queue.request(services, image_id, ARCHIVE, "Eve")
        left = [True, True, False]
        assert len(job_runner.run_due(services, JobKind, lambda: left.pop(0))) == 2
        assert len(run_all(services)) == 1


def test_registry_has_a_step_for_each_job_kind() -> None:
    for kind in JobKind:
        assert callable(job_registry.step(kind))
