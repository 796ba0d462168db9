"""Slides that wait to be sent and that nobody sends: a kill between the mark and the request leaves such."""

from vsv.records.models import JobKind, JobRecord, JobState, Status
from vsv.services import Services
from vsv.workflow import job_queue


def request_unsent(services: Services) -> list[JobRecord]:
    """Ask for the delivery of slides that wait for one and have none; only good ones are marked to be sent."""
    asked, token = [], None
    while True:
        page = services.slides.by_status(Status.GOOD, 100, token)
        for record in page.items:
            if record.delivery == "WAITING" and not _is_asked_for(services, record.image_id):
                version = {"version": str(record.version)}
                by = record.modified_by or "vsv"
                asked.append(job_queue.request(services, record.image_id, JobKind.SEND, by, version))
        if (token := page.next_token) is None:
            return asked


def _is_asked_for(services: Services, image_id: str) -> bool:
    job = services.jobs.get(image_id, JobKind.SEND)
    return job is not None and job.state is JobState.WAITING
