"""The templates as a whole: what one stack hands to another, what must be so of every function, table and door."""

import ast
import sys
import tomllib
import types
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws
from package_function import imported, modules_of

from tests.support.aws.cloudformation import (
    REGION,
    Function,
    Node,
    Template,
    functions,
    nested_templates,
    root_template,
)
from tests.support.aws.dynamo_tables import create_tables
from tests.support.paths import ROOT

ROOT_TEMPLATE, NESTED, FUNCTIONS = root_template(), nested_templates(), functions()
BY_NAME = {str(template): template for template in NESTED}

COMMON = {"POWERTOOLS_LOG_LEVEL", "POWERTOOLS_METRICS_NAMESPACE", "POWERTOOLS_SERVICE_NAME"}
TABLES = {"VSV_IMPORTS_TABLE", "VSV_REVIEW_TABLE", "VSV_SLIDES_TABLE"}
# The settings of each function, and so what it can reach by name.
SETTINGS: dict[str, set[str]] = {
    "CopyDroppedFunction": {"VSV_DATA", "VSV_IMPORTS_TABLE"},
    "ExtractMetadataFunction": {"VSV_DATA", *TABLES},
    "ForgetDeletedFunction": {"VSV_DISTRIBUTION"},
    "ImportSlideFunction": {"VSV_DATA", *TABLES},
    "InspectFileFunction": {"VSV_DATA", "VSV_IMPORTS_TABLE"},
    "ManageFilesFunction": {
        "VSV_ARCHIVE",
        "VSV_ARCHIVE_AFTER_DAYS",
        "VSV_ARCHIVE_CLASS",
        "VSV_DATA",
        "VSV_GRACE_DAYS",
        "VSV_JOBS_TABLE",
        "VSV_PUBLISHED",
        *TABLES,
    },
    "MintSessionFunction": {"VSV_KEY_ID", "VSV_SIGNING_SECRET", "VSV_SITE"},
    "NotifySubscribersFunction": {"VSV_GRAPHQL_URL"},
    "ReceiveDroppedFunction": {"VSV_DATA", "VSV_DROP_BUCKET", *TABLES},
    "RecordFailureFunction": {"VSV_IMPORTS_TABLE"},
    "RenderPyramidFunction": {"VSV_DATA", "VSV_IMPORTS_TABLE"},
    "ReviewSlidesFunction": {"VSV_DATA", "VSV_DESTINATIONS", "VSV_GRACE_DAYS", "VSV_JOBS_TABLE", *TABLES},
    "SendSlidesFunction": {"VSV_DESTINATIONS", "VSV_JOBS_TABLE", "VSV_REVIEW_TABLE", "VSV_SLIDES_TABLE"},
    "ServeImageFunction": {
        "VSV_ALLOW_ORIGIN",
        "VSV_DATA",
        "VSV_ICC",
        "VSV_REVIEW_TABLE",
        "VSV_SLIDES_TABLE",
        "VSV_TILE_CACHING",
    },
    "ServeLabelFunction": {"VSV_ALLOW_ORIGIN", "VSV_DATA", "VSV_EDGE_SECRET"},
    "StartImportFunction": {"VSV_IMPORT_MACHINE"},
    "TransferFileFunction": {"VSV_IMPORTS_TABLE", "VSV_TRANSFER_TASK"},
}
# Actions that AWS cannot limit to a resource.
ON_EVERYTHING = {
    "ec2:AssignPrivateIpAddresses": "Lambda makes interfaces before they can be named",
    "ec2:CreateNetworkInterface": "the same",
    "ec2:DeleteNetworkInterface": "the same",
    "ec2:DescribeNetworkInterfaces": "descriptions have no resource",
    "ec2:DescribeSubnets": "descriptions have no resource",
    "ec2:UnassignPrivateIpAddresses": "Lambda makes interfaces before they can be named",
    "ec2:DescribeManagedPrefixLists": "descriptions have no resource",
    "ec2:DescribeSecurityGroups": "descriptions have no resource",
    "logs:CreateLogDelivery": "log deliveries have no resource",
    "logs:DeleteLogDelivery": "the same",
    "logs:DescribeLogGroups": "the same",
    "logs:DescribeResourcePolicies": "the same",
    "logs:GetLogDelivery": "the same",
    "logs:ListLogDeliveries": "the same",
    "logs:PutResourcePolicy": "the same",
    "logs:UpdateLogDelivery": "the same",
    "xray:GetSamplingRules": "X-Ray has no resources for it",
    "xray:GetSamplingTargets": "the same",
    "xray:PutTelemetryRecords": "the same",
    "xray:PutTraceSegments": "the same",
}
# Services that take a role without telling for which account; a role cannot be passed to another account's.
TELL_NO_ACCOUNT = {"backup.amazonaws.com", "lambda.amazonaws.com"}
STATEFUL = {
    "AWS::Backup::BackupVault",
    "AWS::Cognito::UserPool",
    "AWS::DynamoDB::Table",
    "AWS::EFS::AccessPoint",
    "AWS::EFS::FileSystem",
    "AWS::S3::Bucket",
}
# Which layer brings what functions import.
LAYERS = {
    "BarcodeLayerArn": {"pylibdmtx", "zxingcpp"},
    "ImagingLayerArn": {"PIL", "numpy", "openslide", "simplejpeg"},
    "SigningLayerArn": {"cryptography"},
    "ToolsLayerArn": {"aws_lambda_powertools", "boto3", "botocore", "filelock", "urllib3"},
}


def with_code() -> list[Function]:
    """Give the functions whose code is in a folder, not in the template."""
    return [function for function in FUNCTIONS if function.folder]


def nested(name: str) -> Template:
    """Give the template of a nested stack of the root."""
    path = ROOT_TEMPLATE.properties(name)["TemplateURL"]
    return BY_NAME[path.removeprefix("stacks/").removesuffix(".yaml")]


class TestStacks:
    def test_every_template_is_a_nested_stack(self) -> None:
        stacks = ROOT_TEMPLATE.resources("AWS::CloudFormation::Stack")
        assert stacks.keys() == ROOT_TEMPLATE.resources().keys()
        assert sorted(str(nested(name)) for name in stacks) == sorted(BY_NAME)

    @pytest.mark.parametrize("name", ROOT_TEMPLATE.resources())
    def test_a_nested_stack_is_handed_what_it_declares(self, name: str) -> None:
        handed = ROOT_TEMPLATE.properties(name).get("Parameters", {})
        assert handed.keys() == nested(name).parameters.keys()

    def test_what_is_taken_from_a_nested_stack_is_an_output_of_it(self) -> None:
        for name, attribute in attributes_taken(ROOT_TEMPLATE.content):
            prefix, _, output = attribute.partition(".")
            assert prefix == "Outputs", (name, attribute)
            assert output in nested(name).outputs, (name, attribute)

    def test_a_parameter_means_the_same_in_the_root_and_in_its_stacks(self) -> None:
        for stack in ROOT_TEMPLATE.resources():
            for name, value in ROOT_TEMPLATE.properties(stack).get("Parameters", {}).items():
                if value.get("Ref") in ROOT_TEMPLATE.parameters:
                    inner, outer = nested(stack).parameters[name], ROOT_TEMPLATE.parameters[value["Ref"]]
                    for key in ("AllowedValues", "MinValue", "MaxValue"):
                        assert inner.get(key) in (None, outer.get(key)), (stack, name, key)

    def test_every_parameter_of_the_root_is_used_and_shown_in_a_group(self) -> None:
        groups = ROOT_TEMPLATE.content["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
        shown = [name for group in groups for name in group["Parameters"]]
        assert sorted(shown) == sorted(ROOT_TEMPLATE.parameters)
        handed = [ROOT_TEMPLATE.properties(one).get("Parameters", {}) for one in ROOT_TEMPLATE.resources()]
        used = {value["Ref"] for values in handed for value in values.values() if "Ref" in value}
        assert used - {"AWS::StackName"} == ROOT_TEMPLATE.parameters.keys()

    @pytest.mark.parametrize("template", [ROOT_TEMPLATE, *NESTED], ids=str)
    def test_parameters_and_outputs_say_what_they_are(self, template: Template) -> None:
        described = {**template.parameters, **template.outputs}
        assert [name for name, one in described.items() if not one.get("Description")] == []

    def test_every_parameter_of_the_root_has_a_default(self) -> None:
        assert [name for name, one in ROOT_TEMPLATE.parameters.items() if "Default" not in one] == []

    @pytest.mark.parametrize("template", NESTED, ids=str)
    def test_parameters_are_used(self, template: Template) -> None:
        text = template.path.read_text()
        unused = [n for n in template.parameters if f"!Ref {n}" not in text and f"${{{n}}}" not in text]
        assert unused == []


def attributes_taken(node: Any) -> Iterator[tuple[str, str]]:
    """Give every GetAtt in a template, those within Sub too."""
    if isinstance(node, list):
        for one in node:
            yield from attributes_taken(one)
    if isinstance(node, dict):
        for key, of in node.items():
            if key == "Fn::GetAtt":
                yield of[0], ".".join(of[1:])
            elif key == "Fn::Sub" and isinstance(of, str):
                yield from (
                    (part.partition("}")[0].partition(".")[0], part.partition("}")[0].partition(".")[2])
                    for part in of.split("${")[1:]
                    if "." in part.partition("}")[0]
                )
            else:
                yield from attributes_taken(of)


class TestFunctions:
    def test_there_are_the_functions_of_the_design(self) -> None:
        assert {function.name for function in with_code()} == SETTINGS.keys()

    @pytest.mark.parametrize("function", FUNCTIONS, ids=str)
    def test_each_has_its_own_role_log_and_bounds(self, function: Function) -> None:
        properties = function.properties
        assert {"MemorySize", "Timeout", "Description"} <= properties.keys()
        assert properties["Tracing"] == "Active"
        assert (properties["Runtime"], properties["Architectures"]) == ("python3.13", ["arm64"])
        group = function.template.properties(properties["LoggingConfig"]["LogGroup"]["Ref"])
        assert group["RetentionInDays"] == {"Ref": "LogDays"}
        assert properties["LoggingConfig"]["LogFormat"] == "JSON"

    def test_no_two_share_a_role_or_a_log(self) -> None:
        roles = [(str(one.template), one.role) for one in FUNCTIONS]
        logs = [(str(one.template), one.properties["LoggingConfig"]["LogGroup"]["Ref"]) for one in FUNCTIONS]
        assert all(role for _, role in roles)
        assert len(set(roles)) == len(set(logs)) == len(FUNCTIONS)

    @pytest.mark.parametrize("function", with_code(), ids=str)
    def test_each_has_its_settings_and_no_other(self, function: Function) -> None:
        assert function.environment.keys() - COMMON == SETTINGS[function.name]
        assert function.environment.keys() >= COMMON

    @pytest.mark.parametrize("function", with_code(), ids=str)
    def test_each_is_built_from_its_folder(self, function: Function) -> None:
        words = "".join(word.capitalize() for word in function.folder.split("_"))
        assert function.name == f"{words}Function"
        assert (ROOT / "functions" / function.folder / "handler.py").exists()
        assert function.properties["Handler"] == f"{function.folder}.handler.lambda_handler"
        resource = function.template.content["Resources"][function.name]
        assert resource["Metadata"]["BuildMethod"] == "makefile"
        assert function.properties["CodeUri"] == "../functions"

    @pytest.mark.parametrize("function", FUNCTIONS, ids=str)
    def test_only_those_in_the_vpc_have_files_and_only_those_with_files_are_there(
        self, function: Function
    ) -> None:
        properties = function.properties
        assert ("FileSystemConfigs" in properties) == ("VpcConfig" in properties)
        assert ("FileSystemConfigs" in properties) == ("VSV_DATA" in function.environment)
        for mounted in properties.get("FileSystemConfigs", []):
            assert mounted == {"Arn": {"Ref": "AccessPointArn"}, "LocalMountPath": "/mnt/slides"}

    @pytest.mark.parametrize("function", FUNCTIONS, ids=str)
    def test_files_are_reached_by_the_access_point_only(self, function: Function) -> None:
        access_point = function.template.given["AccessPointArn"]
        for statement in function.statements():
            if statement.effect == "Allow" and any("elasticfilesystem" in one for one in statement.actions):
                wanted = {"StringEquals": {"elasticfilesystem:AccessPointArn": access_point}}
                assert statement.condition == wanted

    @pytest.mark.parametrize("function", with_code(), ids=str)
    def test_each_has_just_the_layers_that_its_package_imports(self, function: Function) -> None:
        sources = (path.read_text(encoding="utf-8") for path in modules_of(function.folder).values())
        named = {name.partition(".")[0] for source in sources for name in imported(ast.parse(source))}
        needed = {layer for layer, packages in LAYERS.items() if packages & named}
        assert {layer["Ref"] for layer in function.properties.get("Layers", [])} == needed

    def test_what_a_stream_calls_has_a_place_for_what_fails(self) -> None:
        for template in NESTED:
            for name in template.resources("AWS::Lambda::EventSourceMapping"):
                source = template.properties(name)
                assert "OnFailure" in source["DestinationConfig"]
                assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
                assert 0 < source["MaximumRecordAgeInSeconds"] <= 86400
                assert source["MaximumRetryAttempts"] > 0

    def test_what_a_rule_calls_has_a_place_for_what_fails(self) -> None:
        for template in NESTED:
            for name in template.resources("AWS::Events::Rule"):
                for target in template.properties(name)["Targets"]:
                    target = target.get("Fn::If", [None, target])[1]  # noqa: PLW2901
                    called = target["Arn"].get("Fn::GetAtt", [""])[0]
                    if called in template.resources("AWS::Serverless::Function"):
                        assert "DeadLetterConfig" in target
                        asynchronous = Function(template, called).properties["EventInvokeConfig"]
                        assert "OnFailure" in asynchronous["DestinationConfig"]


class TestRights:
    @pytest.mark.parametrize("template", NESTED, ids=str)
    def test_everything_is_allowed_only_where_nothing_narrower_exists(self, template: Template) -> None:
        for name, statement in allowing_statements(template):
            actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
            resources = statement["Resource"]
            assert not any("*" in action for action in actions), name
            if "*" in (resources if isinstance(resources, list) else [resources]):
                assert set(actions) <= ON_EVERYTHING.keys(), name

    @pytest.mark.parametrize("template", NESTED, ids=str)
    def test_services_take_a_role_for_this_account_only(self, template: Template) -> None:
        for name in template.resources("AWS::IAM::Role"):
            for statement in template.properties(name)["AssumeRolePolicyDocument"]["Statement"]:
                if statement["Principal"]["Service"] not in TELL_NO_ACCOUNT:
                    account = statement["Condition"]["StringEquals"]["aws:SourceAccount"]
                    assert account == {"Ref": "AWS::AccountId"}, name

    @pytest.mark.parametrize("template", NESTED, ids=str)
    def test_a_function_may_be_called_by_named_callers_only(self, template: Template) -> None:
        for name in template.resources("AWS::Lambda::Permission"):
            assert "SourceArn" in template.properties(name), name


def allowing_statements(template: Template) -> Iterator[tuple[str, Node]]:
    """Give every statement of a role's policies that allows something, resolved; functions all have roles."""
    kinds = ("Role", "ManagedPolicy", "RolePolicy", "Policy")
    for name in template.resources(*(f"AWS::IAM::{kind}" for kind in kinds)):
        properties = template.value(template.properties(name))
        documents = [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
        documents += [properties["PolicyDocument"]] if "PolicyDocument" in properties else []
        for document in documents:
            yield from ((name, one) for one in document["Statement"] if one["Effect"] == "Allow")


class TestKeeping:
    @pytest.mark.parametrize("template", NESTED, ids=str)
    def test_what_holds_slides_or_records_outlives_the_stack(self, template: Template) -> None:
        for name, resource in template.resources(*STATEFUL).items():
            kept = (resource.get("DeletionPolicy"), resource.get("UpdateReplacePolicy"))
            assert kept == ("Retain", "Retain"), name

    def test_tables_have_the_keys_and_indexes_that_the_stores_are_tested_with(self) -> None:
        class Recorded:
            """A client that notes which tables are asked for."""

            tables: dict[str, Node] = {}  # noqa: RUF012

            def create_table(self, **asked: Any) -> None:
                self.tables[asked.pop("TableName")] = asked

        create_tables(Recorded(), "Slides", "Imports")
        storage = BY_NAME["storage"]
        for name, asked in Recorded.tables.items():
            logical = {"Slides-review": "ReviewTable", "Slides-jobs": "JobsTable"}.get(name, f"{name}Table")
            deployed = storage.properties(logical)
            assert {key: deployed.get(key) for key in asked} == asked, logical

    @pytest.mark.parametrize("name", BY_NAME["storage"].resources("AWS::DynamoDB::Table"))
    def test_tables_can_be_brought_back(self, name: str) -> None:
        table = BY_NAME["storage"].properties(name)
        assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
        assert table["SSESpecification"]["SSEEnabled"] is True
        assert BY_NAME["storage"].value(table["DeletionProtectionEnabled"]) is True

    def test_streams_tell_what_was_and_what_is(self) -> None:
        for name in ("SlidesTable", "ImportsTable"):
            stream = BY_NAME["storage"].properties(name)["StreamSpecification"]
            assert stream == {"StreamViewType": "NEW_AND_OLD_IMAGES"}

    def test_the_stream_of_jobs_tells_what_is_asked_for(self) -> None:
        stream = BY_NAME["storage"].properties("JobsTable")["StreamSpecification"]
        assert stream == {"StreamViewType": "NEW_IMAGE"}

    def test_backups_cover_the_file_system_and_every_table(self) -> None:
        storage = BY_NAME["storage"]
        text = str(storage.properties("BackupSelection")["BackupSelection"]["Resources"])
        for name in ("FileSystem", *storage.resources("AWS::DynamoDB::Table")):
            assert f"'{name}'" in text


class TestDoors:
    def test_buckets_are_closed_encrypted_and_refuse_what_is_not_encrypted_on_its_way(self) -> None:
        for template in NESTED:
            for name in template.resources("AWS::S3::Bucket"):
                bucket = template.properties(name)
                assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}, name
                assert "BucketEncryption" in bucket, name
                assert "OwnershipControls" in bucket, name
                assert refuses_plain(policies("AWS::S3::BucketPolicy", "Bucket", name), "s3:*"), name

    def test_queues_and_topics_are_encrypted_and_refuse_what_is_not_encrypted_on_its_way(self) -> None:
        for template in NESTED:
            for name in template.resources("AWS::SQS::Queue"):
                assert template.properties(name)["SqsManagedSseEnabled"] is True, name
                assert refuses_plain(policies("AWS::SQS::QueuePolicy", "Queues", name), "sqs:*"), name
            for name in template.resources("AWS::SNS::Topic"):
                assert refuses_plain(policies("AWS::SNS::TopicPolicy", "Topics", name), "sns:Publish"), name

    def test_the_file_system_asks_for_encryption_an_access_point_and_a_role(self) -> None:
        statements = BY_NAME["storage"].properties("FileSystem")["FileSystemPolicy"]["Statement"]
        refused = [one["Condition"] for one in statements if one["Effect"] == "Deny" and "Condition" in one]
        assert {"Bool": {"aws:SecureTransport": "false"}} in refused
        assert {"Null": {"elasticfilesystem:AccessPointArn": "true"}} in refused
        allowed = [one["Principal"] for one in statements if one["Effect"] == "Allow"]
        assert [list(principal) for principal in allowed] == [["AWS"]]
        assert "*" not in str(allowed)

    def test_subnets_have_no_way_out(self) -> None:
        network = BY_NAME["network"]
        kinds = {resource["Type"] for resource in network.resources().values()}
        assert not kinds & {
            "AWS::EC2::InternetGateway",
            "AWS::EC2::NatGateway",
            "AWS::EC2::Route",
            "AWS::EC2::EIP",
        }
        for name in network.resources("AWS::EC2::Subnet"):
            assert network.properties(name)["MapPublicIpOnLaunch"] is False

    def test_security_groups_name_what_they_let_through(self) -> None:
        network = BY_NAME["network"]
        for name in network.resources("AWS::EC2::SecurityGroup"):
            rules = network.properties(name)["SecurityGroupEgress"]
            assert rules, f"{name}: without a rule a group lets everything out"
            open_wide = [rule for rule in rules if rule.get("CidrIp", "").endswith("/0")]
            assert open_wide == []

    def test_every_route_of_the_http_api_asks_for_a_token(self) -> None:
        routes = [
            template.properties(name)
            for template in NESTED
            for name in template.resources("AWS::ApiGatewayV2::Route")
        ]
        assert routes
        assert {(route["AuthorizationType"], "AuthorizerId" in route) for route in routes} == {("JWT", True)}
        scanner = next(route for route in routes if route["RouteKey"] == "POST /ImportSlide")
        assert scanner["AuthorizationScopes"] == ["vsv/import"]

    def test_the_access_log_holds_neither_tokens_nor_query_strings(self) -> None:
        logged = BY_NAME["identity"].properties("HttpApiStage")["AccessLogSettings"]["Format"]
        for name in ("queryString", "header", "$context.path", "authorizer.token", "authorizer.claims}"):
            assert name not in logged

    def test_people_come_only_by_an_administrator(self) -> None:
        identity = BY_NAME["identity"]
        pool = identity.properties("UserPool")
        assert pool["AdminCreateUserConfig"] == {"AllowAdminCreateUserOnly": True}
        groups = identity.resources("AWS::Cognito::UserPoolGroup")
        names = {identity.properties(name)["GroupName"] for name in groups}
        assert names == {"Technicians", "Pathologists", "Admins"}

    def test_a_scanner_can_import_and_nothing_else(self) -> None:
        client = BY_NAME["identity"].properties("ScannerClient")
        assert (client["AllowedOAuthFlows"], client["AllowedOAuthScopes"]) == (
            ["client_credentials"],
            ["vsv/import"],
        )


def policies(kind: str, key: str, name: str) -> list[Node]:
    """Give the policies of a bucket, queue or topic, from any stack, where an output may be its name."""
    return [
        template.properties(policy)["PolicyDocument"]
        for template in NESTED
        for policy in template.resources(kind)
        if any(f"'{one}'" in str(template.properties(policy)[key]) for one in (name, f"{name}Name"))
    ]


def refuses_plain(documents: list[Node], action: str) -> bool:
    """Tell whether one of the policies refuses everybody who comes without TLS."""
    return any(
        statement["Effect"] == "Deny"
        and statement["Principal"] in ("*", {"AWS": "*"})
        and statement["Action"] in (action, [action])
        and statement.get("Condition") == {"Bool": {"aws:SecureTransport": "false"}}
        for document in documents
        for statement in document["Statement"]
    )


class TestProfiles:
    CONFIG = tomllib.loads((ROOT / "samconfig.toml").read_text())

    @pytest.mark.parametrize("name", ["default", "dev", "prod"])
    def test_a_profile_deploys_what_the_template_needs(self, name: str) -> None:
        deploy = self.CONFIG[name]["deploy"]["parameters"]
        assert deploy["capabilities"] == ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]
        assert deploy["resolve_s3"] is True

    @pytest.mark.parametrize("name", ["dev", "prod"])
    def test_a_profile_gives_values_that_the_template_takes(self, name: str) -> None:
        for given in self.CONFIG[name]["deploy"]["parameters"]["parameter_overrides"]:
            parameter, _, value = given.partition("=")
            declared = ROOT_TEMPLATE.parameters[parameter]
            if "AllowedValues" in declared:
                assert value in map(str, declared["AllowedValues"]), given
            if declared["Type"] == "Number":
                assert declared.get("MinValue", 0) <= int(value) <= declared.get("MaxValue", 10**9), given

    def test_what_may_be_thrown_away_is_told_apart(self) -> None:
        dev, prod = (self.CONFIG[name]["deploy"]["parameters"] for name in ("dev", "prod"))
        assert "Protected=no" in dev["parameter_overrides"]
        assert "Protected=yes" in prod["parameter_overrides"]
        assert dev["stack_name"] != prod["stack_name"]


class TestNetworkFacts:
    """The one function whose code is in a template: it tells the prefix lists, and closes the default group."""

    @pytest.fixture
    def learn(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
        network, sent = BY_NAME["network"], []
        told = types.ModuleType("cfnresponse")
        told.__dict__.update(SUCCESS="SUCCESS", FAILED="FAILED")
        told.__dict__["send"] = lambda *arguments, **more: sent.append((arguments[2], arguments[3], more))
        monkeypatch.setitem(sys.modules, "cfnresponse", told)
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "fake")
        monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
        with mock_aws():
            code: dict[str, Any] = {}
            exec(network.properties("LearnNetworkFunction")["InlineCode"], code)

            def learn(kind: str, **wanted: str) -> Any:
                code["lambda_handler"]({"RequestType": kind, "ResourceProperties": wanted}, None)
                return sent.pop()

            yield learn

    def test_it_tells_the_prefix_lists_and_closes_the_default_group(self, learn: Any) -> None:
        ec2 = boto3.client("ec2", REGION)
        vpc = ec2.create_vpc(CidrBlock="10.83.0.0/24")["Vpc"]["VpcId"]
        of_vpc = [{"Name": "vpc-id", "Values": [vpc]}]
        (group,) = ec2.describe_security_groups(Filters=of_vpc)["SecurityGroups"]
        for kind in ("Create", "Update"):  # closed already is no error
            status, facts, _ = learn(kind, DefaultGroupToClose=group["GroupId"])
            assert status == "SUCCESS"
        assert {name: fact[:3] for name, fact in facts.items()} == {
            "DynamoDBPrefixListId": "pl-",
            "S3PrefixListId": "pl-",
        }
        assert facts["DynamoDBPrefixListId"] != facts["S3PrefixListId"]
        (closed,) = ec2.describe_security_groups(Filters=of_vpc)["SecurityGroups"]
        assert (closed["IpPermissions"], closed["IpPermissionsEgress"]) == ([], [])

    def test_an_existing_vpc_keeps_its_default_group(self, learn: Any) -> None:
        assert learn("Create", DefaultGroupToClose="")[0] == "SUCCESS"

    def test_deleting_asks_for_nothing(self, learn: Any) -> None:
        assert learn("Delete", DefaultGroupToClose="sg-0123456789abcdef0")[:2] == ("SUCCESS", {})

    def test_a_failure_is_told_to_cloudformation_and_not_waited_for(self, learn: Any) -> None:
        status, _, more = learn("Create", DefaultGroupToClose="sg-0123456789abcdef0")
        assert status == "FAILED"
        assert more["reason"].startswith("ClientError")
