"""Find the execution of the DataSync task that transfers a run's file, and whether it has finished.

The state machine repeats the step and carries ``TransferProgress`` along. All waiting files go into one execution; a
run attaches to an execution that includes its file, waits for one that does not, and starts the next.
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from vsv.aws.datasync import Execution, TransferTask, limit_to_filter
from vsv.errors import TransferError
from vsv.ingest.runs import is_object
from vsv.records.models import ImportRecord, ImportState
from vsv.records.stores import ImportStore

# Frequent at first, since most files take a few minutes; then slower, for days in all: an execution of the state
# machine must not have more than 25,000 events, and a round is 11 of them.
POLLS_S = ((30, 20), (500, 60), (1500, 300))  # (last round, seconds between polls)
MAX_ROUNDS = POLLS_S[-1][0]
# Back-off doubles from half a minute to an hour, of which jitter takes a quarter: a share or an agent that is off
# over a long weekend does not fail the import.
BACKOFF_S, MAX_BACKOFF_S, MAX_ERRORS = 30, 3600, 120
MAX_PAGES = 20  # of 100 imports; more files than DataSync's filter takes


@dataclass(frozen=True, slots=True)
class TransferProgress:
    """How far a transfer is.

    ``execution`` is the ARN of the execution that includes the file. ``completed`` counts executions that ended well
    with the file in them, ``errors`` those that did not, ``rounds`` the polls so far; ``wait_s`` is the time until
    the next poll.
    """

    done: bool = False
    execution: str | None = None
    completed: int = 0
    errors: int = 0
    rounds: int = 0
    wait_s: int = POLLS_S[0][1]

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> "TransferProgress":
        """Return the progress in the event that the state machine carries."""
        counts = (int(event.get(name, 0)) for name in ("completed", "errors", "rounds"))
        return cls(bool(event.get("done")), event.get("execution"), *counts)

    def to_event(self) -> dict[str, Any]:
        """Return the progress as the event that the state machine carries."""
        return {
            "done": self.done,
            "execution": self.execution,
            "completed": self.completed,
            "errors": self.errors,
            "rounds": self.rounds,
            "waitSeconds": self.wait_s,
        }


def follow(
    imports: ImportStore, task: TransferTask, run: ImportRecord, so_far: TransferProgress
) -> TransferProgress:
    """Take a transfer one step further.

    Raises TransferError when the transfer failed too often or takes too long, UnavailableError when DataSync does not
    answer.
    """
    if so_far.done:  # the transferred file failed its inspection
        so_far = replace(so_far, done=False, execution=None)
    if so_far.rounds >= MAX_ROUNDS:
        raise TransferError("the transfer is taking too long: check the DataSync task, then try again")
    run = _mark_transferring(imports, run)
    so_far = replace(
        so_far,
        rounds=so_far.rounds + 1,
        wait_s=next(wait_s for rounds, wait_s in POLLS_S if so_far.rounds < rounds),
    )
    if so_far.execution is not None:
        return _after_execution(imports, task.execution(so_far.execution), run, so_far)
    return _join(imports, task, run, so_far)


def _mark_transferring(imports: ImportStore, run: ImportRecord) -> ImportRecord:
    """Record that the file is being transferred, and remove what was recorded of its earlier content."""
    if run.state is ImportState.TRANSFERRING and run.checksum is None:
        return run
    changes = {"state": ImportState.TRANSFERRING, "checksum": None, "image_id": None}
    return imports.advance(run.filename, run.run_id, changes)


def _after_execution(
    imports: ImportStore, execution: Execution, run: ImportRecord, so_far: TransferProgress
) -> TransferProgress:
    """Return the progress after a look at the execution that includes the file; raises TransferError."""
    if execution.is_running:
        return so_far
    if not execution.succeeded:
        return _after_error(
            imports, run, so_far, f"the transfer failed ({execution.error or 'no reason given'})"
        )
    # In this state no other run includes the file in its execution: the file is about to be moved away.
    imports.advance(run.filename, run.run_id, {"state": ImportState.IMPORTING, "error": None})
    return replace(so_far, done=True, completed=so_far.completed + 1)


def _after_error(
    imports: ImportStore, run: ImportRecord, so_far: TransferProgress, problem: str
) -> TransferProgress:
    errors = so_far.errors + 1
    advice = "check the DataSync task and its agent"
    if errors >= MAX_ERRORS:
        raise TransferError(f"{problem} {errors} times: {advice}, then try again")
    imports.advance(
        run.filename, run.run_id, {"error": f"{problem}; it is tried again: {advice} if this stays"}
    )
    backoff_s = min(BACKOFF_S * 2 ** (errors - 1), MAX_BACKOFF_S)
    # Jitter: not all runs retry at the same time.
    wait_s = round(backoff_s * random.uniform(0.5, 1))  # noqa: S311
    return replace(so_far, execution=None, errors=errors, wait_s=wait_s)


def _join(
    imports: ImportStore, task: TransferTask, run: ImportRecord, so_far: TransferProgress
) -> TransferProgress:
    """Attach to the running execution if it includes the file, else wait for it; start one where none is running."""
    latest = task.latest()
    if latest is not None and not so_far.completed and _has_arrived(run, latest):
        return _after_execution(imports, latest, run, so_far)  # it began and ended between two polls
    if latest is None or not latest.is_running:
        if started := task.start(_filenames(imports, run, latest, so_far)):
            return replace(so_far, execution=started)
        latest = task.latest()  # another run started one first, or DataSync cannot start any
        if latest is None or not latest.is_running:
            return _after_error(imports, run, so_far, "the transfer could not be started")
    return replace(so_far, execution=latest.arn if latest.includes(run.filename) else None)


def _filenames(
    imports: ImportStore, run: ImportRecord, latest: Execution | None, so_far: TransferProgress
) -> list[str]:
    """Return the files for the next execution: this run's, and those of all other waiting runs.

    After every second failure only this run's file: one file that cannot be transferred must not make all others fail
    with it for ever, nor may an agent that was off leave each run waiting for all others.
    """
    if so_far.errors % 2:
        return [run.filename]
    others = (other.filename for other in _transferring(imports) if not _has_arrived(other, latest))
    return limit_to_filter(list(dict.fromkeys([run.filename, *others])))


def _has_arrived(run: ImportRecord, latest: Execution | None) -> bool:
    """Return whether a run's file has arrived, though the run's own execution has not noticed yet.

    If DataSync sent such a file again, it might write to the file during its import.
    """
    if latest is None or not latest.succeeded or latest.began is None:
        return False
    return latest.includes(run.filename) and datetime.fromisoformat(run.started_at) < latest.began


def _transferring(imports: ImportStore) -> Iterator[ImportRecord]:
    token = None
    for _ in range(MAX_PAGES):
        page = imports.by_state(ImportState.TRANSFERRING, limit=100, token=token)
        yield from (run for run in page.items if run.image_id is None and not is_object(run.source))
        if (token := page.next_token) is None:
            return
