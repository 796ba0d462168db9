"""Slides that were marked to be sent: each to the registry's destinations; ``due_jobs`` has what wakes it.

It sends by itself. EventBridge's API destinations would answer for their bus, and a slide is SENT only once
its destination has said that it has it.
"""

from typing import Any

from lambda_support.job_batches import run_due_jobs
from lambda_support.observability import observed
from vsv.records.models import JobKind
from vsv.runtime import current

# Ten destinations that hang for 65 s each, one after the other: the last of them is to get its turn as well.
NEEDS_MS = 700_000


@observed
def lambda_handler(_event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Send what is due."""
    return run_due_jobs(current(), (JobKind.SEND,), context, NEEDS_MS)
