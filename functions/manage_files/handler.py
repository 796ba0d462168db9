"""Jobs on slides' files: publish, withdraw, archive, restore, purge; ``due_jobs`` has what wakes it.

In the VPC it reaches DynamoDB, S3 and the file system, and that is all that these jobs need. A job that takes longer
than there is time for is ended by Lambda, and goes on where it was in the next call.
"""

import logging
from typing import Any

from lambda_support.job_batches import run_due_jobs, tell_longest_wait
from lambda_support.observability import observed
from vsv.errors import BadRequestError
from vsv.lifecycle.daily_schedule import LOOKS
from vsv.runtime import current
from vsv.services import Services
from vsv.workflow.job_queue import OF_FILES

log = logging.getLogger(__name__)

# Time for 15 GB at 50 MB/s: what is begun should be ended, since an end by force costs an attempt.
NEEDS_MS = 300_000


@observed
def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Do what the event's ``look`` names, one of ``daily.LOOKS``; without one run the jobs that are due."""
    services = current()
    if (name := event.get("look")) is not None:
        return _look(services, name)
    tell_longest_wait(services)
    return run_due_jobs(services, OF_FILES, context, NEEDS_MS)


def _look(services: Services, name: object) -> dict[str, Any]:
    """Look for what is due by age; the jobs that are asked for wake this function by their table's stream."""
    if not isinstance(name, str) or name not in LOOKS:
        raise BadRequestError(f"a look is one of {', '.join(LOOKS)}")
    asked = len(LOOKS[name](services))
    log.info("%s: %d jobs were asked for", name, asked)
    return {"asked": asked}
