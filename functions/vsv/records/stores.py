"""Contracts of the record stores; ``aws/dynamodb`` and ``vsv_local/stores`` implement them.

Pagination: ``limit`` is 1 to 1000; ``token`` is None for the first page, then the previous page's ``next_token``
(opaque, None on the last page). A token that the store did not issue for that same query raises InvalidTokenError.
Pagination is by keyset: a page costs the same anywhere in the table, and pages stay stable while rows change. A page
may be shorter than ``limit``; only ``next_token`` says whether there is more.
A store that cannot be reached raises UnavailableError.
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
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
    """One page of records and the token of the next page."""

    items: tuple[T, ...]
    next_token: str | None = None


@dataclass(frozen=True)
class SlideQuery:
    """The terms of a search.

    ``text`` is the beginning of the SlideID, CaseID or Filename, in any case; ``status`` None means all but DELETED;
    ``since`` and ``until`` bound the scan date, both ends included, in the format of ``review_index.moment``.
    ``duplicates`` restricts to slides that are marked as such.
    """

    text: str = ""
    status: Status | None = None
    since: str | None = None
    until: str | None = None
    duplicates: bool = False

    @property
    def statuses(self) -> tuple[Status, ...]:
        """The statuses to search."""
        return (self.status,) if self.status else tuple(s for s in Status if s is not Status.DELETED)


class SlideStore(Protocol):
    """Slide records by ImageID, with the lists that review needs."""

    def get(self, image_id: str) -> SlideRecord | None:
        """Return the slide's record, None where there is none."""

    def get_many(self, image_ids: Sequence[str]) -> list[SlideRecord]:
        """Return the records in the order of ``image_ids``, repeats included; leave out those that do not exist."""

    def put_new(self, record: SlideRecord) -> None:
        """Store a record under a free ImageID; raise AlreadyExistsError and keep the stored record otherwise."""

    def update(
        self, image_id: str, changes: Mapping[str, Any], *, by: str, expected_version: int | None = None
    ) -> SlideRecord:
        """Change some attributes (None removes) and return the new record.

        ``changes`` maps SlideRecord attribute names to values. Version goes up by one, ``last_modified`` and
        ``modified_by`` are set, and the history is written, in one atomic step. Raise SlideNotFoundError;
        raise VersionConflictError when ``expected_version`` is given and is not the stored version.
        """

    def remove(self, image_id: str) -> None:
        """Remove the slide's record; a missing record is no error."""

    def list_all(self, limit: int = 20, token: str | None = None) -> Page[SlideRecord]:
        """Return a page of all slides, in a stable order of the store's choice."""

    def by_status(self, status: Status, limit: int = 20, token: str | None = None) -> Page[SlideRecord]:
        """Return a page of the slides with this status, ordered by SlideID."""

    def by_case(self, case_id: str, limit: int = 20, token: str | None = None) -> Page[SlideRecord]:
        """Return a page of a case's slides."""

    def by_filename(self, filename: str, limit: int = 20, token: str | None = None) -> Page[SlideRecord]:
        """Return a page of the slides that were imported under this filename."""

    def by_checksum(self, checksum: str, limit: int = 100) -> list[SlideRecord]:
        """Return the slides with these bytes, without deleted ones; at most ``limit`` are read."""

    def by_slide_id(self, slide_id: str, limit: int = 100) -> list[SlideRecord]:
        """Return the slides with exactly this slide ID, without deleted ones; of each status ``limit`` are read."""

    def search(self, query: SlideQuery, limit: int = 20, token: str | None = None) -> Page[SlideRecord]:
        """Return a page of the slides that match a query: by the matching text, or newest scan first without a text.

        Each slide is listed once. A page that had to read too many rows ends early, possibly empty, with a token.
        """

    def counts(self) -> dict[Status, int]:
        """Return the number of slides by status, at a cost that does not depend on the number of slides."""

    def list_cases(self, limit: int = 100, token: str | None = None) -> Page[str]:
        """Return a page of the CaseIDs of slides, in order, each once; deleted slides do not count."""

    def history(self, image_id: str, limit: int = 20, token: str | None = None) -> Page[ChangeRecord]:
        """Return a page of a slide's history, newest change first; each update writes the history."""


class ImportStore(Protocol):
    """Import records by filename."""

    def get(self, filename: str) -> ImportRecord | None:
        """Return the latest import under this filename, None where there is none."""

    def start(self, record: ImportRecord, *, replaces: str | None) -> None:
        """Store a new run if the stored run's ID is ``replaces`` (None: no run may be stored yet).

        Raise AlreadyExistsError when another run is stored: the later of two callers fails and reads again.
        """

    def advance(self, filename: str, run_id: str, changes: Mapping[str, Any]) -> ImportRecord:
        """Change some attributes (None removes) of this run, set ``updated_at``, and return the new record.

        Raise VersionConflictError when another run, or no run, is stored.
        """

    def list_all(self, limit: int = 20, token: str | None = None) -> Page[ImportRecord]:
        """Return a page of all imports, in a stable order of the store's choice."""

    def by_state(self, state: ImportState, limit: int = 20, token: str | None = None) -> Page[ImportRecord]:
        """Return a page of the imports in this state, ordered by UpdatedAt."""


class JobStore(Protocol):
    """Job records: the latest of each kind for each slide."""

    def get(self, image_id: str, kind: JobKind) -> JobRecord | None:
        """Return the latest job of this kind for this slide, None where there is none."""

    def start(self, record: JobRecord, *, replaces: str | None) -> None:
        """Store a new request if the stored request's run ID is ``replaces`` (None: no request may be stored yet).

        Raise AlreadyExistsError when another request is stored: the later of two callers fails and reads again.
        """

    def advance(self, job: JobRecord, changes: Mapping[str, Any]) -> JobRecord:
        """Change some attributes (None removes) of this request, set ``updated_at``, and return the new record.

        Raise VersionConflictError when another request, or no request, is stored.
        """

    def by_state(self, state: JobState, limit: int = 20, token: str | None = None) -> Page[JobRecord]:
        """Return a page of the jobs in this state, ordered by NextAt."""

    def sending(self, image_id: str) -> AbstractContextManager[None]:
        """Hold the lock on sending a slide for a block; raise UnavailableError where another run holds it.

        It holds across all processes and machines that send, also where the job is requested again meanwhile.
        A killed run's lock ends by itself.
        """


class ImportStarter(Protocol):
    """Starts imports, and describes a file's source as far as this machine can see the source."""

    def describe_source(self, filename: str, size: int) -> str | None:
        """Return where the file comes from, for the record; raise FileMissingError if the file is clearly missing."""

    def new_source(
        self, filename: str, size: int, known: Collection[str], run: ImportRecord | None
    ) -> str | None:
        """Return the folder that holds a file of that name and size whose checksum is not among ``known``.

        Return None where there is none or it cannot be seen. ``run`` is the latest run of that name and size.
        Raise FileChangingError where the folders hold the file in other sizes only.
        """

    def start(self, run: ImportRecord) -> None:
        """Start this run; idempotent."""

    def has_changed(self, run: ImportRecord) -> bool:
        """Return whether the file that a run imported has other content of the same size now, where it was.

        False where that cannot be seen.
        """

    def has_ended(self, run: ImportRecord) -> bool:
        """Return whether no process can still be working on this run, whatever the run's record says."""
