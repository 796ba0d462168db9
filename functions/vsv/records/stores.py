"""What the domain asks of its record stores; ``dynamodb.py`` and ``vsv_local/stores/sqlite_records.py`` answer.

Paging: ``limit`` is 1 to 1000; ``token`` is None for the first page, then the previous page's ``next_token``
(opaque, None on the last page). A token that the store did not issue for that same query raises InvalidTokenError.
Pages are keyset pages: they cost the same anywhere in the table and stay stable while rows change. A page may be
shorter than ``limit``; only ``next_token`` tells whether there is more.
A store that cannot be reached raises UnavailableError.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from vsv.records.models import (
    ChangeRecord,
    ImportRecord,
    ImportState,
    JobKind,
    JobRecord,
    JobState,
    SlideRecord,
    Status,
)

T = TypeVar("T")


@dataclass(frozen=True)
class Page(Generic[T]):
    """Some records and the token that continues after them."""

    items: tuple[T, ...]
    next_token: str | None = None


@dataclass(frozen=True)
class SlideQuery:
    """What to search for.

    ``text``: how the SlideID, CaseID or Filename begins, whatever its case. ``status`` None: all but DELETED.
    ``since`` and ``until``: the scan date, both ends included, as ``review_index.moment`` writes it.
    """

    text: str = ""
    status: Status | None = None
    since: str | None = None
    until: str | None = None

    @property
    def statuses(self) -> tuple[Status, ...]:
        """The statuses that are searched."""
        return (self.status,) if self.status else tuple(s for s in Status if s is not Status.DELETED)


class SlideStore(Protocol):
    """Slide records by ImageID, with the orders that review needs."""

    def get(self, image_id: str) -> SlideRecord | None:
        """Give the slide's record, or None."""

    def get_many(self, image_ids: Sequence[str]) -> list[SlideRecord]:
        """Give the records in the order asked for (repeats too), those that do not exist left out."""

    def put_new(self, record: SlideRecord) -> None:
        """Store a record under a free ImageID; raises AlreadyExistsError and leaves the stored one as it is."""

    def update(
        self, image_id: str, changes: Mapping[str, Any], *, by: str, expected_version: int | None = None
    ) -> SlideRecord:
        """Change some attributes (None removes) and give the new record.

        ``changes`` maps SlideRecord attribute names to values. Version goes up by one, ``last_modified`` and
        ``modified_by`` are set, and the history is written, in one atomic step. Raises SlideNotFoundError;
        VersionConflictError when ``expected_version`` is given and is not the stored one.
        """

    def remove(self, image_id: str) -> None:
        """Forget the slide's record; a missing one is no error."""

    def list_all(self, limit: int = 20, token: str | None = None) -> Page[SlideRecord]:
        """Give a page of all slides, in an order that is the store's own and stable."""

    def by_status(self, status: Status, limit: int = 20, token: str | None = None) -> Page[SlideRecord]:
        """Give a page of the slides with this status, ordered by SlideID."""

    def by_case(self, case_id: str, limit: int = 20, token: str | None = None) -> Page[SlideRecord]:
        """Give a page of a case's slides."""

    def by_filename(self, filename: str, limit: int = 20, token: str | None = None) -> Page[SlideRecord]:
        """Give a page of the slides that were imported under this filename."""

    def search(self, query: SlideQuery, limit: int = 20, token: str | None = None) -> Page[SlideRecord]:
        """Give a page of the slides that a query fits: by the text found, or the newest scan first without text.

        Each slide comes once. A page that had to look at too many rows ends early, possibly empty, with a token.
        """

    def counts(self) -> dict[Status, int]:
        """Give how many slides have each status; the cost does not depend on how many there are."""

    def list_cases(self, limit: int = 100, token: str | None = None) -> Page[str]:
        """Give a page of the CaseIDs that slides have, in order, each once; deleted slides do not count."""

    def history(self, image_id: str, limit: int = 20, token: str | None = None) -> Page[ChangeRecord]:
        """Give a page of what was changed about a slide, newest first; it is written with each change."""


class ImportStore(Protocol):
    """Import records by filename."""

    def get(self, filename: str) -> ImportRecord | None:
        """Give the latest import under this filename, or None."""

    def start(self, record: ImportRecord, *, replaces: str | None) -> None:
        """Store a new run if the stored run's ID is ``replaces`` (None: nothing may be stored yet).

        Raises AlreadyExistsError when another run is stored: whoever asks second has lost and reads again.
        """

    def advance(self, filename: str, run_id: str, changes: Mapping[str, Any]) -> ImportRecord:
        """Change some attributes (None removes) of this very run, set ``updated_at``, give the new record.

        Raises VersionConflictError when another run has taken its place or nothing is stored.
        """

    def list_all(self, limit: int = 20, token: str | None = None) -> Page[ImportRecord]:
        """Give a page of all imports, in an order that is the store's own and stable."""

    def by_state(self, state: ImportState, limit: int = 20, token: str | None = None) -> Page[ImportRecord]:
        """Give a page of the imports in this state, ordered by UpdatedAt."""


class JobStore(Protocol):
    """Job records: the latest of each kind for each slide."""

    def get(self, image_id: str, kind: JobKind) -> JobRecord | None:
        """Give the latest job of this kind for this slide, or None."""

    def start(self, record: JobRecord, *, replaces: str | None) -> None:
        """Store a new request if the stored one's run ID is ``replaces`` (None: nothing may be stored yet).

        Raises AlreadyExistsError when another one is stored: whoever asks second has lost and reads again.
        """

    def advance(self, job: JobRecord, changes: Mapping[str, Any]) -> JobRecord:
        """Change some attributes (None removes) of this very request, set ``updated_at``, give the new record.

        Raises VersionConflictError when another request has taken its place or nothing is stored.
        """

    def by_state(self, state: JobState, limit: int = 20, token: str | None = None) -> Page[JobRecord]:
        """Give a page of the jobs in this state, ordered by NextAt."""
