"""Search, counts, cases and history: read from the review index in the same way whatever store holds it."""

import heapq
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from vsv.errors import InvalidTokenError
from vsv.records.items import Item
from vsv.records.models import ChangeRecord, SlideRecord, Status
from vsv.records.pagination import check_limit, decode_token, encode_token, is_key
from vsv.records.review_index import LAST, SEPARATOR, changes_set, fold, place, scan_moment, terms
from vsv.records.stores import Page, SlideQuery

# How many rows a page of a search may look at beyond its limit: then it ends, short or empty, with a token.
MAX_LOOKED_AT = 500
# Places of dates begin with a digit: undated slides' with 0, all others' with 1 to 9.
_ANY_DATE, _A_DATE = "0", "1"


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of places, both ends included, read forwards or ``newest`` (last) first."""

    low: str
    high: str
    newest: bool = False

    def after(self, found: str | None) -> str | None:
        """Give the place to go on after; raises InvalidTokenError for one that was never in the span."""
        if found is not None and not self.low <= found <= self.high:
            raise InvalidTokenError("nextToken belongs to another list, or is not valid.")
        return found


class ReviewLists(ABC):
    """The lists of a store that can give rows of the index and records by their IDs."""

    @abstractmethod
    def get_many(self, image_ids: Sequence[str]) -> list[SlideRecord]:
        """Give the records that exist."""

    @abstractmethod
    def _rows(self, set_name: str, span: Span, after: str | None, limit: int) -> list[tuple[str, Item]]:
        """Give at most ``limit`` rows of a set within ``span`` and after a place: places and items."""

    def search(self, query: SlideQuery, limit: int = 20, token: str | None = None) -> Page[SlideRecord]:
        """Give a page of the slides that a query fits; see ``SlideStore.search``."""
        limit = check_limit(limit)
        kind, span = _span(query)
        named = (
            "search",
            kind,
            *(str(part) for part in (fold(query.text), query.status, query.since, query.until)),
        )
        key = decode_token(token, named, parts=2)
        places = self._merged(kind, query, span, span.after(place(*key) if key else None), limit + 1)
        found: list[tuple[str, SlideRecord]] = []
        looked_at = 0
        while chunk := list(islice(places, limit + 1)):
            found += self._fitting(query, chunk)
            looked_at += len(chunk)
            if len(found) > limit:
                return _page(found[:limit], named, found[limit - 1][0])
            if looked_at >= limit + MAX_LOOKED_AT:
                return _page(found, named, chunk[-1])
        return _page(found, named, None)

    def _merged(
        self, kind: str, query: SlideQuery, span: Span, after: str | None, size: int
    ) -> Iterator[str]:
        """Give the places of all wanted statuses in one order."""
        # One set a status: a search within one reads no row of another, and a search in all merges seven.
        sets = [f"{kind} {status}" for status in query.statuses]
        return heapq.merge(*(self._places(name, span, after, size) for name in sets), reverse=span.newest)

    def _places(self, set_name: str, span: Span, after: str | None, size: int) -> Iterator[str]:
        while rows := self._rows(set_name, span, after, size):
            yield from (found for found, _ in rows)
            if len(rows) < size:
                return
            after = rows[-1][0]

    def _fitting(self, query: SlideQuery, places: Sequence[str]) -> Iterator[tuple[str, SlideRecord]]:
        records = {r.image_id: r for r in self.get_many([_image_id(found) for found in places])}
        for found in places:
            record = records.get(_image_id(found))
            if record is not None and _fits(query, found, record):
                yield found, record

    def counts(self) -> dict[Status, int]:
        """Give how many slides have each status."""
        rows = dict(self._rows("statuses", Span("A", LAST), None, 100))
        return {status: max(0, rows.get(status, {}).get("Count", 0)) for status in Status}

    def list_cases(self, limit: int = 100, token: str | None = None) -> Page[str]:
        """Give a page of the CaseIDs that slides have, in order, each once."""
        limit, span = check_limit(limit), Span("\0", LAST)
        key = decode_token(token, ("cases",), parts=1)
        after = span.after(key[0] if key else None)
        rows = self._rows("cases", span, after, limit + 1)
        found = tuple(case for case, item in rows[:limit] if item.get("Count", 0) > 0)
        return Page(found, encode_token(("cases",), [rows[limit - 1][0]]) if len(rows) > limit else None)

    def history(self, image_id: str, limit: int = 20, token: str | None = None) -> Page[ChangeRecord]:
        """Give a page of what was changed about a slide, newest first."""
        limit, span = check_limit(limit), Span("0", LAST, newest=True)
        named = ("changes", image_id)
        key = decode_token(token, named, parts=1)
        after = span.after(key[0] if key else None)
        if not is_key(image_id):
            return Page(())
        rows = self._rows(changes_set(image_id), span, after, limit + 1)
        found = tuple(ChangeRecord.from_item(item) for _, item in rows[:limit])
        return Page(found, encode_token(named, [rows[limit - 1][0]]) if len(rows) > limit else None)


def _span(query: SlideQuery) -> tuple[str, Span]:
    if prefix := fold(query.text):
        return "terms", Span(prefix, prefix + LAST)
    lowest = query.since or (_A_DATE if query.until else _ANY_DATE)
    return "dates", Span(lowest, (query.until or "") + LAST, newest=True)


def _image_id(found: str) -> str:
    return found.partition(SEPARATOR)[2]


def _fits(query: SlideQuery, found: str, record: SlideRecord) -> bool:
    """Tell whether a slide belongs on the page for this place: the row may be older than the record."""
    item, term = record.to_item(), found.partition(SEPARATOR)[0]
    if record.status not in query.statuses:
        return False
    prefix = fold(query.text)
    if not prefix:
        return scan_moment(item) == term
    # A slide found by two of its texts is shown at the first of them, whatever page that is on.
    if term != min((own for own in terms(item) if own.startswith(prefix)), default=None):
        return False
    return _in_time(query, scan_moment(item))


def _in_time(query: SlideQuery, scanned: str) -> bool:
    if query.since is None and query.until is None:
        return True
    return (query.since or _A_DATE) <= scanned <= (query.until or LAST)


def _page(
    found: Sequence[tuple[str, SlideRecord]], named: Sequence[str], last: str | None
) -> Page[SlideRecord]:
    token = None if last is None else encode_token(named, last.split(SEPARATOR, 1))
    return Page(tuple(record for _, record in found), token)
