"""Start the import machine for waiting imports, driven by the imports table's stream.

Functions in the VPC cannot reach Step Functions: they write the record, and this function starts the execution.
Starting a run is idempotent, so any record of a waiting run may come again, and touching the record repairs a lost
start.
"""

import logging
from functools import cache
from typing import Any

from lambda_support.observability import observed
from vsv.aws.step_functions import StateMachine
from vsv.errors import UnavailableError
from vsv.settings import from_environment, required

from start_import.waiting_runs import WaitingRun, waiting_runs

log = logging.getLogger(__name__)

MARGIN_MS = 20_000  # more than one start can take; the function needs a timeout of 60 s or more


@observed
def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Start each waiting run; return those that could not be started: Lambda retries from the first of them on."""
    machine = _machine(required(from_environment().import_machine, "VSV_IMPORT_MACHINE"))
    failed = [
        waiting.sequence_number for waiting in waiting_runs(event) if not _start(machine, waiting, context)
    ]
    return {"batchItemFailures": [{"itemIdentifier": number} for number in failed]}


def _start(machine: StateMachine, waiting: WaitingRun, context: Any) -> bool:
    try:
        if context.get_remaining_time_in_millis() < MARGIN_MS:
            raise UnavailableError("there is no time left in this call")
        machine.start(waiting.run)
    except UnavailableError as error:
        log.warning("record %s was not started: %s", waiting.sequence_number, error)
        return False
    return True


@cache
def _machine(arn: str) -> StateMachine:
    return StateMachine(arn)
