"""Which execution of the DataSync task brings a run's file, and whether it has.

The state machine asks again and again and carries ``Following`` along. All waiting files go into one execution; a
run attaches to an execution that has its file in it, waits for one that has not, and starts the next.
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

# Quick at first, since most files take a few minutes; then slower, for days in all: an execution of the state machine
# must not have more than 25,000 events, and a round is 11 of them.
POLLS_S = ((30, 20), (500, 60), (1500, 300))  # up to which round, every how many seconds
MAX_ROUNDS = POLLS_S[-1][0]
# Doubled from half a minute to an hour, of which jitter takes a quarter: a share or an agent that is off over a long
# weekend is waited for.
BACKOFF_S, MAX_BACKOFF_S, MAX_ERRORS = 30, 3600, 120
MAX_PAGES = 20  # of 100 imports; more than a filter takes


@dataclass(frozen=True, slots=True)
class Following:
    """How far a transfer is.

    ``execution``: the one that the file is in, its ARN. ``completed`` counts executions that ended well with the file
    in them, ``errors`` those that did not, ``rounds`` how often was asked; ``wait_s`` is when to ask again.
    """

    done: bool = False
    execution: str | None = None
    completed: int = 0
    errors: int = 0
    rounds: int = 0
    wait_s: int = POLLS_S[0][1]

    @classmethod
    def from_event(cls, event: Mapping[str, Any]) -> "Following":
        """Read it from what the state machine carries."""
        counts = (int(event.get(name, 0)) for name in ("completed", "errors", "rounds"))
        return cls(bool(event.get("done")), event.get("execution"), *counts)

    def to_event(self) -> dict[str, Any]:
        """Give what the state machine carries."""
        return {
            "done": self.done,
            "execution": self.execution,
            "completed": self.completed,
            "errors": self.errors,
            "rounds": self.rounds,
            "waitSeconds": self.wait_s,
        }


def follow(imports: ImportStore, task: TransferTask, run: ImportRecord, so_far: Following) -> Following:
    """Take a transfer one step further.

    Raises TransferError when it failed too often or takes too long, UnavailableError when DataSync does not answer.
    """
    if so_far.done:  # what was brought was not what it should be
        so_far = replace(so_far, done=False, execution=None)
    if so_far.rounds >= MAX_ROUNDS:
        raise TransferError("the transfer is taking too long: check the DataSync task, then try again")
    run = _waiting(imports, run)
    so_far = replace(
        so_far,
        rounds=so_far.rounds + 1,
        wait_s=next(wait_s for rounds, wait_s in POLLS_S if so_far.rounds < rounds),
    )
    if so_far.execution is not None:
        return _after(imports, task.execution(so_far.execution), run, so_far)
    return _join(imports, task, run, so_far)


def _waiting(imports: ImportStore, run: ImportRecord) -> ImportRecord:
    """Let the record say that the file is being transferred; what was found of an earlier content is forgotten."""
    if run.state is ImportState.TRANSFERRING and run.checksum is None:
        return run
    changes = {"state": ImportState.TRANSFERRING, "checksum": None, "image_id": None}
    return imports.advance(run.filename, run.run_id, changes)


def _after(imports: ImportStore, execution: Execution, run: ImportRecord, so_far: Following) -> Following:
    if execution.is_running:
        return so_far
    if not execution.succeeded:
        return _failed(imports, run, so_far, f"the transfer failed ({execution.error or 'no reason given'})")
    # From here on nobody includes the file in an execution of theirs: it is about to be taken away.
    imports.advance(run.filename, run.run_id, {"state": ImportState.IMPORTING, "error": None})
    return replace(so_far, done=True, completed=so_far.completed + 1)


def _failed(imports: ImportStore, run: ImportRecord, so_far: Following, what: str) -> Following:
    errors = so_far.errors + 1
    advice = "check the DataSync task and its agent"
    if errors >= MAX_ERRORS:
        raise TransferError(f"{what} {errors} times: {advice}, then try again")
    imports.advance(run.filename, run.run_id, {"error": f"{what}; it is tried again: {advice} if this stays"})
    backoff_s = min(BACKOFF_S * 2 ** (errors - 1), MAX_BACKOFF_S)
    # Not all at the same time again.
    wait_s = round(backoff_s * random.uniform(0.5, 1))  # noqa: S311
    return replace(so_far, execution=None, errors=errors, wait_s=wait_s)


def _join(imports: ImportStore, task: TransferTask, run: ImportRecord, so_far: Following) -> Following:
    """Attach to the execution under way if the file is in it, wait for it if not; start one where none is."""
    latest = task.latest()
    if latest is not None and not so_far.completed and _was_brought(run, latest):
        return _after(imports, latest, run, so_far)  # began and ended between two rounds
    if latest is None or not latest.is_running:
        if started := task.start(_filenames(imports, run, latest, so_far)):
            return replace(so_far, execution=started)
        latest = task.latest()  # another run was quicker, or DataSync cannot start any
        if latest is None or not latest.is_running:
            return _failed(imports, run, so_far, "the transfer could not be started")
    return replace(so_far, execution=latest.arn if latest.includes(run.filename) else None)


def _filenames(
    imports: ImportStore, run: ImportRecord, latest: Execution | None, so_far: Following
) -> list[str]:
    """Give the files for the next execution: this run's, and all others that wait.

    Every second time after a failure this run's alone: one file that cannot be transferred must not fail all others
    with it for ever, nor must an agent that was off leave each to wait for all others.
    """
    if so_far.errors % 2:
        return [run.filename]
    others = (one.filename for one in _transferring(imports) if not _was_brought(one, latest))
    return limit_to_filter(list(dict.fromkeys([run.filename, *others])))


def _was_brought(run: ImportRecord, latest: Execution | None) -> bool:
    """Tell whether a run's file has arrived, though its own execution has not seen that yet.

    Sent once more, it might be written to while it is imported.
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
