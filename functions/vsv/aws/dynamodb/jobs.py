"""Job records in DynamoDB; ``records`` describes the consistency of all stores."""

import logging
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

from vsv.aws.dynamodb.review_index import ReviewTable
from vsv.aws.dynamodb.table import Order, RefusedError, Table, dynamodb_client
from vsv.errors import AlreadyExistsError, UnavailableError, VersionConflictError
from vsv.records.items import job_changes, new_item
from vsv.records.models import JOB_CHANGES, JobKind, JobRecord, JobState, job_id
from vsv.records.stores import Page
from vsv.timestamps import later, now_utc

log = logging.getLogger(__name__)

# Lambda ends a call after 15 minutes, so that no holder outlives its lock.
LOCK_FOR = timedelta(minutes=15)
# A lock that ends later than this was taken by a wrong clock.
FARTHEST = timedelta(hours=1)
_SENT_ELSEWHERE = "this slide is being sent by another run: try again when that is finished"


class DynamoJobStore:
    """The jobs table; ``client`` is a boto3 client, by default ``dynamodb_client()``.

    Each change is signalled by the stream of the review table, where one is given, for subscribers.
    """

    _BY_STATE = Order("State-NextAt-index", "State", ("NextAt", "JobID"))

    def __init__(self, table_name: str, client: Any = None, *, review_table: str = "") -> None:
        client = client or dynamodb_client()
        self._table = Table(table_name, "JobID", JobRecord, client)
        self._changes = ReviewTable(review_table, client) if review_table else None

    def get(self, image_id: str, kind: JobKind) -> JobRecord | None:
        """Return the latest job of this kind for this slide, None where there is none."""
        return self._table.get(job_id(image_id, kind))

    def start(self, record: JobRecord, *, replaces: str | None) -> None:
        """Store a new request in place of ``replaces``; raise AlreadyExistsError if another request is stored."""
        condition, values = "attribute_not_exists(#JobID)", {}
        if replaces is not None:
            condition, values = "#RunID = :replaces", {"replaces": replaces}
        try:
            self._table.put(new_item(record), condition, values)
        except RefusedError as refused:
            # boto3 retries a call whose response was lost; the retry then finds this same job, not another one.
            if refused.item is None or self._table.record(refused.item) != record:
                raise AlreadyExistsError("This was requested in the meantime: check its progress.") from None
        self._signal_change(record.job_id)

    def advance(self, job: JobRecord, changes: Mapping[str, Any]) -> JobRecord:
        """Change some attributes of this request; raise VersionConflictError if another request is stored."""
        fields = job_changes(changes)
        try:
            changed = self._table.update(job.job_id, fields, "#RunID = :run", {"run": job.run_id})
        except RefusedError:
            raise VersionConflictError("This was requested again in the meantime.") from None
        self._signal_change(job.job_id)
        return changed

    def _signal_change(self, key: str) -> None:
        """Signal a change of a job to subscribers; pages that miss one read the jobs again some time."""
        if self._changes is None:
            return
        try:
            self._changes.signal((JOB_CHANGES, key))
        except UnavailableError:
            log.warning("a change of %s is not told", key)

    def by_state(self, state: JobState, limit: int = 20, token: str | None = None) -> Page[JobRecord]:
        """Return a page of the jobs in this state, ordered by NextAt."""
        return self._table.page(self._BY_STATE, str(state), limit, token)

    @contextmanager
    def sending(self, image_id: str) -> Iterator[None]:
        """Hold an item with an expiry for the block; see ``JobStore``.

        The item has no state, so that it is in no list of jobs, and wakes no function.
        """
        key, holder = f"LOCK.{job_id(image_id, JobKind.SEND)}", secrets.token_hex(16)
        item = {"JobID": key, "Holder": holder, "Until": later(LOCK_FOR)}
        is_free = "attribute_not_exists(#JobID) OR #Until < :now OR #Until > :farthest OR #Holder = :me"
        try:
            self._table.put(item, is_free, {"now": now_utc(), "farthest": later(FARTHEST), "me": holder})
        except RefusedError:
            raise UnavailableError(_SENT_ELSEWHERE) from None
        try:
            yield
        finally:
            with suppress(RefusedError, UnavailableError):  # else it ends by its expiry
                self._table.delete(key, "#Holder = :me", {"me": holder})
