"""The import machine's definition as text: what holds for every state, whatever happens."""

from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from vsv import errors
from vsv.aws.stream_import_starter import LONGEST_LIFE

from tests.support.aws.cloudformation import Function, nested_templates
from tests.support.aws.import_machine import DEFINITION, definition

MACHINE = definition()
STATES: dict[str, Any] = MACHINE["States"]
TASKS = {name: state for name, state in STATES.items() if state["Type"] == "Task"}
IMPORTS = next(one for one in nested_templates() if str(one) == "imports")
# What Step Functions and Lambda name themselves.
RESERVED = ("States.", "Lambda.", "Sandbox.", "Runtime.")


def followers(state: dict[str, Any]) -> Iterator[str]:
    """Yield the states that may come next."""
    branches = [state, *state.get("Choices", ()), *state.get("Catch", ())]
    yield from (branch["Next"] for branch in branches if "Next" in branch)
    if "Default" in state:
        yield state["Default"]


def reached(start: str) -> set[str]:
    found, left = set(), [start]
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left.extend(followers(STATES[name]))
    return found


def test_each_state_is_reachable_and_leads_to_an_end() -> None:
    assert reached(MACHINE["StartAt"]) == STATES.keys()
    ends = {name for name, state in STATES.items() if state["Type"] in ("Succeed", "Fail")}
    assert ends == {"Ready", "Superseded", "Failed"}
    assert all(reached(name) & ends for name in STATES)


@pytest.mark.parametrize("name", TASKS)
def test_task_has_a_timeout_and_catches_all_failures_into_the_record(name: str) -> None:
    task = TASKS[name]
    assert 0 < task["TimeoutSeconds"] <= 930
    last = task["Catch"][-1]
    assert last["ErrorEquals"] == ["States.ALL"]
    assert last["Next"] == ("Failed" if name == "RecordFailure" else "RecordFailure")
    if name != "RecordFailure":
        assert task["Catch"][0]["ErrorEquals"] == ["VersionConflictError", "NotFoundError"]
        assert task["Catch"][0]["Next"] == "Superseded"


@pytest.mark.parametrize("name", TASKS)
def test_retry_backs_off_with_jitter_within_bounds(name: str) -> None:
    for retry in TASKS[name]["Retry"]:
        assert retry["JitterStrategy"] == "FULL"
        assert retry["BackoffRate"] > 1
        assert 1 <= retry["IntervalSeconds"] <= retry["MaxDelaySeconds"] <= 600
        assert 1 <= retry["MaxAttempts"] <= 300


# What Lambda says of a file system, a network interface or itself that is not there yet.
# Sources: "Invoke", AWS Lambda API reference; "Handle Lambda service exceptions", AWS Step Functions developer guide.
PASSING = {
    "AWSLambdaException", "ClientExecutionTimeoutException", "SdkClientException",
    "EC2ThrottledException", "EC2UnexpectedException", "EFSIOException", "EFSMountConnectivityException",
    "EFSMountFailureException", "EFSMountTimeoutException", "ENILimitReachedException", "ResourceConflictException",
    "ResourceNotReadyException", "ServiceException", "SubnetIPAddressLimitReachedException",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(TASKS.keys() - {"RecordFailure"}))
def test_temporary_errors_are_retried_for_12_hours_and_throttling_for_4(name: str) -> None:
    passing, busy = TASKS[name]["Retry"][:2]
    assert {"UnavailableError", *(f"Lambda.{error}" for error in PASSING)} <= set(passing["ErrorEquals"])
    assert passing["MaxAttempts"] * passing["MaxDelaySeconds"] / 2 >= 12 * 3600  # jitter halves it on average
    assert busy["ErrorEquals"] == ["Lambda.TooManyRequestsException"]
    assert busy["MaxAttempts"] * busy["MaxDelaySeconds"] / 2 >= 4 * 3600


# A function that ran out of time or memory, by any of the names for it; the last one is for both. What a slide does
# to its function once, it does each time. Source: "Handle Lambda service exceptions".
OWN_DOING = (
    "Sandbox.Timedout",
    "States.Timeout",
    "Runtime.ExitError",
    "Runtime.OutOfMemory",
    "Lambda.Unknown",
)


@pytest.mark.parametrize("name", sorted(TASKS.keys() - {"RecordFailure"}))
@pytest.mark.parametrize("error", OWN_DOING)
def test_timeouts_and_memory_errors_are_retried_at_most_4_times(name: str, error: str) -> None:
    attempts = [retry["MaxAttempts"] for retry in TASKS[name]["Retry"] if error in retry["ErrorEquals"]]
    assert sum(attempts) <= 4


def test_machine_role_invokes_exactly_the_functions_of_its_steps() -> None:
    machine = IMPORTS.properties("ImportSlideMachine")
    given = IMPORTS.value(machine["DefinitionSubstitutions"])
    named = {
        task["Resource"]
        for task in yaml.safe_load(DEFINITION.read_text())["States"].values()
        if "Resource" in task
    }
    assert {f"${{{name}}}" for name in given} == named
    role = IMPORTS.value(IMPORTS.properties(machine["Role"]["Fn::GetAtt"][0]))
    statements = [one for policy in role["Policies"] for one in policy["PolicyDocument"]["Statement"]]
    (calls,) = [one for one in statements if one["Action"] == "lambda:InvokeFunction"]
    assert sorted(calls["Resource"]) == sorted(given.values())


@pytest.mark.parametrize("name", TASKS)
def test_task_timeout_exceeds_timeout_of_its_function(name: str) -> None:
    """Otherwise a second attempt would begin while the first one is at work."""
    resource = yaml.safe_load(DEFINITION.read_text())["States"][name]["Resource"]
    of = IMPORTS.properties("ImportSlideMachine")["DefinitionSubstitutions"][resource[2:-1]]
    assert TASKS[name]["TimeoutSeconds"] > Function(IMPORTS, of["Fn::GetAtt"][0]).properties["Timeout"]


def test_machine_is_of_standard_type() -> None:
    """An express machine would forget names, and start a run twice."""
    assert IMPORTS.properties("ImportSlideMachine")["Type"] == "STANDARD"


def test_machine_timeout_is_shorter_than_the_longest_life_of_a_run() -> None:
    assert MACHINE["TimeoutSeconds"] < LONGEST_LIFE.total_seconds()
    assert MACHINE["TimeoutSeconds"] > 72 * 3600


def test_named_error_types_exist_in_the_errors_module() -> None:
    rules = [rule for task in TASKS.values() for rule in (*task["Retry"], *task["Catch"])]
    named = {error for rule in rules for error in rule["ErrorEquals"] if not error.startswith(RESERVED)}
    assert named <= {name for name in vars(errors) if name.endswith("Error")}


def test_definition_contains_no_yaml_aliases_or_anchors() -> None:
    """Aliases and merges of YAML are not among what CloudFormation takes."""
    tokens = list(yaml.scan(DEFINITION.read_text()))
    assert not [token for token in tokens if isinstance(token, (yaml.AliasToken, yaml.AnchorToken))]
    assert MACHINE["TimeoutSeconds"] <= 7 * 24 * 3600
    assert all(isinstance(state["Type"], str) for state in STATES.values())
