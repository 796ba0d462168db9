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


def test_start_creates_execution_with_input_of_the_steps(machine: StateMachine) -> None:
    machine.start(RUN)
    (execution,) = executions(machine)
    told = machine.client.describe_execution(executionArn=execution["executionArn"])["input"]
    assert json.loads(told) == {"filename": "a ü.svs", "size": 123, "runId": RUN.run_id, "source": None}


def test_start_repeated_creates_a_single_execution(machine: StateMachine) -> None:
    machine.start(RUN)
    machine.start(RUN)
    assert len(executions(machine)) == 1


def test_start_of_another_run_creates_another_execution(machine: StateMachine) -> None:
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
def test_start_raises_unavailable_without_details_when_aws_fails(error: Exception) -> None:
    class Broken:
        def start_execution(self, **_: object) -> None:
            raise error

    with pytest.raises(UnavailableError, match="could not be started now"):
        StateMachine("arn:x", Broken()).start(RUN)


def test_start_accepts_execution_that_has_already_ended() -> None:
    class Ended:
        def start_execution(self, **_: object) -> None:
            raise ClientError({"Error": {"Code": "ExecutionAlreadyExists"}}, "StartExecution")

    StateMachine("arn:x", Ended()).start(RUN)
