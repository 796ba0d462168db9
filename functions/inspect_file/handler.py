"""Step of an import: look whether the transferred file is complete and a readable slide."""

from typing import Any

from vsv.import_steps import inspect_run
from vsv.installation import current
from vsv.runs import current_run


def lambda_handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    """Take and give ``{"filename", "size", "runId"}``; raises the domain's errors for the state machine.

    ``transfer``, where it is given, tells in ``done`` whether DataSync has brought the file.
    """
    here = current()
    run = current_run(here, event["filename"], event["runId"])
    inspect_run(here, run, arrived=event.get("transfer", {}).get("done", True))
    return event
