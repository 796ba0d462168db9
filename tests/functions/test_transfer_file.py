"""Following DataSync: which execution has the file, what is started, how long is waited, when it is given up."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from hypothesis import assume, given
from hypothesis import strategies as st
from transfer_file.transfer_progress import TransferProgress, follow
from vsv.aws.datasync import FILTER_BYTES, DataSyncTask, Execution, limit_to_filter, pattern_of
from vsv.errors import TransferError, UnavailableError, VersionConflictError
from vsv.identifiers import is_slide_filename
from vsv.records.models import ImportRecord, ImportState
from vsv.records.stores import ImportStore

from tests.support.aws.fake_datasync import MODEL, PHASES, TASK_ARN, FakeDataSync, check_shape
from tests.support.slides.small import put
from tests.support.stores.store_records import slide_import
from vsv_local.stores.sqlite_records import SqliteImportStore, open_database

A = [{"FilterType": "SIMPLE_PATTERN", "Value": "/a.svs"}]
Z = [{"FilterType": "SIMPLE_PATTERN", "Value": "/z.svs"}]


@pytest.fixture
def imports(tmp_path: Path) -> Iterator[ImportStore]:
    with open_database(tmp_path / "records.db") as database:
        yield SqliteImportStore(database)


@pytest.fixture
def service(tmp_path: Path) -> FakeDataSync:
    for name in ("scanner", "incoming"):
        (tmp_path / name).mkdir()
    put(tmp_path / "scanner", "a.svs", b"a slide")
    return FakeDataSync(tmp_path / "scanner", tmp_path / "incoming")


@pytest.fixture
def task(service: FakeDataSync) -> DataSyncTask:
    return DataSyncTask(TASK_ARN, service)


def begun(imports: ImportStore, filename: str = "a.svs", **fields: Any) -> ImportRecord:
    run = slide_import(filename, **fields)
    imports.start(run, replaces=None)
    return run


def stored(imports: ImportStore, filename: str = "a.svs") -> ImportRecord:
    found = imports.get(filename)
    assert found is not None
    return found


def until_done(
    imports: ImportStore,
    task: DataSyncTask,
    so_far: TransferProgress = TransferProgress(),  # noqa: B008
) -> TransferProgress:
    for _ in range(20):
        so_far = follow(imports, task, stored(imports), so_far)
        if so_far.done:
            return so_far
    raise AssertionError("it has not arrived")


def test_follow_starts_an_execution_and_ends_with_state_importing(
    imports: ImportStore, service: FakeDataSync, task: DataSyncTask
) -> None:
    so_far = follow(imports, task, begun(imports), TransferProgress())
    assert (so_far.done, so_far.execution, so_far.wait_s) == (False, service.executions[0].arn, 20)
    assert stored(imports).state is ImportState.TRANSFERRING
    so_far = until_done(imports, task, so_far)
    assert (so_far.completed, so_far.errors, service.executions[0].sent) == (1, 0, ["a.svs"])
    assert stored(imports).state is ImportState.IMPORTING  # nobody else sends it any more


def test_transfer_progress_is_read_back_from_its_event() -> None:
    so_far = TransferProgress(True, "arn", 1, 2, 3, 40)
    assert TransferProgress.from_event(so_far.to_event()) == replace(so_far, wait_s=20)
    assert TransferProgress.from_event({}) == TransferProgress()


def test_execution_includes_waiting_scanner_files_alone(
    imports: ImportStore, service: FakeDataSync, task: DataSyncTask
) -> None:
    begun(imports, "b.svs")
    begun(imports, "c.svs", state=ImportState.IMPORTING)
    begun(imports, "d.svs", state=ImportState.FAILED)
    begun(imports, "e.svs", source="s3://drop-in/e.svs?versionId=1")
    begun(imports, "f.svs", image_id="stored-already")
    follow(imports, task, begun(imports), TransferProgress())
    assert service.executions[0].names == ["/a.svs", "/b.svs"]


def test_execution_includes_files_of_more_than_a_page(
    imports: ImportStore, service: FakeDataSync, task: DataSyncTask
) -> None:
    for number in range(230):
        begun(imports, f"{number}.svs")
    follow(imports, task, begun(imports), TransferProgress())
    assert len(service.executions[0].names) == 231


def test_execution_excludes_files_that_arrived_since_they_were_requested(
    imports: ImportStore, service: FakeDataSync, task: DataSyncTask
) -> None:
    begun(imports, "b.svs")
    begun(imports, "c.svs", started_at="2999-01-01T00:00:00.000000Z")  # asked for since
    service.begin([{"FilterType": "SIMPLE_PATTERN", "Value": "/b.svs|/c.svs"}]).phase = PHASES.index(
        "SUCCESS"
    )
    follow(imports, task, begun(imports), TransferProgress())
    assert service.executions[1].names == ["/a.svs", "/c.svs"]


def test_execution_that_ended_between_rounds_counts(
    imports: ImportStore, service: FakeDataSync, task: DataSyncTask
) -> None:
    run = begun(imports)
    service.begin(A).phase = PHASES.index("SUCCESS")
    assert follow(imports, task, run, TransferProgress()).done
    assert len(service.executions) == 1


def test_execution_before_the_run_does_not_count(
    imports: ImportStore, service: FakeDataSync, task: DataSyncTask
) -> None:
    service.begin(A).phase = PHASES.index("SUCCESS")
    run = begun(imports, started_at="2999-01-01T00:00:00.000000Z")
    assert not follow(imports, task, run, TransferProgress()).done
    assert len(service.executions) == 2


def test_returned_run_is_transferred_again_without_its_checksum(
    imports: ImportStore, service: FakeDataSync, task: DataSyncTask
) -> None:
    begun(imports)
    so_far = until_done(imports, task)
    imports.advance("a.svs", "run-1", {"checksum": "00", "image_id": "1", "state": ImportState.IMPORTING})
    so_far = until_done(imports, task, so_far)
    assert (so_far.completed, len(service.executions)) == (2, 2)
    assert (stored(imports).checksum, stored(imports).image_id) == (None, None)


def test_execution_started_by_a_concurrent_run_is_followed_in_the_same_round(
    imports: ImportStore, service: FakeDataSync, task: DataSyncTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = service.start_task_execution

    def second(**request: Any) -> Any:
        service.begin(A)
        return start(**request)

    monkeypatch.setattr(service, "start_task_execution", second)
    so_far = follow(imports, task, begun(imports), TransferProgress())
    assert (so_far.execution, so_far.errors) == (service.executions[0].arn, 0)


def test_refused_start_counts_as_an_error_and_is_retried(
    imports: ImportStore, service: FakeDataSync, task: DataSyncTask
) -> None:
    service.refuse_next = 1
    so_far = follow(imports, task, begun(imports), TransferProgress())
    assert (so_far.execution, so_far.errors) == (None, 1)
    assert "could not be started; it is tried again" in (stored(imports).error or "")
    assert until_done(imports, task, so_far).completed == 1
    assert stored(imports).error is None


def test_execution_unknown_to_datasync_is_replaced_by_a_new_start(
    imports: ImportStore, service: FakeDataSync, task: DataSyncTask
) -> None:
    """After weeks without a slide, the task may name one that can no longer be looked at."""
    service.begin(Z).forgotten = True
    so_far = follow(imports, task, begun(imports), TransferProgress())
    assert (so_far.execution, so_far.errors) == (service.executions[1].arn, 0)
    assert until_done(imports, task, so_far).completed == 1


def test_file_is_transferred_alone_after_a_failure(
    imports: ImportStore, service: FakeDataSync, task: DataSyncTask
) -> None:
    begun(imports, "b.svs")
    service.fail_next = ["AgentOffline"]
    begun(imports)
    assert until_done(imports, task).errors == 1
    assert [one.names for one in service.executions] == [["/a.svs", "/b.svs"], ["/a.svs"]]


def test_files_are_transferred_together_after_two_failures(
    imports: ImportStore, service: FakeDataSync, task: DataSyncTask
) -> None:
    begun(imports, "b.svs")
    service.fail_next = ["AgentOffline"] * 2
    begun(imports)
    assert until_done(imports, task).errors == 2
    assert [len(one.names) for one in service.executions] == [2, 1, 2]


def test_transfer_succeeds_after_a_weekend_of_failures(
    imports: ImportStore, service: FakeDataSync, task: DataSyncTask
) -> None:
    so_far, waited_s = TransferProgress(), 0
    begun(imports)
    while waited_s < 64 * 3600:
        service.fail_next = ["AgentOffline"]
        so_far = follow(imports, task, stored(imports), so_far)
        waited_s += so_far.wait_s
    service.fail_next = []
    assert until_done(imports, task, so_far).done


@pytest.mark.parametrize(("errors", "longest"), [(0, 30), (3, 240), (7, 3600), (22, 3600)])
def test_wait_doubles_after_each_failure_up_to_an_hour(
    imports: ImportStore, service: FakeDataSync, task: DataSyncTask, errors: int, longest: int
) -> None:
    service.refuse_next = 1
    so_far = follow(imports, task, begun(imports), TransferProgress(errors=errors))
    assert longest / 2 <= so_far.wait_s <= longest


def test_success_and_error_are_the_only_final_statuses_of_the_service() -> None:
    """One that is being cancelled may still write."""
    known = MODEL.shape_for("TaskExecutionStatus").enum  # type: ignore[attr-defined]
    ended = {status for status in known if not Execution("arn", status).is_running}
    assert (ended, set(PHASES) <= set(known)) == ({"SUCCESS", "ERROR"}, True)


def test_120_failures_raise_transfer_error(
    imports: ImportStore, service: FakeDataSync, task: DataSyncTask
) -> None:
    service.refuse_next = 1
    with pytest.raises(TransferError, match="120 times: check the DataSync task"):
        follow(imports, task, begun(imports), TransferProgress(errors=119))


def test_1500_rounds_raise_transfer_error(
    imports: ImportStore, service: FakeDataSync, task: DataSyncTask
) -> None:
    service.held = True
    service.begin(Z)
    run = begun(imports)
    assert follow(imports, task, run, TransferProgress(rounds=1499)).wait_s == 300
    with pytest.raises(TransferError, match="is taking too long"):
        follow(imports, task, run, TransferProgress(rounds=1500))


def test_replaced_run_raises_version_conflict(imports: ImportStore, task: DataSyncTask) -> None:
    run = begun(imports)
    so_far = follow(imports, task, run, TransferProgress())
    imports.start(slide_import(run_id="run-2"), replaces="run-1")
    with pytest.raises(VersionConflictError):
        for _ in range(20):
            so_far = follow(imports, task, run, so_far)


@given(st.lists(st.text(min_size=1, max_size=60).map(lambda text: f"{text}.svs"), max_size=20, unique=True))
def test_filter_pattern_contains_each_file_name_literally(names: list[str]) -> None:
    names = [name for name in names if is_slide_filename(name)]
    assume(names)
    pattern = pattern_of(names)
    assert [part.removeprefix("/") for part in pattern.split("|")] == names
    assert not set("*\\") & set(pattern)


@pytest.mark.parametrize("special", ["*", "|", "\\", "\0"])
def test_file_name_with_filter_character_is_invalid(special: str) -> None:
    assert not is_slide_filename(f"a{special}b.svs")


def test_filter_contains_as_many_names_as_its_limit_allows() -> None:
    names = [f"{number:05}{'ä' * 95}.svs" for number in range(2000)]
    kept = limit_to_filter(names)
    assert kept == names[: len(kept)]
    assert 400 < len(kept) < 2000
    check_shape("StartTaskExecution", {
        "TaskArn": TASK_ARN, "Includes": [{"FilterType": "SIMPLE_PATTERN", "Value": pattern_of(kept)}],
    })  # fmt: skip
    assert len(pattern_of(kept).encode()) <= FILTER_BYTES


@pytest.mark.parametrize(
    "error",
    [
        EndpointConnectionError(endpoint_url="https://datasync.example"),
        ClientError({"Error": {"Code": "ThrottlingException"}}, "DescribeTask"),
        ClientError({"Error": {"Code": "InternalException"}}, "DescribeTask"),
    ],
    ids=repr,
)
def test_unavailable_datasync_raises_unavailable_error_without_details(error: Exception) -> None:
    class Broken:
        def __getattr__(self, _name: str) -> Any:
            def fail(**_: Any) -> None:
                raise error

            return fail

    task = DataSyncTask(TASK_ARN, Broken())
    for ask in (task.latest, lambda: task.execution("arn"), lambda: task.start(["a.svs"])):
        with pytest.raises(UnavailableError, match="DataSync does not answer now"):
            ask()


class TestFakeDataSync:
    """That it behaves as the service is described."""

    def test_malformed_requests_are_refused(self, service: FakeDataSync) -> None:
        requests: list[dict[str, Any]] = [
            {"TaskArn": TASK_ARN, "Includes": A + Z},
            {"TaskArn": TASK_ARN, "Includes": [{"FilterType": "SIMPLE_PATTERN", "Value": 5}]},
            {"TaskArn": TASK_ARN, "Include": A},
            {},
        ]
        for request in requests:
            with pytest.raises(AssertionError):
                service.start_task_execution(**request)

    def test_second_execution_is_refused(self, service: FakeDataSync) -> None:
        service.start_task_execution(TaskArn=TASK_ARN)
        with pytest.raises(ClientError, match="InvalidRequestException"):
            service.start_task_execution(TaskArn=TASK_ARN)

    def test_execution_passes_through_its_phases_to_success(self, service: FakeDataSync) -> None:
        arn = service.start_task_execution(TaskArn=TASK_ARN)["TaskExecutionArn"]
        seen = [service.describe_task_execution(TaskExecutionArn=arn)["Status"] for _ in range(7)]
        assert seen == [*PHASES, "SUCCESS", "SUCCESS"]

    def test_only_changed_files_are_transferred(self, service: FakeDataSync) -> None:
        sent = []
        for content in (b"a slide", b"a slide", b"A SLIDE"):
            put(service.source, "a.svs", content, modified=1_700_000_000_000_000_000 + content[0])
            execution = service.begin(A)
            while execution.is_running:
                service.describe_task_execution(TaskExecutionArn=execution.arn)
            sent.append(execution.sent)
        assert sent == [["a.svs"], [], ["a.svs"]]
        assert (service.destination / "a.svs").read_bytes() == b"A SLIDE"
