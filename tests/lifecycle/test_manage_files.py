"""The function that runs jobs on slides' files: woken by whatever comes, it does what is due while there is time."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import send_slides.handler
from lambda_support.job_batches import longest_wait
from lambda_support.observability import _metrics
from manage_files import handler
from moto.dynamodb.models import dynamodb_backends
from moto.events.models import EventPattern
from vsv import runtime
from vsv.errors import BadRequestError, UnavailableError
from vsv.lifecycle import daily_schedule, job_runner, purging
from vsv.records.models import JobKind, JobRecord, JobState, Status
from vsv.services import Services
from vsv.settings import Settings
from vsv.workflow import job_queue
from vsv.workflow.transitions import Decider, change

from tests.support.aws.cloudformation import ACCOUNT, REGION, Template, template
from tests.support.aws.dynamo_tables import create_tables, mocked_dynamodb
from tests.support.paths import ROOT
from tests.support.stores.store_records import slide
from vsv_local.composition import standalone

ADMIN = Decider("Eve", is_admin=True)
LIFE, STORAGE = template(ROOT / "stacks/life.yaml"), template(ROOT / "stacks/storage.yaml")
DONE = {"batchItemFailures": []}


class Context:
    """Lambda's context; ``left_ms`` are told one after the other, the last for ever."""

    def __init__(self, *left_ms: int) -> None:
        self.left_ms = list(left_ms) or [900_000]

    def get_remaining_time_in_millis(self) -> int:
        return self.left_ms.pop(0) if len(self.left_ms) > 1 else self.left_ms[0]


def put_slide(services: Services, image_id: str) -> None:
    services.slides.put_new(slide(image_id))
    folder = services.files.folder(image_id)
    folder.mkdir(parents=True)
    for name, content in (("import.json", b"{}"), ("slide.svs", b"slide"), ("pyramid.tif", b"pyramid")):
        (folder / name).write_bytes(content)


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    with standalone(tmp_path / "data") as (services, _intake):
        for image_id in ("1", "2"):
            put_slide(services, image_id)
            change(services, image_id, {"status": Status.DELETED}, ADMIN)
        yield services


def ask(services: Services, image_id: str = "1", kind: JobKind = JobKind.PURGE) -> JobRecord:
    return job_queue.request(services, image_id, kind, "Eve")


def stored(services: Services, image_id: str = "1", kind: JobKind = JobKind.PURGE) -> JobRecord:
    found = services.jobs.get(image_id, kind)
    assert found
    return found


def call(event: Any, context: Context | None = None) -> Any:
    return handler.lambda_handler(event, context or Context())


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"Records": []},
        {"Records": None},
        {"Records": [{"eventName": "INSERT", "dynamodb": {"NewImage": {"JobID": {"S": "../x"}}}}]},
        {"Records": [None, "x", {"dynamodb": {"NewImage": {"State": {"N": "NaN"}}}}] * 100},
        {"version": "0", "source": "aws.events", "detail-type": "Scheduled Event"},
    ],
)
def test_handler_runs_due_jobs_for_any_event(services: Services, event: Any) -> None:
    ask(services)
    assert call(event) == DONE
    assert stored(services).state is JobState.DONE
    assert services.files.stored_size("1") is None
    assert services.files.stored_size("2") == 5


def test_handler_does_not_run_send_jobs(services: Services) -> None:
    ask(services, kind=JobKind.SEND)
    assert call({}) == DONE
    assert (stored(services, kind=JobKind.SEND).state, stored(services, kind=JobKind.SEND).attempts) == (
        JobState.WAITING,
        0,
    )


def test_handler_starts_no_job_without_enough_time(services: Services) -> None:
    ask(services, "1")
    ask(services, "2")
    assert call({}, Context(handler.NEEDS_MS)) == DONE
    assert [stored(services, image_id).attempts for image_id in ("1", "2")] == [0, 0]
    call({}, Context(handler.NEEDS_MS + 1, handler.NEEDS_MS))
    assert sorted(stored(services, image_id).state for image_id in ("1", "2")) == ["DONE", "WAITING"]
    call({})
    assert stored(services, "2").state is JobState.DONE


def test_failed_job_does_not_stop_the_others(services: Services) -> None:
    change(services, "1", {"status": Status.NEW}, ADMIN)  # what is not deleted is not purged
    ask(services, "1")
    ask(services, "2")
    assert call({}) == DONE
    assert [stored(services, image_id).state for image_id in ("1", "2")] == [JobState.FAILED, JobState.DONE]


def test_handler_raises_unavailable_when_records_cannot_be_read(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> Any:
        raise UnavailableError("the record store does not answer now")

    monkeypatch.setattr(type(services.jobs), "by_state", away)
    with pytest.raises(UnavailableError):
        call({"Records": []})


class TestDailyLooks:
    def test_slides_after_grace_period_are_requested_for_purge(
        self, services: Services, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert call({"look": "deleted"}) == {"asked": 0}
        monkeypatch.setattr(purging, "waited_s", lambda *_: 8 * purging.DAY_S)
        assert call({"look": "deleted"}) == {"asked": 2}
        assert stored(services).by == purging.GRACE_OVER

    def test_old_leftovers_are_removed(self, services: Services) -> None:
        services.files.prepare()
        left = services.files.root / "taken/a.svs"
        left.mkdir()
        part = services.files.deleted_folder("1") / "pyramid.tif.0123.part"
        for path in (part, services.files.deleted_folder("2") / "new.part"):
            path.touch()
        for path in (part, left):
            os.utime(path, (0, 0))
        assert call({"look": "leftovers"}) == {"asked": 0}
        assert not left.exists()
        assert not part.exists()
        assert (services.files.deleted_folder("2") / "new.part").exists()

    def test_looks_before_the_first_import_request_no_jobs(self, tmp_path: Path) -> None:
        with mocked_dynamodb() as client:
            create_tables(client, "slides", "imports")
            (tmp_path / "mounted").mkdir()
            with_nothing(tmp_path / "mounted")
            assert {call({"look": name})["asked"] for name in daily_schedule.LOOKS} == {0}
            runtime.use(None)

    @pytest.mark.parametrize("name", ["", "everything", "__class__", 1, ["deleted"], {}])
    def test_unknown_looks_are_refused(self, services: Services, name: Any) -> None:
        with pytest.raises(BadRequestError, match="leftovers"):
            call({"look": name})

    def test_each_look_is_a_separate_daily_call(self) -> None:
        rule = LIFE.value(LIFE.properties("DailyLooksRule"))
        asked = [json.loads(target["Input"]) for target in rule["Targets"]]
        assert asked == [{"look": name} for name in sorted(daily_schedule.LOOKS)]
        assert rule["ScheduleExpression"].startswith("cron(")
        guide = (ROOT / "docs/operating/runbooks/letters-waiting.md").read_text()
        [_, section] = guide.split("## Repeat a daily look\n")
        explained = section.partition("\n## ")[0]
        assert all(f"`{name}`" in explained for name in daily_schedule.LOOKS)


def with_nothing(data: Path) -> Services:
    """Create an installation on AWS without a slide."""
    names = {"slides_table": "slides", "review_table": "slides-review", "imports_table": "imports"}
    services = runtime.on_aws(Settings(data=data, jobs_table="slides-jobs", **names))
    runtime.use(services)
    return services


class TestMetrics:
    def test_finished_jobs_are_counted_by_kind_and_in_total(
        self, services: Services, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "f")
        monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "vsv")
        change(services, "2", {"status": Status.NEW}, ADMIN)
        ask(services, "1")
        ask(services, "2")
        try:
            call({})
            counted = _metrics().serialize_metric_set()
        finally:
            _metrics().clear_metrics()
        written = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [{"JobDone", "JobFailed"} & one.keys() for one in written] == [{"JobDone"}, {"JobFailed"}]
        for one in written:
            (told,) = one["_aws"]["CloudWatchMetrics"]
            assert told["Namespace"] == "VSV"
            assert sorted(map(sorted, told["Dimensions"])) == [["Kind", "service"], ["service"]]
            assert (one["Kind"], one["service"]) == ("PURGE", "vsv")
        assert (counted["FilesPurged"], counted["BytesPurged"]) == ([2.0], [12.0])
        assert 0 <= counted["JobWaitMinutes"][0] < 1

    def test_job_wait_metric_is_sent_by_manage_files_alone(
        self, services: Services, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Told by two, the alarm would not hear that one of them is silent; and what is not sent waits, too."""
        monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "f")
        monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "vsv")
        monkeypatch.setattr(
            job_runner.job_registry, "step", lambda _kind: pytest.fail("nothing of files is due")
        )
        job = services.jobs.advance(
            ask(services, kind=JobKind.SEND), {"expected_at": "2026-01-01T00:00:00.000000Z"}
        )
        try:
            monkeypatch.setattr(send_slides.handler, "NEEDS_MS", 1_000_000)  # no time: it only looks
            send_slides.handler.lambda_handler({}, Context())
            assert "JobWaitMinutes" not in _metrics().metric_set
            call({})
            assert _metrics().metric_set["JobWaitMinutes"]["Value"][0] >= longest_wait([job]) - 1 > 60 * 24
        finally:
            _metrics().clear_metrics()

    def test_longest_wait_starts_at_the_expected_time(self, services: Services) -> None:
        assert longest_wait([]) == 0
        old = {"requested_at": "2026-01-01T00:00:00.000000Z", "next_at": "2026-01-01T00:00:00.000000Z"}
        job = services.jobs.advance(ask(services), {"next_at": old["next_at"]})
        assert 0 <= longest_wait([job]) < 1
        expected = services.jobs.advance(job, {"expected_at": old["requested_at"]})
        assert longest_wait([job, expected]) > 60 * 24


class TestStreamFilters:
    """The stream as DynamoDB writes it, through the event source's own filter."""

    @pytest.fixture
    def on_aws(self, tmp_path: Path) -> Iterator[Services]:
        with mocked_dynamodb() as client:
            create_tables(client, "slides", "imports")
            stream = STORAGE.properties("JobsTable")["StreamSpecification"]
            client.update_table(
                TableName="slides-jobs", StreamSpecification={"StreamEnabled": True, **stream}
            )
            services = with_nothing(tmp_path)
            put_slide(services, "1")
            yield services
            runtime.use(None)

    def test_new_request_wakes_a_function_and_job_update_does_not(self, on_aws: Services) -> None:
        ask(on_aws)
        assert woken_by("ManageFilesSource") == ["PURGE.1"]
        assert woken_by("SendSlidesSource") == []
        assert call({}) == DONE  # not deleted: FAILED
        assert woken_by("ManageFilesSource") == ["PURGE.1"]
        ask(on_aws)  # again, in place of the first
        ask(on_aws, kind=JobKind.SEND)
        assert woken_by("ManageFilesSource") == ["PURGE.1"] * 2
        assert woken_by("SendSlidesSource") == ["SEND.1"]

    def test_attempts_wake_no_function(self, on_aws: Services, monkeypatch: pytest.MonkeyPatch) -> None:
        def away(*_: Any) -> Any:
            raise UnavailableError("not now")

        monkeypatch.setattr(job_runner.job_registry, "step", lambda _kind: away)
        ask(on_aws)
        call({})
        assert stored(on_aws).attempts == 1
        assert woken_by("ManageFilesSource") == ["PURGE.1"]

    @pytest.mark.parametrize("kind", JobKind)
    def test_every_job_kind_wakes_a_single_function(self, on_aws: Services, kind: JobKind) -> None:
        ask(on_aws, kind=kind)
        sending = kind is JobKind.SEND
        assert (woken_by("ManageFilesSource"), woken_by("SendSlidesSource")) == (
            ([], [f"{kind}.1"]) if sending else ([f"{kind}.1"], [])
        )


def woken_by(source: str, life: Template = LIFE) -> list[str]:
    """Return the IDs of the jobs whose stream records pass a source's filter."""
    (pattern,) = life.properties(source)["FilterCriteria"]["Filters"]
    passes = EventPattern.load(pattern["Pattern"]).matches_event
    return [record["dynamodb"]["NewImage"]["JobID"]["S"] for record in stream_records() if passes(record)]


def stream_records() -> list[dict[str, Any]]:
    """Return the records of the jobs table's stream, from moto itself, which has no DescribeStream for it."""
    table = dynamodb_backends[ACCOUNT][REGION].tables["slides-jobs"]
    return [
        {**item.record, "dynamodb": {"NewImage": item.record["dynamodb"]["NewImage"]}}
        for item in table.stream_shard.items
    ]
