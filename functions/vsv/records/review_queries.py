"""Search, counts, cases and history: queries of the review index, the same for every store."""

import heapq
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from vsv.errors import InvalidTokenError
from vsv.records.items import Item
from vsv.records.models import ChangeRecord, SlideRecord, Status
from vsv.records.pagination import check_limit, decode_token, encode_token, is_key
from vsv.records.review_index import (
    LAST,
    SEPARATOR,
    changes_set,
    checksum_set,
    fold,
    place,
    scan_moment,
    terms,
)
from vsv.records.stores import Page, SlideQuery

# How many rows a page of a search may read beyond its limit; then the page ends, short or empty, with a token.
MAX_EXTRA_ROWS = 500
# Places of dates begin with a digit: 0 for undated slides, 1 to 9 for all others.
_ANY_DATE, _A_DATE = "0", "1"


@dataclass(frozen=True, slots=True)
class Span:
    """A range of places, both ends included, read forwards or ``newest`` (last) first."""

    low: str
    high: str
    newest: bool = False

    def after(self, place: str | None) -> str | None:
        """Return the place to continue after; raise InvalidTokenError for a place outside the span."""
        if place is not None and not self.low <= place <= self.high:
            raise InvalidTokenError("nextToken belongs to another list, or is not valid.")
        return place


class ReviewLists(ABC):
    """The lists of a store that can read rows of the index, and records by their IDs."""

    @abstractmethod
    def get_many(self, image_ids: Sequence[str]) -> list[SlideRecord]:
        """Return the records that exist."""

    @abstractmethod
    def _rows(self, set_name: str, span: Span, after: str | None, limit: int) -> list[tuple[str, Item]]:
        """Return place and item of at most ``limit`` rows of a set, within ``span`` and after a place."""

    def search(self, query: SlideQuery, limit: int = 20, token: str | None = None) -> Page[SlideRecord]:
        """Return a page of the slides that match a query; see ``SlideStore.search``."""
        limit = check_limit(limit)
        kind, span = _span(query)
        query_key = (
            "search",
            kind,
            *(str(part) for part in (fold(query.text), query.status, query.since, query.until)),
            *(["duplicates"] if query.duplicates else []),
        )
        key = decode_token(token, query_key, parts=2)
        places = self._merged_places(kind, query, span, span.after(place(*key) if key else None), limit + 1)
        matches: list[tuple[str, SlideRecord]] = []
        read_count = 0
        while chunk := list(islice(places, limit + 1)):
            matches += self._matching(query, chunk)
            read_count += len(chunk)
            if len(matches) > limit:
                return _page(matches[:limit], query_key, matches[limit - 1][0])
            if read_count >= limit + MAX_EXTRA_ROWS:
                return _page(matches, query_key, chunk[-1])
        return _page(matches, query_key, None)

    def _merged_places(
        self, kind: str, query: SlideQuery, span: Span, after: str | None, size: int
    ) -> Iterator[str]:
        """Return the places of all searched statuses, merged in one order."""
        # One set per status: a search within one status reads no row of another, a search in all merges seven sets.
        sets = [f"{kind} {status}" for status in query.statuses]
        return heapq.merge(*(self._places(name, span, after, size) for name in sets), reverse=span.newest)

    def _places(self, set_name: str, span: Span, after: str | None, size: int) -> Iterator[str]:
        while rows := self._rows(set_name, span, after, size):
            yield from (row_place for row_place, _ in rows)
            if len(rows) < size:
                return
            after = rows[-1][0]

    def _matching(self, query: SlideQuery, places: Sequence[str]) -> Iterator[tuple[str, SlideRecord]]:
        records = {r.image_id: r for r in self.get_many([_image_id(row_place) for row_place in places])}
        for row_place in places:
            record = records.get(_image_id(row_place))
            if record is not None and _matches(query, row_place, record):
                yield row_place, record

    def by_checksum(self, checksum: str, limit: int = 100) -> list[SlideRecord]:
        """Return the slides with these bytes, without deleted ones; at most ``limit`` are read."""
        rows = self._rows(checksum_set(checksum), Span("\0", LAST), None, check_limit(limit))
        records = self.get_many([image_id for image_id, _ in rows])
        return [r for r in records if r.checksum == checksum and r.status is not Status.DELETED]

    def by_slide_id(self, slide_id: str, limit: int = 100) -> list[SlideRecord]:
        """Return the slides with this slide ID, without deleted ones; at most ``limit`` are read in each status."""
        term, limit = fold(slide_id), check_limit(limit)
        span = Span(place(term, ""), place(term, LAST))
        sets = [f"terms {status}" for status in SlideQuery().statuses]
        rows = [row for name in sets for row in self._rows(name, span, None, limit)]
        records = self.get_many(list(dict.fromkeys(_image_id(row_place) for row_place, _ in rows)))
        return [r for r in records if r.slide_id == slide_id and r.status is not Status.DELETED]

    def counts(self) -> dict[Status, int]:
        """Return the number of slides by status."""
        rows = dict(self._rows("statuses", Span("A", LAST), None, 100))
        return {status: max(0, rows.get(status, {}).get("Count", 0)) for status in Status}

    def list_cases(self, limit: int = 100, token: str | None = None) -> Page[str]:
        """Return a page of the CaseIDs of the stored slides, in order, each once."""
        limit, span = check_limit(limit), Span("\0", LAST)
        key = decode_token(token, ("cases",), parts=1)
        after = span.after(key[0] if key else None)
        rows = self._rows("cases", span, after, limit + 1)
        cases = tuple(case_id for case_id, item in rows[:limit] if item.get("Count", 0) > 0)
        return Page(cases, encode_token(("cases",), [rows[limit - 1][0]]) if len(rows) > limit else None)

    def history(self, image_id: str, limit: int = 20, token: str | None = None) -> Page[ChangeRecord]:
        """Return a page of a slide's changes, newest first."""
        limit, span = check_limit(limit), Span("0", LAST, newest=True)
        query_key = ("changes", image_id)
        key = decode_token(token, query_key, parts=1)
        after = span.after(key[0] if key else None)
        if not is_key(image_id):
            return Page(())
        rows = self._rows(changes_set(image_id), span, after, limit + 1)
        changes = tuple(ChangeRecord.from_item(item) for _, item in rows[:limit])
        return Page(changes, encode_token(query_key, [rows[limit - 1][0]]) if len(rows) > limit else None)


def _span(query: SlideQuery) -> tuple[str, Span]:
    if prefix := fold(query.text):
        return "terms", Span(prefix, prefix + LAST)
    lowest = query.since or (_A_DATE if query.until else _ANY_DATE)
    return "doubles" if query.duplicates else "dates", Span(lowest, (query.until or "") + LAST, newest=True)


def _image_id(row_place: str) -> str:
    return row_place.partition(SEPARATOR)[2]


def _matches(query: SlideQuery, row_place: str, record: SlideRecord) -> bool:
    """Return whether a record still matches the query at this place: the row may be older than the record."""
    item, term = record.to_item(), row_place.partition(SEPARATOR)[0]
    if record.status not in query.statuses or (query.duplicates and not record.is_duplicate):
        return False
    prefix = fold(query.text)
    if not prefix:
        return scan_moment(item) == term
    # A slide that matches by two of its texts is listed at the first of them, whatever page that is on.
    if term != min((other for other in terms(item) if other.startswith(prefix)), default=None):
        return False
    return _in_scan_range(query, scan_moment(item))


def _in_scan_range(query: SlideQuery, scanned: str) -> bool:
    if query.since is None and query.until is None:
        return True
    return (query.since or _A_DATE) <= scanned <= (query.until or LAST)


def _page(
    matches: Sequence[tuple[str, SlideRecord]], query_key: Sequence[str], last: str | None
) -> Page[SlideRecord]:
    token = None if last is None else encode_token(query_key, last.split(SEPARATOR, 1))
    return Page(tuple(record for _, record in matches), token)
