"""Queue of jobs for work that takes long or may have to wait: requested once, retried until done.

A job is a record; ``lifecycle.job_runner`` of any process runs it.
"""

import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta

from vsv.errors import ConflictError
from vsv.records.models import JobKind, JobRecord, JobState, job_id
from vsv.services import Services
from vsv.timestamps import later, now_utc

# A job that is due later than this was postponed by a wrong clock.
FARTHEST = timedelta(days=1)
# Jobs that move a slide's files exclude each other; sending only reads a record.
OF_FILES = tuple(kind for kind in JobKind if kind is not JobKind.SEND)
_OTHER_OPTIONS = "This was already requested for this slide with other options: wait until that is done."


def request(
    services: Services,
    image_id: str,
    kind: JobKind,
    by: str,
    detail: Mapping[str, str] | None = None,
    *,
    instead: bool = False,
) -> JobRecord:
    """Request a job and return its record; idempotent: a waiting job with the same detail is returned unchanged.

    ``instead``: a waiting job with another detail is replaced. A background job that waits becomes a person's. Raises
    ConflictError where another job waits for this slide, AlreadyExistsError where a concurrent request was faster.
    """
    earlier = services.jobs.get(image_id, kind)
    if earlier is not None and earlier.state is JobState.WAITING:
        if (earlier.detail or {}) == (detail or {}):
            return (
                services.jobs.advance(earlier, {"is_background": None}) if earlier.is_background else earlier
            )
        if not instead:
            raise ConflictError(_OTHER_OPTIONS)
    return _start(services, earlier, _new_job(image_id, kind, by, detail))


def request_in_background(
    services: Services, image_id: str, kind: JobKind, by: str, detail: Mapping[str, str] | None = None
) -> JobRecord:
    """Request a job that no person waits for, as ``request`` does: what people requested goes before it."""
    earlier = services.jobs.get(image_id, kind)
    if earlier is not None and earlier.state is JobState.WAITING:
        if (earlier.detail or {}) == (detail or {}):
            return earlier
        raise ConflictError(_OTHER_OPTIONS)
    return _start(services, earlier, replace(_new_job(image_id, kind, by, detail), is_background=True))


def _start(services: Services, earlier: JobRecord | None, job: JobRecord) -> JobRecord:
    _check_free(services, job.image_id, job.kind)
    services.jobs.start(job, replaces=earlier.run_id if earlier else None)
    return job


def _check_free(services: Services, image_id: str, kind: JobKind) -> None:
    others = (other for other in OF_FILES if kind in OF_FILES and other is not kind)
    for job in filter(None, (services.jobs.get(image_id, other) for other in others)):
        if job.state is JobState.WAITING:
            raise ConflictError(
                f"Another job is in progress for this slide ({job.kind}): wait until that is done."
            )


def _new_job(image_id: str, kind: JobKind, by: str, detail: Mapping[str, str] | None) -> JobRecord:
    now = now_utc()
    return JobRecord(
        job_id=job_id(image_id, kind),
        kind=kind,
        image_id=image_id,
        run_id=secrets.token_hex(16),
        state=JobState.WAITING,
        by=by,
        next_at=now,
        detail=detail or None,
        requested_at=now,
        updated_at=now,
    )


def due(services: Services, kinds: Iterable[JobKind]) -> Iterator[JobRecord]:
    """Yield the jobs of these kinds that are due, the longest waiting first."""
    wanted, now, farthest, token = frozenset(kinds), now_utc(), later(FARTHEST), None
    while True:
        page = services.jobs.by_state(JobState.WAITING, 100, token)
        for job in page.items:
            if job.kind in wanted and not now < job.next_at <= farthest:
                yield job
        if (token := page.next_token) is None:
            return


def slide_jobs(services: Services, image_id: str) -> list[JobRecord]:
    """Return the latest job of each kind for a slide."""
    return [job for kind in JobKind if (job := services.jobs.get(image_id, kind)) is not None]
