"""Describe why an import failed in a sentence for a technician: never a traceback, a path or an address.

Sources: "Handling errors in Step Functions workflows", AWS Step Functions developer guide; "Step Functions Execution
Status Change", Amazon EventBridge events reference.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vsv import errors
from vsv.errors import BadRequestError

MAX_REASON = 500
_AGAIN = "try the import again, and tell the administrator if it happens again"
UNEXPECTED = f"an unexpected error stopped the import: {_AGAIN}"
TOO_LONG = f"reading the file took too long: {_AGAIN}"
RENDERING_TOO_LONG = f"rendering took too long: {_AGAIN}"
TOO_LARGE = "the slide needs more memory than there is: tell the administrator"
NOT_RUN = f"a step of the import could not be run: {_AGAIN}"
NOT_SET_UP = "the system is not set up completely: tell the administrator"
STOPPED = "the import was stopped by an administrator: try it again"
LASTED_TOO_LONG = f"the import took too long: {_AGAIN}"

# The domain's errors whose messages are written for people.
_DOMAIN_ERRORS = {
    name
    for name, kind in vars(errors).items()
    if isinstance(kind, type) and issubclass(kind, errors.VsvError) and kind is not errors.SettingsError
}
_BY_STATUS = {"ABORTED": STOPPED, "TIMED_OUT": LASTED_TOO_LONG}
_TIMEOUTS = ("Sandbox.Timedout", "States.Timeout", "States.HeartbeatTimeout")


@dataclass(frozen=True, slots=True)
class Failure:
    """A run that failed, and the reason."""

    filename: str
    run_id: str
    reason: str


def failure_of(event: Mapping[str, Any]) -> Failure:
    """Return the failure in the machine's own event, with ``error``, or in EventBridge's of an ended execution.

    Raises BadRequestError for any other event.
    """
    try:
        if "detail" not in event:
            return _failure(event, reason(event["error"], is_rendering="imageId" in event))
        detail = event["detail"]
        ending = _BY_STATUS.get(detail["status"])
        caught = {"Error": detail.get("error"), "Cause": detail.get("cause")}
        return _failure(json.loads(detail["input"]), ending or reason(caught, is_rendering=False))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise BadRequestError("this is not the failure of an import") from error


def _failure(run: Mapping[str, Any], reason_text: str) -> Failure:
    return Failure(run["filename"], run["runId"], reason_text)


def reason(caught: Mapping[str, Any], *, is_rendering: bool) -> str:
    """Return a sentence for the ``Error`` and ``Cause`` that the state machine has caught."""
    name, cause = str(caught.get("Error") or ""), str(caught.get("Cause") or "")
    if name in _DOMAIN_ERRORS:
        return _message(cause) or UNEXPECTED
    if name == "SettingsError":
        return NOT_SET_UP
    if name in _TIMEOUTS or "Task timed out" in cause:
        return RENDERING_TOO_LONG if is_rendering else TOO_LONG
    if name in {"MemoryError", "Runtime.OutOfMemory"} or "signal: killed" in cause:
        return TOO_LARGE
    return NOT_RUN if name.startswith("Lambda.") else UNEXPECTED


def _message(cause: str) -> str:
    """Return the message of a function's error from Lambda's ``Cause``; "" where the cause holds none."""
    try:
        content = json.loads(cause)
    except (ValueError, RecursionError):
        return ""
    message = content.get("errorMessage") if isinstance(content, dict) else None
    return message[:MAX_REASON] if isinstance(message, str) else ""
