"""Wait for the scanner to finish a file: before the file is taken, and within bounds.

A file that shows signs of a writer at work is left alone until it is complete, or until it has stayed unchanged for
so long that it is damaged rather than unfinished: then validation decides. The wait is kept in the run's record, so
that a restarted process goes on waiting, and people see its reason.
"""

import logging
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from vsv.errors import FileMissingError, StillWrittenError, UnavailableError
from vsv.formats.write_completeness import Unwritten, find_unwritten
from vsv.records.models import ImportRecord
from vsv.services import Services
from vsv.timestamps import now_utc

log = logging.getLogger(__name__)

STILL_WRITING = "the scanner is still writing"
# Bytes missing at the end of a file are an unfinished file: VSV_WRITE_WAIT. Elsewhere they are more likely damage.
SCATTERED_WAIT_S = 20.0
# A file last changed longer ago is finished; a file server's clock may be off by hours.
OLD_S = 24 * 3600.0
# Robocopy dates a file 1980-01-01 (in local time) until its copy is complete.
_ROBOCOPY_S = 3652 * 24 * 3600.0


def check_written(services: Services, run: ImportRecord, path: Path, modified: int | None = None) -> None:
    """Raise StillWrittenError while a run's file looks unfinished and has not stayed so for the whole wait.

    ``modified``: when the scanner's file was last changed, in nanoseconds, where ``path`` is a copy of that file.
    """
    missing = _find_missing(path, modified)
    if missing is None:
        return
    reason = f"{STILL_WRITING} ({missing.reason})"
    if run.unwritten == missing.digest and run.unwritten_since is not None:
        waited = datetime.now(UTC) - datetime.fromisoformat(run.unwritten_since)
        if waited.total_seconds() >= _wait_s(services, missing):
            return
    else:
        log.info("%s waits: %s", run.filename, reason)
        changes = {"unwritten": missing.digest, "unwritten_since": now_utc(), "error": reason}
        services.imports.advance(run.filename, run.run_id, changes)
    raise StillWrittenError(reason)


def is_waiting(run: ImportRecord) -> bool:
    """Return whether a run waits for its scanner."""
    return run.error is not None and run.error.startswith(STILL_WRITING)


def _find_missing(path: Path, modified: int | None) -> Unwritten | None:
    """Return what a file lacks; None where it is finished or cannot be read: then the next step says why."""
    with suppress(FileMissingError, UnavailableError):
        return find_unwritten(path) if _may_change(path, modified) else None
    return None


def _may_change(path: Path, modified: int | None) -> bool:
    """Return whether a file may still be written to, by its modification time."""
    try:
        modified_s = (path.stat().st_mtime_ns if modified is None else modified) / 1e9
    except OSError:
        return False  # the next step says what is wrong
    return time.time() - modified_s < OLD_S or abs(modified_s - _ROBOCOPY_S) < OLD_S


def _wait_s(services: Services, missing: Unwritten) -> float:
    longest = services.settings.write_wait
    return longest if missing.is_tail else min(longest, SCATTERED_WAIT_S)
