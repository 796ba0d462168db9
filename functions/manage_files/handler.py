"""Run jobs on slides' files: publish, withdraw, archive, restore, purge, render.

``job_batches`` has the triggers.

In the VPC this function reaches DynamoDB, S3 and the file system, which is all that these jobs need. Lambda stops a
job that exceeds the function's timeout; the next call resumes that job.
"""

import logging
from typing import Any

from lambda_support.job_batches import report_longest_wait, run_due_jobs
from lambda_support.observability import observed
from vsv.errors import BadRequestError
from vsv.lifecycle.daily_schedule import LOOKS
from vsv.records.models import JobKind
from vsv.runtime import current
from vsv.services import Services

log = logging.getLogger(__name__)

# Time for 15 GB at 50 MB/s: a job that is started should finish, since being stopped costs an attempt.
NEEDS_MS = 300_000
# All kinds that work on files (job_queue.OF_FILES): the package holds the steps of the kinds that are named here.
KINDS = (
    JobKind.PUBLISH,
    JobKind.WITHDRAW,
    JobKind.ARCHIVE,
    JobKind.RESTORE,
    JobKind.PURGE,
    JobKind.RENDER,
)


@observed
def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Run the jobs that are due; or, for an event with ``look``, request the jobs that are due by age.

    ``look`` is one of ``daily_schedule.LOOKS``.
    """
    services = current()
    if (name := event.get("look")) is not None:
        return _request_jobs(services, name)
    report_longest_wait(services)
    return run_due_jobs(services, KINDS, context, NEEDS_MS)


def _request_jobs(services: Services, name: object) -> dict[str, Any]:
    """Request jobs that are due by age; the jobs table's stream triggers this function again for each."""
    if not isinstance(name, str) or name not in LOOKS:
        raise BadRequestError(f"a look is one of {', '.join(LOOKS)}")
    requested = len(LOOKS[name](services))
    log.info("%s: %d jobs were asked for", name, requested)
    return {"asked": requested}
