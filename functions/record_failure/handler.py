"""Write why an import failed into its record; called by the import machine, and for executions that ended without.

An execution that was stopped or has timed out runs none of its own states any more; EventBridge reports those.
"""

import logging
from typing import Any

from lambda_support.observability import count, observed
from vsv.errors import BadRequestError, NotFoundError, VersionConflictError
from vsv.ingest.runs import UNDER_WAY, current_run, record_failure
from vsv.metrics import IMPORTS_FAILED
from vsv.runtime import current

from record_failure.reasons import failure_of

log = logging.getLogger(__name__)


@observed
def lambda_handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Record the failure of a run that is under way; leave a run alone that has ended or was replaced."""
    try:
        failure, services = failure_of(event), current()
        run = current_run(services, failure.filename, failure.run_id)
    except (BadRequestError, NotFoundError, VersionConflictError) as error:
        log.info("there is nothing to record: %s", error)
        return {"recorded": False}
    if run.state not in UNDER_WAY:
        return {"recorded": False}
    log.warning("an import failed: %s", failure.reason)
    record_failure(services, run, failure.reason)
    count(IMPORTS_FAILED)
    return {"recorded": True}
