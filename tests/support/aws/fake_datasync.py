"""A fake of DataSync that really copies: one task from a folder, the scanner's share, to ``incoming/``.

It answers as the service does where that is written down: one execution at a time, include filters, phases, sending
only what differs in size or time from what lies at the destination, verification of what was sent. Each request and
each answer is checked against botocore's model of the service.
Source: AWS DataSync API reference; "Understanding task execution statuses", AWS DataSync user guide.
"""

import os
import shutil
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import botocore.session
from botocore.exceptions import ClientError
from botocore.validate import ParamValidator

TASK_ARN = "arn:aws:datasync:eu-central-1:123456789012:task/task-0123456789abcdef0"
PHASES = ("LAUNCHING", "PREPARING", "TRANSFERRING", "VERIFYING", "SUCCESS")
MODEL = botocore.session.get_session().get_service_model("datasync")


def check_shape(operation: str, given: dict[str, Any], *, answer: bool = False) -> None:
    """Check a request or an answer against the service's model: names, types, lengths, and patterns of ARNs."""
    model = MODEL.operation_model(operation)
    shape = model.output_shape if answer else model.input_shape
    assert shape is not None
    report = ParamValidator().validate(given, shape)
    assert not report.has_errors(), report.generate_report()


@dataclass
class FakeExecution:
    arn: str
    includes: list[dict[str, str]]
    began: datetime
    phase: int = 0
    error: str | None = None
    sent: list[str] = field(default_factory=list)
    forgotten: bool = False

    @property
    def status(self) -> str:
        return "ERROR" if self.error else PHASES[self.phase]

    @property
    def is_running(self) -> bool:
        return not self.forgotten and self.status not in ("SUCCESS", "ERROR")

    @property
    def names(self) -> list[str]:
        return [name for rule in self.includes for name in rule["Value"].split("|")]


class FakeDataSync:
    """A boto3 client of a service with one task. Each look at a running execution moves it one phase on."""

    def __init__(self, source: Path, destination: Path) -> None:
        self.source, self.destination = source, destination
        self.executions: list[FakeExecution] = []
        self.held = False  # executions stay where they are
        self.fail_next: list[str] = []  # error codes of the next executions
        self.refuse_next = 0
        self.before_phase: Callable[[str], None] = lambda _phase: None
        self._lock = threading.RLock()

    def describe_task(self, **request: Any) -> dict[str, Any]:
        check_shape("DescribeTask", request)
        with self._lock:
            running = bool(self.executions) and self.executions[-1].is_running
            answer: dict[str, Any] = {"TaskArn": TASK_ARN, "Status": "RUNNING" if running else "AVAILABLE"}
            if self.executions:
                answer["CurrentTaskExecutionArn"] = self.executions[-1].arn
        return self._answered("DescribeTask", answer)

    def describe_task_execution(self, **request: Any) -> dict[str, Any]:
        check_shape("DescribeTaskExecution", request)
        with self._lock:
            found = next(one for one in self.executions if one.arn == request["TaskExecutionArn"])
            if found.forgotten:
                details = {
                    "Error": {"Code": "InvalidRequestException", "Message": "There is no such execution."}
                }
                raise ClientError(details, "DescribeTaskExecution")  # type: ignore[arg-type]
            answer: dict[str, Any] = {
                "TaskExecutionArn": found.arn,
                "Status": found.status,
                "Includes": list(found.includes),
                "StartTime": found.began,
                "FilesTransferred": len(found.sent),
                "Result": {"ErrorCode": found.error} if found.error else {},
            }
            if found.is_running and not self.held:
                self._move_on(found)
        return self._answered("DescribeTaskExecution", answer)

    def start_task_execution(self, **request: Any) -> dict[str, Any]:
        check_shape("StartTaskExecution", request)
        with self._lock:
            if self.refuse_next or (self.executions and self.executions[-1].is_running):
                self.refuse_next = max(0, self.refuse_next - 1)
                message = "Task execution cannot be started: another one is running."
                details = {"Error": {"Code": "InvalidRequestException", "Message": message}}
                raise ClientError(details, "StartTaskExecution")  # type: ignore[arg-type]
            includes = request.get("Includes", ())
            # Limits that the service checks but botocore does not: FilterList and FilterValue in the model.
            assert len(includes) <= 1
            assert all(len(rule["Value"]) <= 102_400 for rule in includes)
            started = self.begin(includes)
        return self._answered("StartTaskExecution", {"TaskExecutionArn": started.arn})

    def begin(self, includes: Sequence[dict[str, str]] = ()) -> FakeExecution:
        """Start an execution as another client of the service would."""
        with self._lock:
            arn = f"{TASK_ARN}/execution/exec-{len(self.executions):017x}"
            self.executions.append(FakeExecution(arn, list(includes), datetime.now(UTC)))
            return self.executions[-1]

    def _answered(self, operation: str, answer: dict[str, Any]) -> dict[str, Any]:
        check_shape(operation, answer, answer=True)
        return answer

    def _move_on(self, execution: FakeExecution) -> None:
        self.before_phase(PHASES[execution.phase])
        if self.fail_next:
            execution.error = self.fail_next.pop(0)
            return
        if PHASES[execution.phase] == "TRANSFERRING":
            self._transfer(execution)
        if PHASES[execution.phase] == "VERIFYING" and not self._is_verified(execution):
            execution.error = "VerificationFailed"
            return
        execution.phase += 1

    def _transfer(self, execution: FakeExecution) -> None:
        for path in sorted(self.source.iterdir()):
            if not execution.includes or f"/{path.name}" in execution.names:
                there = self.destination / path.name
                if not there.exists() or _state(there) != _state(path):
                    shutil.copyfile(path, there)  # in place, as a writer to a network file system does
                    os.utime(there, ns=(path.stat().st_mtime_ns,) * 2)
                    execution.sent.append(path.name)

    def _is_verified(self, execution: FakeExecution) -> bool:
        there = {name: self.destination / name for name in execution.sent}
        return all(
            path.exists() and path.read_bytes() == (self.source / name).read_bytes()
            for name, path in there.items()
        )


def _state(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns
