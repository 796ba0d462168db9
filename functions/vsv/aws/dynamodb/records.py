"""Slide and import records in DynamoDB.

``get``, ``get_many`` and every condition see the latest write. Lists are eventually consistent, as global
indexes are: a change shows after a moment. The indexes must project all attributes.

DynamoDB leaves items without ``SlideID`` out of ``Status-SlideID-index``, where a technician would miss them:
a slide that has none is stored with its ImageID as ``SlideID`` and a mark, ``NoSlideID``; reading drops both.
"""

import random
import time
from collections.abc import Mapping, Sequence
from typing import Any

from vsv.aws.dynamodb.review_index import ReviewTable
from vsv.aws.dynamodb.table import BusyError, Order, RefusedError, Table, dynamodb_client
from vsv.errors import AlreadyExistsError, SlideNotFoundError, UnavailableError, VersionConflictError
from vsv.records.items import Item, import_changes, new_item, slide_changes
from vsv.records.models import ImportRecord, ImportState, SlideRecord, Status
from vsv.records.review_index import Writes, writes
from vsv.records.review_queries import ReviewLists, Span
from vsv.records.stores import Page

# A change reads, then writes if nobody was faster: with as many attempts a crowd of writers gets through.
WRITE_ATTEMPTS = 12
WRITE_PAUSE_S = 0.02


class DynamoSlideStore(ReviewLists):
    """The slides table and its review index; ``client`` is a boto3 client, by default ``dynamodb_client()``."""

    _BY_STATUS = Order("Status-SlideID-index", "Status", ("SlideID", "ImageID"))
    _BY_CASE = Order("CaseID-index", "CaseID", ("ImageID",))
    _BY_FILENAME = Order("Filename-index", "Filename", ("ImageID",))

    def __init__(self, table_name: str, client: Any = None, *, review_table: str | None = None) -> None:
        client = client or dynamodb_client()
        self._table = Table(table_name, "ImageID", SlideRecord, client)
        self._review = ReviewTable(review_table or f"{table_name}-review", client)

    def get(self, image_id: str) -> SlideRecord | None:
        """Give the slide's record, or None."""
        return self._table.get(image_id)

    def get_many(self, image_ids: Sequence[str]) -> list[SlideRecord]:
        """Give the records in the order asked for, repeats too, without those that do not exist."""
        found = {record.image_id: record for record in self._table.get_many(image_ids)}
        return [found[image_id] for image_id in image_ids if image_id in found]

    def put_new(self, record: SlideRecord) -> None:
        """Store a record under a free ImageID; raises AlreadyExistsError."""
        item = new_item(record)
        request = self._table.put_request(_storable(item), "attribute_not_exists(#ImageID)", {})
        for attempt in range(WRITE_ATTEMPTS):
            try:
                return self._write(attempt, request, writes(None, item))
            except RefusedError:
                raise AlreadyExistsError("A slide with this ImageID is already stored.") from None
            except BusyError:
                continue
        raise UnavailableError("The record store is overloaded: try again in a minute.")

    def update(
        self, image_id: str, changes: Mapping[str, Any], *, by: str, expected_version: int | None = None
    ) -> SlideRecord:
        """Change some attributes in one atomic step; see ``SlideStore.update``."""
        for attempt in range(WRITE_ATTEMPTS):
            fields = slide_changes(changes, by)
            stored = self._stored(image_id)
            if stored is None:
                raise SlideNotFoundError("Slide not found.")
            version = stored.get("Version")
            if expected_version not in (None, version):
                raise VersionConflictError("The slide was changed in the meantime: reload it.")
            item = stored | fields | {"Version": (version or 1) + 1}
            item = {name: value for name, value in item.items() if value is not None}
            request = self._table.put_request(_storable(item), *_still(version))
            try:
                self._write(attempt, request, writes(stored, item))
            except (RefusedError, BusyError):
                continue  # changed since it was read: the next reading decides
            return SlideRecord.from_item(item)
        raise UnavailableError("The record store is overloaded: try again in a minute.")

    def remove(self, image_id: str) -> None:
        """Forget the slide's record; a missing one is no error. Its history stays."""
        for attempt in range(WRITE_ATTEMPTS):
            if (stored := self._stored(image_id)) is None:
                return None
            request = self._table.delete_request(image_id, *_still(stored.get("Version")))
            try:
                return self._write(attempt, request, writes(stored, None))
            except (RefusedError, BusyError):
                continue
        raise UnavailableError("The record store is overloaded: try again in a minute.")

    def _stored(self, image_id: str) -> Item | None:
        attributes = self._table.attributes(image_id)
        return None if attributes is None else self._table.item(attributes)

    def _write(self, attempt: int, request: Item, done: Writes) -> None:
        """Write a record and what it does to the review index, all or nothing."""
        if attempt:
            # Not all at the same time again.
            time.sleep(random.uniform(0, WRITE_PAUSE_S * 2 ** min(attempt, 5)))  # noqa: S311
        self._table.transact([request, *self._review.requests(done)])

    def _rows(self, set_name: str, span: Span, after: str | None, limit: int) -> list[tuple[str, Item]]:
        return self._review.rows(set_name, span, after, limit)

    def list_all(self, limit: int = 20, token: str | None = None) -> Page[SlideRecord]:
        """Give a page of all slides, in DynamoDB's own order."""
        return self._table.page(None, "", limit, token)

    def by_status(self, status: Status, limit: int = 20, token: str | None = None) -> Page[SlideRecord]:
        """Give a page of the slides with this status, by SlideID; a slide without one lies at its ImageID."""
        return self._table.page(self._BY_STATUS, str(status), limit, token)

    def by_case(self, case_id: str, limit: int = 20, token: str | None = None) -> Page[SlideRecord]:
        """Give a page of a case's slides."""
        return self._table.page(self._BY_CASE, case_id, limit, token)

    def by_filename(self, filename: str, limit: int = 20, token: str | None = None) -> Page[SlideRecord]:
        """Give a page of the slides that were imported under this filename."""
        return self._table.page(self._BY_FILENAME, filename, limit, token)


class DynamoImportStore:
    """The imports table; ``client`` is a boto3 client, by default ``dynamodb_client()``."""

    _BY_STATE = Order("State-UpdatedAt-index", "State", ("UpdatedAt", "Filename"))

    def __init__(self, table_name: str, client: Any = None) -> None:
        self._table = Table(table_name, "Filename", ImportRecord, client)

    def get(self, filename: str) -> ImportRecord | None:
        """Give the latest import under this filename, or None."""
        return self._table.get(filename)

    def start(self, record: ImportRecord, *, replaces: str | None) -> None:
        """Store a new run in the place of ``replaces``; raises AlreadyExistsError if another run is there."""
        condition, values = "attribute_not_exists(#Filename)", {}
        if replaces is not None:
            condition, values = "#RunID = :replaces", {"replaces": replaces}
        try:
            self._table.put(new_item(record), condition, values)
        except RefusedError as refused:
            # boto3 repeats a request whose answer was lost; the repeat meets this very run, no other.
            if refused.item is None or self._table.record(refused.item) != record:
                raise AlreadyExistsError("Another import of this file was started in the meantime.") from None

    def advance(self, filename: str, run_id: str, changes: Mapping[str, Any]) -> ImportRecord:
        """Change some attributes of this very run; raises VersionConflictError if another has its place."""
        fields = import_changes(changes)
        try:
            return self._table.update(filename, fields, "#RunID = :run", {"run": run_id})
        except RefusedError:
            raise VersionConflictError("Another import of this file has replaced this one.") from None

    def list_all(self, limit: int = 20, token: str | None = None) -> Page[ImportRecord]:
        """Give a page of all imports, in DynamoDB's own order."""
        return self._table.page(None, "", limit, token)

    def by_state(self, state: ImportState, limit: int = 20, token: str | None = None) -> Page[ImportRecord]:
        """Give a page of the imports in this state, by UpdatedAt."""
        return self._table.page(self._BY_STATE, str(state), limit, token)


def _storable(item: Item) -> Item:
    return item if "SlideID" in item else item | {"SlideID": item["ImageID"], "NoSlideID": True}


def _still(version: int | None) -> tuple[str, Item]:
    """Give the condition that an item is as it was read, and its values."""
    if version is None:
        return "attribute_exists(#ImageID) AND attribute_not_exists(#Version)", {}
    return "#Version = :read", {"read": version}
