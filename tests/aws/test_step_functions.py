"""Imports as executions of a state machine, on an imitation of Step Functions."""

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from moto import mock_aws
from vsv.aws.step_functions import StateMachine
from vsv.errors import UnavailableError
from vsv.records.models import ImportRecord, ImportState

REGION = "eu-central-1"
RUN = ImportRecord(
    filename="a ü.svs", size=123, state=ImportState.TRANSFERRING, run_id="0f" * 16,
    started_at="2026-11-21T00:00:00.000000Z", updated_at="2026-11-21T00:00:00.000000Z",
)  # fmt: skip


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[StateMachine]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        client = boto3.client("stepfunctions", REGION)
        arn = client.create_state_machine(
            name="import-slide",
            definition=json.dumps({"StartAt": "End", "States": {"End": {"Type": "Succeed"}}}),
            roleArn="arn:aws:iam::123456789012:role/import",
        )["stateMachineArn"]
        yield StateMachine(arn, client)


def executions(machine: StateMachine) -> list[Any]:
    found: list[Any] = machine.client.list_executions(stateMachineArn=machine.arn)["executions"]
    return found


def test_a_run_becomes_an_execution_with_what_the_steps_need(machine: StateMachine) -> None:
    machine.start(RUN)
    (execution,) = executions(machine)
    told = machine.client.describe_execution(executionArn=execution["executionArn"])["input"]
    assert json.loads(told) == {"filename": "a ü.svs", "size": 123, "runId": RUN.run_id, "source": None}


def test_started_twice_it_is_one_execution(machine: StateMachine) -> None:
    machine.start(RUN)
    machine.start(RUN)
    assert len(executions(machine)) == 1


def test_another_run_is_another_execution(machine: StateMachine) -> None:
    machine.start(RUN)
    machine.start(ImportRecord(**{**RUN.__dict__, "run_id": "another"}))
    assert len(executions(machine)) == 2


@pytest.mark.parametrize(
    "error",
    [
        EndpointConnectionError(endpoint_url="https://states.example"),
        ClientError({"Error": {"Code": "ThrottlingException"}}, "StartExecution"),
        ClientError({"Error": {"Code": "StateMachineDoesNotExist"}}, "StartExecution"),
    ],
    ids=repr,
)
def test_when_it_does_not_answer_that_is_said_without_details(error: Exception) -> None:
    class Broken:
        def start_execution(self, **_: object) -> None:
            raise error

    with pytest.raises(UnavailableError, match="could not be started now"):
        StateMachine("arn:x", Broken()).start(RUN)


def test_an_execution_that_has_ended_is_not_started_anew() -> None:
    class Ended:
        def start_execution(self, **_: object) -> None:
            raise ClientError({"Error": {"Code": "ExecutionAlreadyExists"}}, "StartExecution")

    StateMachine("arn:x", Ended()).start(RUN)
