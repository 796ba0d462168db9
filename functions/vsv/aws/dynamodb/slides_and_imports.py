"""Slide and import records in DynamoDB.

``get``, ``get_many`` and every condition see the latest write. Lists are eventually consistent, as global
indexes are: they show a change after a short delay. The indexes must project all attributes.

DynamoDB leaves items without ``SlideID`` out of ``Status-SlideID-index``, where technicians would miss them. A slide
without SlideID is therefore stored with its ImageID as ``SlideID`` and the mark ``NoSlideID``; reading drops both.
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

# A change reads, then writes if no other writer was faster: with this many attempts many concurrent writers succeed.
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
        """Return the slide's record, None where there is none."""
        return self._table.get(image_id)

    def get_many(self, image_ids: Sequence[str]) -> list[SlideRecord]:
        """Return the records in the order of ``image_ids``, repeats included, without those that do not exist."""
        records = {record.image_id: record for record in self._table.get_many(image_ids)}
        return [records[image_id] for image_id in image_ids if image_id in records]

    def put_new(self, record: SlideRecord) -> None:
        """Store a record under a free ImageID; raise AlreadyExistsError otherwise."""
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
            request = self._table.put_request(_storable(item), *_is_unchanged(version))
            try:
                self._write(attempt, request, writes(stored, item))
            except (RefusedError, BusyError):
                continue  # changed since it was read: the next attempt reads it again
            return SlideRecord.from_item(item)
        raise UnavailableError("The record store is overloaded: try again in a minute.")

    def remove(self, image_id: str) -> None:
        """Remove the slide's record; a missing record is no error. The history stays."""
        for attempt in range(WRITE_ATTEMPTS):
            if (stored := self._stored(image_id)) is None:
                return None
            request = self._table.delete_request(image_id, *_is_unchanged(stored.get("Version")))
            try:
                return self._write(attempt, request, writes(stored, None))
            except (RefusedError, BusyError):
                continue
        raise UnavailableError("The record store is overloaded: try again in a minute.")

    def _stored(self, image_id: str) -> Item | None:
        attributes = self._table.attributes(image_id)
        return None if attributes is None else self._table.item(attributes)

    def _write(self, attempt: int, request: Item, index_writes: Writes) -> None:
        """Write a record and its changes of the review index in one transaction."""
        if attempt:
            # Back-off with jitter, so that concurrent writers do not collide again.
            time.sleep(random.uniform(0, WRITE_PAUSE_S * 2 ** min(attempt, 5)))  # noqa: S311
        self._table.transact([request, *self._review.requests(index_writes)])

    def _rows(self, set_name: str, span: Span, after: str | None, limit: int) -> list[tuple[str, Item]]:
        return self._review.rows(set_name, span, after, limit)

    def list_all(self, limit: int = 20, token: str | None = None) -> Page[SlideRecord]:
        """Return a page of all slides, in DynamoDB's order."""
        return self._table.page(None, "", limit, token)

    def by_status(self, status: Status, limit: int = 20, token: str | None = None) -> Page[SlideRecord]:
        """Return a page of the slides with this status, ordered by SlideID, or ImageID where there is none."""
        return self._table.page(self._BY_STATUS, str(status), limit, token)

    def by_case(self, case_id: str, limit: int = 20, token: str | None = None) -> Page[SlideRecord]:
        """Return a page of a case's slides."""
        return self._table.page(self._BY_CASE, case_id, limit, token)

    def by_filename(self, filename: str, limit: int = 20, token: str | None = None) -> Page[SlideRecord]:
        """Return a page of the slides that were imported under this filename."""
        return self._table.page(self._BY_FILENAME, filename, limit, token)


class DynamoImportStore:
    """The imports table; ``client`` is a boto3 client, by default ``dynamodb_client()``."""

    _BY_STATE = Order("State-UpdatedAt-index", "State", ("UpdatedAt", "Filename"))

    def __init__(self, table_name: str, client: Any = None) -> None:
        self._table = Table(table_name, "Filename", ImportRecord, client)

    def get(self, filename: str) -> ImportRecord | None:
        """Return the latest import under this filename, None where there is none."""
        return self._table.get(filename)

    def start(self, record: ImportRecord, *, replaces: str | None) -> None:
        """Store a new run in place of ``replaces``; raise AlreadyExistsError if another run is stored."""
        condition, values = "attribute_not_exists(#Filename)", {}
        if replaces is not None:
            condition, values = "#RunID = :replaces", {"replaces": replaces}
        try:
            self._table.put(new_item(record), condition, values)
        except RefusedError as refused:
            # boto3 retries a call whose response was lost; the retry then finds this same run, not another one.
            if refused.item is None or self._table.record(refused.item) != record:
                raise AlreadyExistsError("Another import of this file was started in the meantime.") from None

    def advance(self, filename: str, run_id: str, changes: Mapping[str, Any]) -> ImportRecord:
        """Change some attributes of this run; raise VersionConflictError if another run is stored."""
        fields = import_changes(changes)
        try:
            return self._table.update(filename, fields, "#RunID = :run", {"run": run_id})
        except RefusedError:
            raise VersionConflictError("Another import of this file has replaced this one.") from None

    def list_all(self, limit: int = 20, token: str | None = None) -> Page[ImportRecord]:
        """Return a page of all imports, in DynamoDB's order."""
        return self._table.page(None, "", limit, token)

    def by_state(self, state: ImportState, limit: int = 20, token: str | None = None) -> Page[ImportRecord]:
        """Return a page of the imports in this state, ordered by UpdatedAt."""
        return self._table.page(self._BY_STATE, str(state), limit, token)


def _storable(item: Item) -> Item:
    return item if "SlideID" in item else item | {"SlideID": item["ImageID"], "NoSlideID": True}


def _is_unchanged(version: int | None) -> tuple[str, Item]:
    """Return the condition that an item is unchanged since it was read, and the condition's values."""
    if version is None:
        return "attribute_exists(#ImageID) AND attribute_not_exists(#Version)", {}
    return "#Version = :read", {"read": version}
