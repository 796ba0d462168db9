"""The DataSync task that copies files from the scanner's share: one execution at a time, for files by name.

Source: "Filtering data transferred by AWS DataSync" and "FilterRule", AWS DataSync user guide and API reference.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from vsv.errors import UnavailableError

# A filter rule may have 102,400 characters.
FILTER_BYTES = 100_000
_ENDED = ("SUCCESS", "ERROR")
_INVALID = "InvalidRequestException"  # DataSync's error code for any request that it refuses
_CONFIG = Config(connect_timeout=3, read_timeout=15, retries={"mode": "standard", "max_attempts": 4})


@dataclass(frozen=True, slots=True)
class Execution:
    """One execution of the task; ``filenames`` is None where no filter limits the execution. ``began`` is in UTC."""

    arn: str
    status: str
    filenames: frozenset[str] | None = None
    began: datetime | None = None
    error: str | None = None

    @property
    def is_running(self) -> bool:
        """Whether the execution may still write files."""
        return self.status not in _ENDED

    @property
    def succeeded(self) -> bool:
        """Whether all files of the execution were copied and verified."""
        return self.status == "SUCCESS"

    def includes(self, filename: str) -> bool:
        """Return whether the execution copies this file, where the source has the file."""
        return self.filenames is None or filename in self.filenames


class TransferTask(Protocol):
    """The operations of DataSync that a transfer needs; each raises UnavailableError without a response."""

    def latest(self) -> Execution | None:
        """Return the most recent execution, running or ended; None before the first."""

    def execution(self, arn: str) -> Execution:
        """Return the present state of an execution."""

    def start(self, filenames: Sequence[str]) -> str | None:
        """Start an execution for these files; return its ARN, None where DataSync refuses: another may be running."""


class DataSyncTask:
    """A DataSync task by its ARN; ``client`` is a boto3 client."""

    def __init__(self, arn: str, client: Any = None) -> None:
        self._arn = arn
        self._client = client or boto3.client("datasync", config=_CONFIG)

    def latest(self) -> Execution | None:
        """Return the most recent execution, running or ended; None before the first."""
        with _plain_errors():
            arn = self._client.describe_task(TaskArn=self._arn).get("CurrentTaskExecutionArn")
            try:
                return self._describe(arn) if arn else None
            except ClientError as error:
                # The task may name an execution that DataSync has deleted; beside a running one, DataSync starts no
                # other.
                if error.response["Error"]["Code"] == _INVALID:
                    return None
                raise

    def execution(self, arn: str) -> Execution:
        """Return the present state of an execution."""
        with _plain_errors():
            return self._describe(arn)

    def _describe(self, arn: str) -> Execution:
        description = self._client.describe_task_execution(TaskExecutionArn=arn)
        result = description.get("Result", {})
        return Execution(
            arn=arn,
            status=description["Status"],
            filenames=_filenames(description.get("Includes") or ()),
            began=description.get("StartTime"),
            error=result.get("ErrorCode") or None,
        )

    def start(self, filenames: Sequence[str]) -> str | None:
        """Start an execution for these files; return its ARN, None where DataSync refuses: another may be running."""
        includes = [{"FilterType": "SIMPLE_PATTERN", "Value": pattern_of(filenames)}]
        with _plain_errors():
            try:
                answer = self._client.start_task_execution(TaskArn=self._arn, Includes=includes)
            except ClientError as error:
                if error.response["Error"]["Code"] == _INVALID:
                    return None
                raise
        arn: str = answer["TaskExecutionArn"]
        return arn


def pattern_of(filenames: Sequence[str]) -> str:
    r"""Return the filter pattern for files directly in the source folder.

    ``*``, ``|`` and ``\`` are special in a filter; ``checked_filename`` refuses filenames with them.
    """
    return "|".join(f"/{filename}" for filename in filenames)


def limit_to_filter(filenames: Sequence[str]) -> list[str]:
    """Return the first of the filenames, as many as fit one filter."""
    limited, room = [], FILTER_BYTES
    for filename in filenames:
        room -= len(filename.encode()) + 2
        if room < 0:
            break
        limited.append(filename)
    return limited


def _filenames(rules: Sequence[dict[str, str]]) -> frozenset[str] | None:
    if not rules:
        return None
    return frozenset(name.removeprefix("/") for rule in rules for name in rule.get("Value", "").split("|"))


@contextmanager
def _plain_errors() -> Iterator[None]:
    """Convert boto3's errors to UnavailableError: boto3's messages contain ARNs."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise UnavailableError("DataSync does not answer now: try again later") from error
