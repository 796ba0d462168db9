"""Sending of slides' metadata: every destination gets each document at least once, under the same idempotency key.

A slide that is marked for delivery waits (``Delivery`` WAITING) until all destinations have acknowledged; only then
is the slide SENT. The document is fixed with the first attempt, so that every retry delivers the same bytes.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from vsv.delivery.transports import deliver
from vsv.errors import (
    ConflictError,
    SlideNotFoundError,
    UnavailableError,
    VersionConflictError,
    VsvError,
)
from vsv.records.models import JobRecord, SlideRecord, Status
from vsv.services import Services
from vsv.timestamps import now_utc

SCHEMA = "virtual-slide-viewer/slide/1"
# Fields that a registry needs to file a slide. Notes and reviewers are the lab's own; tags can hold any text.
_SENT_FIELDS = (
    "ImageID", "SlideID", "CaseID", "Filename", "ScanDate", "TimeZone", "AppMag", "MPP", "width", "height",
    "FileSize", "Checksum", "Barcode", "BarcodeFormat", "ScannerID", "Compression", "Predecessor", "Version",
)  # fmt: skip
_DOCUMENT, _TAKEN = "document", "taken by "
_ATTEMPTS = 5


def send_step(services: Services, job: JobRecord) -> Mapping[str, str]:
    """Deliver a slide's metadata to the destinations that have not acknowledged it, then mark the slide SENT.

    Returns when each destination acknowledged. Raises UnavailableError where a destination cannot take the document
    now (the others still get it), BadRequestError where a destination refuses it, ConflictError where the slide is no
    longer marked for delivery.
    """
    record = _read_waiting(services, job)
    if record is None:
        return job.result or {}
    job = _fix_document(services, job, record)
    problems = []
    for destination in services.destinations:
        if f"{_TAKEN}{destination.name}" in (job.result or {}):
            continue
        try:
            deliver(destination, delivery_key(job), _document(job))
        except VsvError as error:
            problems.append(error)
        else:
            job = _add_result(services, job, {f"{_TAKEN}{destination.name}": now_utc()})
    if problems:
        raise problems[0]
    _mark_sent(services, job)
    return {name: text for name, text in (job.result or {}).items() if name != _DOCUMENT}


def delivery_key(job: JobRecord) -> str:
    """Return the idempotency key that every attempt of a delivery request carries."""
    return f"{job.image_id}-{job.run_id[:16]}"


def _read_waiting(services: Services, job: JobRecord) -> SlideRecord | None:
    """Return the slide's record; None where a killed run has already marked the slide SENT."""
    record = services.slides.get(job.image_id)
    if record is None:
        raise SlideNotFoundError("Slide not found.")
    if record.delivery == "DELIVERED" and any(name.startswith(_TAKEN) for name in job.result or {}):
        return None
    if record.delivery != "WAITING":
        raise ConflictError("The slide's status was changed before it was sent.")
    return record


def _fix_document(services: Services, job: JobRecord, record: SlideRecord) -> JobRecord:
    if _DOCUMENT in (job.result or {}):
        return job
    return _add_result(services, job, {_DOCUMENT: json.dumps(_describe(job, record), ensure_ascii=False)})


def _describe(job: JobRecord, record: SlideRecord) -> dict[str, Any]:
    item = record.to_item()
    return {
        "schema": SCHEMA,
        "deliveryId": delivery_key(job),
        "requestedAt": job.requested_at,
        "requestedBy": job.by,
        "slide": {name: item[name] for name in _SENT_FIELDS if name in item},
    }


def _document(job: JobRecord) -> bytes:
    return (job.result or {})[_DOCUMENT].encode()


def _add_result(services: Services, job: JobRecord, texts: Mapping[str, str]) -> JobRecord:
    return services.jobs.advance(job, {"result": {**(job.result or {}), **texts}})


def _mark_sent(services: Services, job: JobRecord) -> None:
    """Mark the slide SENT, unless its status or mark was changed meanwhile; raise UnavailableError for a retry."""
    for _ in range(_ATTEMPTS):
        record = services.slides.get(job.image_id)
        if record is None or record.delivery != "WAITING":
            return
        changes: dict[str, Any] = {"delivery": "DELIVERED"}
        if record.status is Status.GOOD:
            changes["status"] = Status.SENT
        with suppress(VersionConflictError):
            services.slides.update(job.image_id, changes, by=job.by, expected_version=record.version)
            return
    raise UnavailableError("others keep changing this slide")
