"""Recovery of slides that are marked for delivery and have no delivery job, after a crash between mark and request.

A module apart from ``sending``: the function that looks for these slides is packed without the code that sends.
"""

from vsv.records.models import JobKind, JobRecord, JobState, Status
from vsv.services import Services
from vsv.workflow import job_queue


def request_unsent(services: Services) -> list[JobRecord]:
    """Find slides marked for delivery that have no delivery job (crash recovery); request and return these jobs.

    Only slides that are GOOD are marked for delivery.
    """
    requested, token = [], None
    while True:
        page = services.slides.by_status(Status.GOOD, 100, token)
        for record in page.items:
            if record.delivery == "WAITING" and not _has_delivery_job(services, record.image_id):
                version = {"version": str(record.version)}
                by = record.modified_by or "vsv"
                requested.append(job_queue.request(services, record.image_id, JobKind.SEND, by, version))
        if (token := page.next_token) is None:
            return requested


def _has_delivery_job(services: Services, image_id: str) -> bool:
    job = services.jobs.get(image_id, JobKind.SEND)
    return job is not None and job.state is JobState.WAITING
