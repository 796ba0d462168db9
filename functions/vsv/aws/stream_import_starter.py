"""Starting imports on AWS from a function in the VPC, where no Step Functions endpoint can be reached.

The imports table's stream starts them: ``start_import`` sees every record that waits for its transfer.
"""

from collections.abc import Collection
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from vsv.errors import VersionConflictError
from vsv.records.models import ImportRecord, ImportState
from vsv.records.stores import ImportStore

# A record written this recently is still on its way through the stream.
ON_ITS_WAY = timedelta(minutes=2)
# The machine's ``TimeoutSeconds``, and a day in which the stream may have told of the run late.
LONGEST_LIFE = timedelta(days=5 + 1)


class StreamStarter:
    """Touches the record of a run that may have been lost on the way, so that the stream tells of it again."""

    def __init__(self, imports: ImportStore) -> None:
        self._imports = imports

    def describe_source(self, filename: str, size: int) -> str | None:  # noqa: ARG002
        """Give None: the scanner's share cannot be seen from a function."""
        return None

    def new_source(
        self,
        filename: str,  # noqa: ARG002
        size: int,  # noqa: ARG002
        known: Collection[str],  # noqa: ARG002
        run: ImportRecord | None,  # noqa: ARG002
    ) -> str | None:
        """Give None: the scanner's share cannot be seen from a function."""
        return None

    def start(self, run: ImportRecord) -> None:
        """Touch the run's record if it has been waiting for its transfer for a while."""
        age = datetime.now(UTC) - datetime.fromisoformat(run.updated_at)
        if run.state is ImportState.TRANSFERRING and age > ON_ITS_WAY:
            with suppress(VersionConflictError):  # a newer run has its own start
                self._imports.advance(run.filename, run.run_id, {})

    def has_ended(self, run: ImportRecord) -> bool:
        """Tell whether the run's execution must have ended by now; its end may not have been recorded.

        The start counts: each question of the scanner's touches the record, so ``updated_at`` may always be new.
        """
        return datetime.now(UTC) - datetime.fromisoformat(run.started_at) > LONGEST_LIFE
