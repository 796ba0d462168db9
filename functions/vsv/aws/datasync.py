"""The DataSync task that brings files from the scanner's share: one execution at a time, limited to files by name.

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

# A filter rule takes 102,400 characters.
FILTER_BYTES = 100_000
_ENDED = ("SUCCESS", "ERROR")
_INVALID = "InvalidRequestException"  # DataSync's one answer to whatever it will not do
_CONFIG = Config(connect_timeout=3, read_timeout=15, retries={"mode": "standard", "max_attempts": 4})


@dataclass(frozen=True, slots=True)
class Execution:
    """One execution of the task; ``filenames`` None: it was not limited to any. ``began`` is in UTC."""

    arn: str
    status: str
    filenames: frozenset[str] | None = None
    began: datetime | None = None
    error: str | None = None

    @property
    def is_running(self) -> bool:
        """Tell whether it may still write."""
        return self.status not in _ENDED

    @property
    def succeeded(self) -> bool:
        """Tell whether all that it was to bring was brought and verified."""
        return self.status == "SUCCESS"

    def includes(self, filename: str) -> bool:
        """Tell whether it was to bring this file, where the file is there."""
        return self.filenames is None or filename in self.filenames


class TransferTask(Protocol):
    """What following a transfer asks of DataSync; raises UnavailableError when there is no answer."""

    def latest(self) -> Execution | None:
        """Give the most recent execution, running or ended; None before the first."""

    def execution(self, arn: str) -> Execution:
        """Give an execution as it is now."""

    def start(self, filenames: Sequence[str]) -> str | None:
        """Start an execution for these files and give its ARN; None where DataSync refuses: one may be running."""


class DataSyncTask:
    """The task by its ARN; ``client`` is a boto3 client."""

    def __init__(self, arn: str, client: Any = None) -> None:
        self._arn = arn
        self._client = client or boto3.client("datasync", config=_CONFIG)

    def latest(self) -> Execution | None:
        """Give the most recent execution, running or ended; None before the first."""
        with _plain_errors():
            arn = self._client.describe_task(TaskArn=self._arn).get("CurrentTaskExecutionArn")
            try:
                return self._described(arn) if arn else None
            except ClientError as error:
                # The task may name one that DataSync has forgotten since; one that runs it refuses to start beside.
                if error.response["Error"]["Code"] == _INVALID:
                    return None
                raise

    def execution(self, arn: str) -> Execution:
        """Give an execution as it is now."""
        with _plain_errors():
            return self._described(arn)

    def _described(self, arn: str) -> Execution:
        found = self._client.describe_task_execution(TaskExecutionArn=arn)
        result = found.get("Result", {})
        return Execution(
            arn=arn,
            status=found["Status"],
            filenames=_filenames(found.get("Includes") or ()),
            began=found.get("StartTime"),
            error=result.get("ErrorCode") or None,
        )

    def start(self, filenames: Sequence[str]) -> str | None:
        """Start an execution for these files and give its ARN; None where DataSync refuses: one may be running."""
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
    r"""Give the filter for files directly in the source folder.

    ``*``, ``|`` and ``\`` mean something in a filter; no filename that ``checked_filename`` passes has them.
    """
    return "|".join(f"/{filename}" for filename in filenames)


def fitting(filenames: Sequence[str]) -> list[str]:
    """Give the first of the filenames, as many as one filter takes."""
    kept, room = [], FILTER_BYTES
    for filename in filenames:
        room -= len(filename.encode()) + 2
        if room < 0:
            break
        kept.append(filename)
    return kept


def _filenames(rules: Sequence[dict[str, str]]) -> frozenset[str] | None:
    if not rules:
        return None
    return frozenset(name.removeprefix("/") for rule in rules for name in rule.get("Value", "").split("|"))


@contextmanager
def _plain_errors() -> Iterator[None]:
    """Turn boto3's errors into ours: its messages hold ARNs."""
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise UnavailableError("DataSync does not answer now: try again later") from error
