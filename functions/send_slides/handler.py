"""Send slides that were marked for delivery to the registry's destinations; see ``job_batches`` for the triggers.

This function sends the requests itself. EventBridge's API destinations would confirm only that their bus has the
event, and a slide is SENT only once its destination has confirmed receipt.
"""

from typing import Any

from lambda_support.job_batches import run_due_jobs
from lambda_support.observability import observed
from vsv.records.models import JobKind
from vsv.runtime import current

# Ten destinations that hang for 65 s each, one after the other: the last of them must be reached as well.
NEEDS_MS = 700_000


@observed
def lambda_handler(_event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Send the slides that are due."""
    return run_due_jobs(current(), (JobKind.SEND,), context, NEEDS_MS)
