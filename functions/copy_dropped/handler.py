"""Step of an import: copy the object of the drop-in bucket that it is about; asked again until it is here."""

from functools import cache, partial
from typing import Any

from lambda_support.observability import observed
from vsv.ingest.drop_object import DroppedObject
from vsv.ingest.runs import current_run
from vsv.runtime import current

from copy_dropped.copying import s3_client
from copy_dropped.dropping import copy_in

_client = cache(s3_client)
# More than one range and its reading back can take; a timeout of 900 s leaves time for many.
MARGIN_MS = 120_000


@observed
def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Take ``{"filename", "runId", "transfer"}`` and give ``transfer``, with ``done`` when all of it is here."""
    services = current()
    run = current_run(services, event["filename"], event["runId"])
    wanted = DroppedObject.from_source(run.source or "")
    done = copy_in(services, run, wanted, _client(), partial(_has_time, context))
    rounds = int(event.get("transfer", {}).get("rounds", 0)) + 1
    completed = int(event.get("transfer", {}).get("completed", 0)) + done
    return {"done": done, "completed": completed, "rounds": rounds, "waitSeconds": 1}


def _has_time(context: Any) -> bool:
    return bool(context.get_remaining_time_in_millis() > MARGIN_MS)
