"""The function on the imports table's stream: which records start an execution, and what holds up none."""

import copy
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from start_import import handler
from vsv.aws.stream_import_starter import StreamStarter
from vsv.errors import InvalidNameError, SettingsError, UnavailableError, VersionConflictError
from vsv.records.models import ImportRecord, ImportState
from vsv.timestamps import now_utc

from tests.support.paths import STREAM_RECORDS
from tests.support.stores.store_records import slide_import

RECORD = json.loads((STREAM_RECORDS / "import_waiting.json").read_text())
RUN_ID = RECORD["dynamodb"]["NewImage"]["RunID"]["S"]


class Context:
    """Lambda's context with as much time left as each call finds."""

    def __init__(self, *left: int) -> None:
        self.left = list(left)

    def get_remaining_time_in_millis(self) -> int:
        return self.left.pop(0) if self.left else 60_000


class Machine:
    """What was started, and what cannot be."""

    def __init__(self) -> None:
        self.started: list[ImportRecord] = []
        self.refused: set[str] = set()

    def start(self, run: ImportRecord) -> None:
        if run.run_id in self.refused:
            raise UnavailableError("the import could not be started now")
        self.started.append(run)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    made = Machine()
    monkeypatch.setenv("VSV_IMPORT_MACHINE", "arn:aws:states:eu-central-1:123456789012:stateMachine:import")
    monkeypatch.setattr(handler, "_machine", lambda _arn: made)
    yield made


def record(number: int = 1, event: str = "INSERT", **fields: Any) -> dict[str, Any]:
    """Return the recorded record with another number and other fields (None removes a field)."""
    made: dict[str, Any] = copy.deepcopy(RECORD)
    made["eventName"] = event
    made["dynamodb"]["SequenceNumber"] = str(number)
    image = made["dynamodb"]["NewImage"] | fields
    made["dynamodb"]["NewImage"] = {name: value for name, value in image.items() if value is not None}
    return made


def modified(**fields: Any) -> dict[str, Any]:
    """Return the record of a change after which these fields have these values."""
    made = record(event="MODIFY", **fields)
    made["dynamodb"]["OldImage"] = RECORD["dynamodb"]["NewImage"]
    return made


def handle(*records: Any, context: Any = None) -> list[str]:
    answer = handler.lambda_handler({"Records": list(records)}, context or Context())
    assert answer.keys() == {"batchItemFailures"}
    return [one["itemIdentifier"] for one in answer["batchItemFailures"]]


def test_waiting_run_is_started_with_its_name_size_and_run_id(machine: Machine) -> None:
    assert handle(RECORD) == []
    (run,) = machine.started
    assert (run.filename, run.size, run.run_id, run.source) == ("12345 ü.svs", 1938955, RUN_ID, None)


def test_source_of_dropped_object_is_passed_to_the_machine(machine: Machine) -> None:
    handle(record(Source={"S": "s3://drop-in/a.svs?versionId=1"}))
    assert [run.source for run in machine.started] == ["s3://drop-in/a.svs?versionId=1"]


@pytest.mark.parametrize("state", [state for state in ImportState if state != "TRANSFERRING"])
def test_run_in_another_state_is_not_started(machine: Machine, state: str) -> None:
    assert handle(record(State={"S": state})) == []
    assert machine.started == []


def test_record_with_new_update_time_alone_starts_its_run_again(machine: Machine) -> None:
    handle(modified(UpdatedAt={"S": "2026-11-21T07:10:58.000042Z"}))
    assert len(machine.started) == 1


def test_new_run_of_the_same_file_name_is_started(machine: Machine) -> None:
    handle(modified(RunID={"S": "another"}, Size={"N": "5"}))
    assert [run.run_id for run in machine.started] == ["another"]


def test_change_made_by_a_step_starts_no_run(machine: Machine) -> None:
    assert handle(modified(Progress={"N": "0.5"}, UpdatedAt={"S": "2026-11-21T07:10:58.000042Z"})) == []
    assert handle(modified(Error={"S": "the transfer failed; it is tried again"})) == []
    assert machine.started == []


def test_batch_with_repeated_run_starts_each_run_once(machine: Machine) -> None:
    handle(record(1), record(2), record(3, RunID={"S": "another"}))
    assert [run.run_id for run in machine.started] == [RUN_ID, "another"]


def test_failed_start_is_returned_and_other_runs_are_started(machine: Machine) -> None:
    machine.refused = {"second"}
    runs = [record(number, RunID={"S": name}) for number, name in enumerate(("first", "second", "third"))]
    assert handle(*runs) == ["1"]
    assert [run.run_id for run in machine.started] == ["first", "third"]


def test_runs_without_time_left_are_returned(machine: Machine) -> None:
    runs = [record(number, RunID={"S": str(number)}) for number in (1, 2)]
    assert handle(*runs, context=Context(60_000, 19_999)) == ["2"]


@pytest.mark.parametrize(
    "hostile",
    [
        None, 1, [], {}, {"eventName": "INSERT"}, {"eventName": "INSERT", "dynamodb": []},
        record(event="REMOVE"), record(Filename=None), record(Filename={"S": "../a.svs"}),
        record(Filename={"N": "1"}), record(Filename="a.svs"), record(RunID=None), record(RunID={"S": "a/b"}),
        record(Size=None), record(Size={"N": "-1"}), record(Size={"N": "1e9"}), record(Size={"N": "9" * 400}),
        record(Size={"N": 5}), record(State=["TRANSFERRING"]), record() | {"eventName": ["INSERT"]},
        {**record(), "dynamodb": {**record()["dynamodb"], "SequenceNumber": None}},
    ],
)  # fmt: skip
def test_malformed_record_is_ignored(machine: Machine, hostile: Any) -> None:
    assert handle(hostile, RECORD) == []
    assert [run.run_id for run in machine.started] == [RUN_ID]


@pytest.mark.parametrize("event", [{}, {"Records": None}, {"Records": []}, {"Records": "x"}])
def test_event_without_records_reports_no_failures(machine: Machine, event: Any) -> None:
    assert handler.lambda_handler(event, Context()) == {"batchItemFailures": []}


def test_missing_machine_setting_raises_settings_error(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VSV_IMPORT_MACHINE")
    with pytest.raises(SettingsError, match="VSV_IMPORT_MACHINE"):
        handle(RECORD)


class Touched:
    """An import store that notes what is asked of it."""

    def __init__(self, error: Exception | None = None) -> None:
        self.asked: list[Any] = []
        self.error = error

    def advance(self, *arguments: Any) -> None:
        self.asked.append(arguments)
        if self.error:
            raise self.error


def started(minutes_ago: int, state: ImportState = ImportState.TRANSFERRING) -> ImportRecord:
    then = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    text = then.isoformat(timespec="microseconds").replace("+00:00", "Z")
    assert len(text) == len(now_utc())
    return slide_import(state=state, updated_at=text)


@pytest.mark.parametrize("name", ["a.mrxs", "a.VMS", "a.vmu"])
def test_stream_starter_refuses_slides_of_several_files_by_name(name: str) -> None:
    starter = StreamStarter(Touched())  # type: ignore[arg-type]
    with pytest.raises(InvalidNameError, match=r"several files \(\.mrxs \.vms \.vmu\).* on AWS"):
        starter.describe_source(name, 5)
    assert starter.describe_source("a.svs", 5) is None


def test_stream_starter_updates_only_runs_that_waited_for_minutes() -> None:
    store = Touched()
    starter = StreamStarter(store)  # type: ignore[arg-type]
    starter.start(started(0))
    starter.start(started(99, ImportState.IMPORTING))
    assert store.asked == []
    starter.start(started(3))
    assert store.asked == [("a.svs", "run-1", {})]


def test_stream_starter_ignores_a_run_that_was_replaced() -> None:
    StreamStarter(Touched(VersionConflictError("another run"))).start(started(3))  # type: ignore[arg-type]


def test_stream_starter_returns_none_for_sources() -> None:
    starter = StreamStarter(Touched())  # type: ignore[arg-type]
    assert starter.describe_source("a.svs", 1) is None
    assert starter.new_source("a.svs", 1, {"0"}, None) is None


@pytest.mark.parametrize(("days", "ended"), [(0, False), (5.9, False), (6.1, True)])
def test_stream_starter_reports_a_run_as_ended_after_6_days(days: float, ended: bool) -> None:
    run = replace(started(0), started_at=(datetime.now(UTC) - timedelta(days=days)).isoformat())
    assert StreamStarter(Touched()).has_ended(run) is ended  # type: ignore[arg-type]
