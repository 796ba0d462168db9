"""Imports that wait, from the imports table's stream to executions of the import machine.

Functions in the VPC cannot reach Step Functions: they write the record, and it is started here. Starting a run twice
is the same as once, so any record of one that waits may come again, and a touched one heals a start that was lost.
"""

import logging
from functools import cache
from typing import Any

from lambda_support.observability import observed
from vsv.aws.step_functions import StateMachine
from vsv.errors import UnavailableError
from vsv.settings import from_environment, required

from start_import.waiting import Waiting, waiting_runs

log = logging.getLogger(__name__)

MARGIN_MS = 20_000  # more than one start can take; the function needs a timeout of 60 s or more


@observed
def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Start each; name those that could not be started: Lambda tries again from the first of them on."""
    machine = _machine(required(from_environment().import_machine, "VSV_IMPORT_MACHINE"))
    failed = [one.sequence_number for one in waiting_runs(event) if not _started(machine, one, context)]
    return {"batchItemFailures": [{"itemIdentifier": number} for number in failed]}


def _started(machine: StateMachine, one: Waiting, context: Any) -> bool:
    try:
        if context.get_remaining_time_in_millis() < MARGIN_MS:
            raise UnavailableError("there is no time left in this call")
        machine.start(one.run)
    except UnavailableError as error:
        log.warning("record %s was not started: %s", one.sequence_number, error)
        return False
    return True


@cache
def _machine(arn: str) -> StateMachine:
    return StateMachine(arn)
