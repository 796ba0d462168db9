"""Start of imports on AWS from a function in the VPC, which cannot reach the Step Functions endpoint.

The imports table's stream starts an import: ``start_import`` receives every record that waits for its transfer.
"""

from collections.abc import Collection
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from vsv.errors import VersionConflictError
from vsv.identifiers import check_is_one_file
from vsv.records.models import ImportRecord, ImportState
from vsv.records.stores import ImportStore

# A record written this recently may not have passed the stream yet.
ON_ITS_WAY = timedelta(minutes=2)
# The state machine's ``TimeoutSeconds``, and a day for which the stream may have delivered the record late.
LONGEST_LIFE = timedelta(days=5 + 1)


class StreamStarter:
    """Updates the record of a run that the stream may have lost, so that the stream delivers the record again."""

    def __init__(self, imports: ImportStore) -> None:
        self._imports = imports

    def describe_source(self, filename: str, size: int) -> str | None:  # noqa: ARG002
        """Return None: a function cannot see the scanner's share.

        Raise InvalidNameError for the index file of a slide of several files: DataSync would bring it alone.
        """
        check_is_one_file(filename)
        return None

    def new_source(
        self,
        filename: str,  # noqa: ARG002
        size: int,  # noqa: ARG002
        known: Collection[str],  # noqa: ARG002
        run: ImportRecord | None,  # noqa: ARG002
    ) -> str | None:
        """Return None: a function cannot see the scanner's share."""
        return None

    def has_changed(self, run: ImportRecord) -> bool:  # noqa: ARG002
        """Return False: a function cannot see the scanner's share."""
        return False

    def start(self, run: ImportRecord) -> None:
        """Update the run's record, unchanged, where it has waited for its transfer for longer than ``ON_ITS_WAY``."""
        age = datetime.now(UTC) - datetime.fromisoformat(run.updated_at)
        if run.state is ImportState.TRANSFERRING and age > ON_ITS_WAY:
            with suppress(VersionConflictError):  # a newer run is started separately
                self._imports.advance(run.filename, run.run_id, {})

    def has_ended(self, run: ImportRecord) -> bool:
        """Return whether the run's execution must have ended by now, even if its end was not recorded.

        The age counts from ``started_at``: each request of the scanner updates the record, so ``updated_at`` may
        always be recent.
        """
        return datetime.now(UTC) - datetime.fromisoformat(run.started_at) > LONGEST_LIFE
