"""Why imports fail, in sentences for technicians: from the state machine's errors and from EventBridge's events."""

import copy
import json
from typing import Any

import pytest
from record_failure.handler import lambda_handler
from record_failure.reasons import (
    LASTED_TOO_LONG,
    MAX_REASON,
    NOT_RUN,
    NOT_SET_UP,
    RENDERING_TOO_LONG,
    STOPPED,
    TOO_LARGE,
    TOO_LONG,
    UNEXPECTED,
    failure_of,
)  # fmt: skip
from vsv.errors import BadRequestError
from vsv.records.models import ImportRecord, ImportState

from tests.support.paths import EVENTS
from tests.support.servers.running import Site
from tests.support.slides.small import put

RECORDED = json.loads((EVENTS / "eventbridge/execution_ended.json").read_text())
SECRET = "/var/task/secret.py"


def caught(error: str, message: str = "", **more: Any) -> dict[str, Any]:
    """Return the machine's event for an error of a function."""
    cause = json.dumps({"errorMessage": message, "errorType": error, "stackTrace": [SECRET]})
    event = {"filename": "a.svs", "size": 5, "runId": "run-1", "source": None}
    return {**event, "error": {"Error": error, "Cause": cause}, **more}


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (caught("UnreadableSlideError", "the file is truncated"), "the file is truncated"),
        (caught("TransferError", "the transfer failed 24 times"), "the transfer failed 24 times"),
        (caught("UnreadableSlideError", "x" * 9999), "x" * MAX_REASON),
        (caught("UnreadableSlideError"), UNEXPECTED),
        (caught("SettingsError", f"the setting is missing: {SECRET}"), NOT_SET_UP),
        (caught("KeyError", SECRET), UNEXPECTED),
        (caught("OSError", SECRET), UNEXPECTED),
        (caught("VsvErrorOfNobody", SECRET), UNEXPECTED),
        (caught("MemoryError"), TOO_LARGE),
        (caught("Runtime.ExitError", "RequestId: 1 Error: Runtime exited with error: signal: killed"), TOO_LARGE),
        (caught("Sandbox.Timedout", "RequestId: 1 Error: Task timed out after 900.00 seconds"), TOO_LONG),
        (caught("States.Timeout", imageId="1"), RENDERING_TOO_LONG),
        (caught("Lambda.TooManyRequestsException", SECRET), NOT_RUN),
        (caught("UnreadableSlideError") | {"error": {"Error": "UnreadableSlideError", "Cause": SECRET}}, UNEXPECTED),
        (caught("x") | {"error": {}}, UNEXPECTED),
        (caught("x") | {"error": {"Error": ["TransferError"], "Cause": {"errorMessage": SECRET}}}, UNEXPECTED),
    ],
)  # fmt: skip
def test_failure_of_error_has_its_reason(event: dict[str, Any], reason: str) -> None:
    failure = failure_of(event)
    assert (failure.filename, failure.run_id, failure.reason) == ("a.svs", "run-1", reason)


def ended(status: str, **detail: Any) -> dict[str, Any]:
    event: dict[str, Any] = copy.deepcopy(RECORDED)
    event["detail"] |= {"status": status, **detail}
    return event


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (ended("TIMED_OUT"), LASTED_TOO_LONG),
        (ended("ABORTED"), STOPPED),
        (ended("FAILED"), UNEXPECTED),
        (ended("FAILED", error="TransferError", cause='{"errorMessage": "no agent"}'), "no agent"),
    ],
)
def test_failure_of_ended_execution_has_its_reason(event: dict[str, Any], reason: str) -> None:
    failure = failure_of(event)
    assert (failure.filename, failure.run_id, failure.reason) == ("a.svs", "0f0f0f0f", reason)


HOSTILE: list[dict[str, Any]] = [
    {}, {"error": None}, {"detail": None}, {"detail": []}, {"detail": {"status": "FAILED"}},
    ended("FAILED", input=None), ended("FAILED", input="{"), ended("FAILED", input="[]"), ended("FAILED", input="{}"),
    ended(["FAILED"]), {"filename": "a.svs", "error": {"Error": "x"}},  # type: ignore[arg-type]
]  # fmt: skip


@pytest.mark.parametrize("event", HOSTILE)
def test_malformed_event_is_refused_and_not_recorded(event: dict[str, Any], site: Site) -> None:
    with pytest.raises(BadRequestError):
        failure_of(event)
    assert lambda_handler(event, None) == {"recorded": False}


def begun(site: Site, state: ImportState) -> ImportRecord:
    put(site.scanner, "a.svs")
    run = ImportRecord(
        filename="a.svs", size=5, state=state, run_id="run-1",
        started_at="2026-11-21T00:00:00.000000Z", updated_at="2026-11-21T00:00:00.000000Z",
    )  # fmt: skip
    site.services.imports.start(run, replaces=None)
    return run


@pytest.mark.parametrize("state", [ImportState.TRANSFERRING, ImportState.IMPORTING])
def test_running_import_is_failed_with_the_reason(site: Site, state: ImportState) -> None:
    begun(site, state)
    assert lambda_handler(caught("TransferError", "no agent"), None) == {"recorded": True}
    run = site.services.imports.get("a.svs")
    assert run is not None
    assert (run.state, run.error) == (ImportState.FAILED, "no agent")


@pytest.mark.parametrize("state", [ImportState.READY, ImportState.FAILED])
def test_ended_import_is_left_unchanged(site: Site, state: ImportState) -> None:
    begun(site, state)
    run = site.services.imports.get("a.svs")
    assert lambda_handler(caught("TransferError", "no agent"), None) == {"recorded": False}
    assert site.services.imports.get("a.svs") == run


@pytest.mark.parametrize("change", [{"runId": "another"}, {"filename": "b.svs"}, {"filename": "../a.svs"}])
def test_replaced_or_unknown_run_is_not_recorded(site: Site, change: dict[str, str]) -> None:
    begun(site, ImportState.IMPORTING)
    assert lambda_handler(caught("TransferError", "no agent") | change, None) == {"recorded": False}
    assert site.state() is ImportState.IMPORTING
