"""Step of an import: copy the run's object from the drop-in bucket; the state machine repeats the step until done."""

from functools import cache, partial
from typing import Any

from lambda_support.observability import observed
from vsv.ingest.drop_object import DroppedObject
from vsv.ingest.runs import current_run
from vsv.runtime import current

from copy_dropped.object_copy import s3_client
from copy_dropped.run_copy import copy_in

_client = cache(s3_client)
# More than copying one range and reading it back can take; a timeout of 900 s leaves time for many ranges.
MARGIN_MS = 120_000


@observed
def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Copy the object of the run in ``{"filename", "runId", "transfer"}``; return ``transfer``.

    ``done`` in the answer says whether all of the object has been copied.
    """
    services = current()
    run = current_run(services, event["filename"], event["runId"])
    dropped = DroppedObject.from_source(run.source or "")
    done = copy_in(services, run, dropped, _client(), partial(_has_time, context))
    rounds = int(event.get("transfer", {}).get("rounds", 0)) + 1
    completed = int(event.get("transfer", {}).get("completed", 0)) + done
    return {"done": done, "completed": completed, "rounds": rounds, "waitSeconds": 1}


def _has_time(context: Any) -> bool:
    return bool(context.get_remaining_time_in_millis() > MARGIN_MS)
