"""A function may do what its code does, no less and no more: calls recorded under moto against its policy.

What is not seen in its calls comes from how it is set up: logs, traces, its place in the VPC, the stream that calls
it, where its failures go, and its file system.
"""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import boto3
import pytest
from graphql import GraphQLObjectType

from tests.support.aws.cloudformation import GIVEN, REGION, Function, Statement, functions, nested_templates
from tests.support.aws.dynamo_tables import create_tables, mocked_dynamodb
from tests.support.aws.policy_scenarios import REVIEWS, SCENARIOS, World
from tests.support.aws.recorded_calls import Right
from vsv_local.graphql.schema import load_schema

WITH_CODE = [function for function in functions() if function.folder]
IN_THE_VPC = (
    "AssignPrivateIpAddresses",
    "CreateNetworkInterface",
    "DeleteNetworkInterface",
    "DescribeNetworkInterfaces",
    "DescribeSubnets",
    "UnassignPrivateIpAddresses",
)
BUCKETS = ("DropInBucketName", "ArchiveBucketName", "PublishBucketName", "RegistryBucket")
THERE = ("dynamodb:", "s3:")
STREAM_ACTIONS = ("DescribeStream", "GetRecords", "GetShardIterator", "ListStreams")


@pytest.fixture
def aws() -> Iterator[None]:
    """Create an account with the tables and the buckets."""
    with mocked_dynamodb() as client:
        create_tables(client, GIVEN["SlidesTableName"], GIVEN["ImportsTableName"])
        s3 = boto3.client("s3", REGION)
        for bucket in BUCKETS:
            s3.create_bucket(Bucket=GIVEN[bucket], CreateBucketConfiguration={"LocationConstraint": REGION})
            s3.put_bucket_versioning(Bucket=GIVEN[bucket], VersioningConfiguration={"Status": "Enabled"})
        yield


@pytest.mark.parametrize("function", WITH_CODE, ids=str)
def test_policy_allows_exactly_the_calls_of_the_code(function: Function, aws: None, tmp_path: Path) -> None:
    world = World(function, tmp_path)
    SCENARIOS[function.name](world)
    needed = world.needed | set(set_up(function, changes_files=world.changes_files))
    statements = function.statements()
    lacking = {right for right in needed if not is_allowed(right, statements)}
    superfluous = {right for right in allowed_by(statements) if not any(covers(right, one) for one in needed)}
    assert (lacking, superfluous) == (set(), set())
    if "VpcConfig" in function.properties:  # nothing else has an endpoint there
        assert {right.action for right in world.needed if not right.action.startswith(THERE)} == set()


def test_scenarios_and_functions_correspond() -> None:
    assert {function.name for function in WITH_CODE} == SCENARIOS.keys()


def test_review_scenario_requests_each_field_of_the_schema() -> None:
    schema = load_schema()
    asked = {(kind, name) for kind, name, _ in REVIEWS}
    for kind in ("Query", "Mutation"):
        of_schema = schema.type_map[kind]
        assert isinstance(of_schema, GraphQLObjectType)
        assert {name for of, name in asked if of == kind} == of_schema.fields.keys()


@pytest.mark.parametrize("function", [one for one in WITH_CODE if "VpcConfig" in one.properties], ids=str)
def test_vpc_endpoints_allow_the_rights_of_functions_in_the_vpc(function: Function) -> None:
    network = next(one for one in nested_templates() if str(one) == "network")
    endpoints = (network.properties(name) for name in network.resources("AWS::EC2::VPCEndpoint"))
    let_through = {
        action
        for endpoint in endpoints
        for statement in endpoint["PolicyDocument"]["Statement"]
        for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    }
    asked = {right.action for right in allowed_by(function.statements()) if right.action.startswith(THERE)}
    on_streams = {f"dynamodb:{action}" for action in STREAM_ACTIONS}  # Lambda itself reads those
    assert asked - on_streams <= let_through


def set_up(function: Function, *, changes_files: bool) -> Iterator[Right]:
    """Yield the rights that a function needs because of its properties."""
    properties, value = function.properties, function.template.value
    if function.role is not None:  # SAM gives the roles that it makes logs, traces and interfaces
        group = value({"Fn::GetAtt": [properties["LoggingConfig"]["LogGroup"]["Ref"], "Arn"]})
        yield from (Right(f"logs:{action}", group) for action in ("CreateLogStream", "PutLogEvents"))
        yield from (Right(f"xray:{action}", "*") for action in ("PutTraceSegments", "PutTelemetryRecords"))
        if "VpcConfig" in properties:
            yield from (Right(f"ec2:{action}", "*") for action in IN_THE_VPC)
    if "FileSystemConfigs" in properties:
        yield Right("elasticfilesystem:ClientMount", GIVEN["FileSystemArn"])
        if changes_files:
            yield Right("elasticfilesystem:ClientWrite", GIVEN["FileSystemArn"])
    for source in sources(function):
        stream = value(source["EventSourceArn"])
        yield from (Right(f"dynamodb:{action}", stream) for action in STREAM_ACTIONS)
        yield Right("sqs:SendMessage", value(source["DestinationConfig"]["OnFailure"]["Destination"]))
    if destination := value(properties.get("EventInvokeConfig", {})).get("DestinationConfig"):
        yield Right("sqs:SendMessage", destination["OnFailure"]["Destination"])


def sources(function: Function) -> Iterator[dict[str, object]]:
    """Yield the properties of a function's event sources."""
    template = function.template
    for name in template.resources("AWS::Lambda::EventSourceMapping"):
        if (found := template.properties(name))["FunctionName"] == {"Ref": function.name}:
            yield found


def is_allowed(right: Right, statements: list[Statement]) -> bool:
    """Return whether a right is allowed and not denied; conditional denials are checked by other tests."""
    given = [
        one.effect for one in statements if not (one.effect == "Deny" and one.condition) and gives(one, right)
    ]
    return bool(given) and "Deny" not in given


def gives(statement: Statement, right: Right) -> bool:
    """Return whether a statement applies to a right."""
    return right.action in statement.actions and any(
        fnmatchcase(right.resource, resource) for resource in statement.resources
    )


def allowed_by(statements: list[Statement]) -> Iterator[Right]:
    """Yield every action on every resource that statements allow."""
    for one in statements:
        if one.effect == "Allow":
            yield from (Right(action, resource) for action in one.actions for resource in one.resources)


def covers(allowed: Right, needed: Right) -> bool:
    """Return whether an allowed right includes a needed one."""
    return allowed.action == needed.action and fnmatchcase(needed.resource, allowed.resource)
