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
    "ExtractMetadataFunction": {"VSV_DATA", "VSV_ID_ORDER", "VSV_ID_PATTERN", *TABLES},
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
    "RenderPyramidFunction": {"VSV_DATA", *TABLES},
    "ReviewSlidesFunction": {
        "VSV_DATA",
        "VSV_DESTINATIONS",
        "VSV_GRACE_DAYS",
        "VSV_ID_PATTERN",
        "VSV_JOBS_TABLE",
        *TABLES,
    },
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
    """Return the functions whose code is in a folder, not in the template."""
    return [function for function in FUNCTIONS if function.folder]


def nested(name: str) -> Template:
    """Return the template of a nested stack of the root."""
    path = ROOT_TEMPLATE.properties(name)["TemplateURL"]
    return BY_NAME[path.removeprefix("stacks/").removesuffix(".yaml")]


class TestStacks:
    def test_each_template_is_a_nested_stack_of_the_root(self) -> None:
        stacks = ROOT_TEMPLATE.resources("AWS::CloudFormation::Stack")
        assert stacks.keys() == ROOT_TEMPLATE.resources().keys()
        assert sorted(str(nested(name)) for name in stacks) == sorted(BY_NAME)

    @pytest.mark.parametrize("name", ROOT_TEMPLATE.resources())
    def test_nested_stack_is_given_exactly_its_parameters(self, name: str) -> None:
        handed = ROOT_TEMPLATE.properties(name).get("Parameters", {})
        assert handed.keys() == nested(name).parameters.keys()

    def test_referenced_outputs_exist_in_their_nested_stack(self) -> None:
        for name, attribute in attributes_taken(ROOT_TEMPLATE.content):
            prefix, _, output = attribute.partition(".")
            assert prefix == "Outputs", (name, attribute)
            assert output in nested(name).outputs, (name, attribute)

    def test_parameter_limits_are_equal_in_root_and_nested_stacks(self) -> None:
        for stack in ROOT_TEMPLATE.resources():
            for name, value in ROOT_TEMPLATE.properties(stack).get("Parameters", {}).items():
                if value.get("Ref") in ROOT_TEMPLATE.parameters:
                    inner, outer = nested(stack).parameters[name], ROOT_TEMPLATE.parameters[value["Ref"]]
                    for key in ("AllowedValues", "MinValue", "MaxValue"):
                        assert inner.get(key) in (None, outer.get(key)), (stack, name, key)

    def test_each_root_parameter_is_used_and_listed_in_a_group(self) -> None:
        groups = ROOT_TEMPLATE.content["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
        shown = [name for group in groups for name in group["Parameters"]]
        assert sorted(shown) == sorted(ROOT_TEMPLATE.parameters)
        handed = [ROOT_TEMPLATE.properties(one).get("Parameters", {}) for one in ROOT_TEMPLATE.resources()]
        used = {value["Ref"] for values in handed for value in values.values() if "Ref" in value}
        assert used - {"AWS::StackName"} == ROOT_TEMPLATE.parameters.keys()

    @pytest.mark.parametrize("template", [ROOT_TEMPLATE, *NESTED], ids=str)
    def test_parameters_and_outputs_have_descriptions(self, template: Template) -> None:
        described = {**template.parameters, **template.outputs}
        assert [name for name, one in described.items() if not one.get("Description")] == []

    def test_each_root_parameter_has_a_default(self) -> None:
        assert [name for name, one in ROOT_TEMPLATE.parameters.items() if "Default" not in one] == []

    @pytest.mark.parametrize("template", NESTED, ids=str)
    def test_nested_parameters_are_used(self, template: Template) -> None:
        text = template.path.read_text()
        unused = [n for n in template.parameters if f"!Ref {n}" not in text and f"${{{n}}}" not in text]
        assert unused == []


def attributes_taken(node: Any) -> Iterator[tuple[str, str]]:
    """Yield every GetAtt in a template, including those within Sub."""
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
    def test_functions_are_those_of_the_settings_table(self) -> None:
        assert {function.name for function in with_code()} == SETTINGS.keys()

    @pytest.mark.parametrize("function", FUNCTIONS, ids=str)
    def test_function_has_limits_tracing_runtime_and_log_group(self, function: Function) -> None:
        properties = function.properties
        assert {"MemorySize", "Timeout", "Description"} <= properties.keys()
        assert properties["Tracing"] == "Active"
        assert (properties["Runtime"], properties["Architectures"]) == ("python3.13", ["arm64"])
        group = function.template.properties(properties["LoggingConfig"]["LogGroup"]["Ref"])
        assert group["RetentionInDays"] == {"Ref": "LogDays"}
        assert properties["LoggingConfig"]["LogFormat"] == "JSON"

    def test_functions_share_no_role_and_no_log_group(self) -> None:
        roles = [(str(one.template), one.role) for one in FUNCTIONS]
        logs = [(str(one.template), one.properties["LoggingConfig"]["LogGroup"]["Ref"]) for one in FUNCTIONS]
        assert all(role for _, role in roles)
        assert len(set(roles)) == len(set(logs)) == len(FUNCTIONS)

    @pytest.mark.parametrize("function", with_code(), ids=str)
    def test_function_has_exactly_its_settings(self, function: Function) -> None:
        assert function.environment.keys() - COMMON == SETTINGS[function.name]
        assert function.environment.keys() >= COMMON

    @pytest.mark.parametrize("function", with_code(), ids=str)
    def test_function_is_built_from_its_folder(self, function: Function) -> None:
        words = "".join(word.capitalize() for word in function.folder.split("_"))
        assert function.name == f"{words}Function"
        assert (ROOT / "functions" / function.folder / "handler.py").exists()
        assert function.properties["Handler"] == f"{function.folder}.handler.lambda_handler"
        resource = function.template.content["Resources"][function.name]
        assert resource["Metadata"]["BuildMethod"] == "makefile"
        assert function.properties["CodeUri"] == "../functions"

    @pytest.mark.parametrize("function", FUNCTIONS, ids=str)
    def test_function_has_file_system_exactly_when_in_the_vpc(self, function: Function) -> None:
        properties = function.properties
        assert ("FileSystemConfigs" in properties) == ("VpcConfig" in properties)
        assert ("FileSystemConfigs" in properties) == ("VSV_DATA" in function.environment)
        for mounted in properties.get("FileSystemConfigs", []):
            assert mounted == {"Arn": {"Ref": "AccessPointArn"}, "LocalMountPath": "/mnt/slides"}

    @pytest.mark.parametrize("function", FUNCTIONS, ids=str)
    def test_function_reaches_files_by_the_access_point_alone(self, function: Function) -> None:
        access_point = function.template.given["AccessPointArn"]
        for statement in function.statements():
            if statement.effect == "Allow" and any("elasticfilesystem" in one for one in statement.actions):
                wanted = {"StringEquals": {"elasticfilesystem:AccessPointArn": access_point}}
                assert statement.condition == wanted

    @pytest.mark.parametrize("function", with_code(), ids=str)
    def test_function_has_exactly_the_layers_that_its_package_imports(self, function: Function) -> None:
        sources = (path.read_text(encoding="utf-8") for path in modules_of(function.folder).values())
        named = {name.partition(".")[0] for source in sources for name in imported(ast.parse(source))}
        needed = {layer for layer, packages in LAYERS.items() if packages & named}
        assert {layer["Ref"] for layer in function.properties.get("Layers", [])} == needed

    def test_stream_event_sources_send_failures_to_a_queue(self) -> None:
        for template in NESTED:
            for name in template.resources("AWS::Lambda::EventSourceMapping"):
                source = template.properties(name)
                assert "OnFailure" in source["DestinationConfig"]
                assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
                assert 0 < source["MaximumRecordAgeInSeconds"] <= 86400
                assert source["MaximumRetryAttempts"] > 0

    def test_functions_called_by_rules_send_failures_to_a_queue(self) -> None:
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
    def test_wildcard_resources_are_allowed_only_for_unrestrictable_actions(self, template: Template) -> None:
        for name, statement in allowing_statements(template):
            actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
            resources = statement["Resource"]
            assert not any("*" in action for action in actions), name
            if "*" in (resources if isinstance(resources, list) else [resources]):
                assert set(actions) <= ON_EVERYTHING.keys(), name

    @pytest.mark.parametrize("template", NESTED, ids=str)
    def test_roles_are_assumed_for_this_account_alone(self, template: Template) -> None:
        for name in template.resources("AWS::IAM::Role"):
            for statement in template.properties(name)["AssumeRolePolicyDocument"]["Statement"]:
                if statement["Principal"]["Service"] not in TELL_NO_ACCOUNT:
                    account = statement["Condition"]["StringEquals"]["aws:SourceAccount"]
                    assert account == {"Ref": "AWS::AccountId"}, name

    @pytest.mark.parametrize("template", NESTED, ids=str)
    def test_permission_names_its_source(self, template: Template) -> None:
        for name in template.resources("AWS::Lambda::Permission"):
            assert "SourceArn" in template.properties(name), name


def allowing_statements(template: Template) -> Iterator[tuple[str, Node]]:
    """Yield every resolved Allow statement of the roles' policies; functions all have roles."""
    kinds = ("Role", "ManagedPolicy", "RolePolicy", "Policy")
    for name in template.resources(*(f"AWS::IAM::{kind}" for kind in kinds)):
        properties = template.value(template.properties(name))
        documents = [policy["PolicyDocument"] for policy in properties.get("Policies", [])]
        documents += [properties["PolicyDocument"]] if "PolicyDocument" in properties else []
        for document in documents:
            yield from ((name, one) for one in document["Statement"] if one["Effect"] == "Allow")


class TestRetention:
    @pytest.mark.parametrize("template", NESTED, ids=str)
    def test_stateful_resources_are_retained_when_the_stack_is_deleted(self, template: Template) -> None:
        for name, resource in template.resources(*STATEFUL).items():
            kept = (resource.get("DeletionPolicy"), resource.get("UpdateReplacePolicy"))
            assert kept == ("Retain", "Retain"), name

    def test_tables_have_keys_and_indexes_of_the_tested_stores(self) -> None:
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
    def test_table_has_recovery_encryption_and_deletion_protection(self, name: str) -> None:
        table = BY_NAME["storage"].properties(name)
        assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
        assert table["SSESpecification"]["SSEEnabled"] is True
        assert BY_NAME["storage"].value(table["DeletionProtectionEnabled"]) is True

    def test_streams_of_slides_and_imports_contain_new_and_old_images(self) -> None:
        for name in ("SlidesTable", "ImportsTable"):
            stream = BY_NAME["storage"].properties(name)["StreamSpecification"]
            assert stream == {"StreamViewType": "NEW_AND_OLD_IMAGES"}

    def test_stream_of_jobs_contains_new_images(self) -> None:
        stream = BY_NAME["storage"].properties("JobsTable")["StreamSpecification"]
        assert stream == {"StreamViewType": "NEW_IMAGE"}

    def test_backups_include_file_system_and_each_table(self) -> None:
        storage = BY_NAME["storage"]
        text = str(storage.properties("BackupSelection")["BackupSelection"]["Resources"])
        for name in ("FileSystem", *storage.resources("AWS::DynamoDB::Table")):
            assert f"'{name}'" in text


class TestAccess:
    def test_buckets_are_private_encrypted_and_refuse_requests_without_tls(self) -> None:
        for template in NESTED:
            for name in template.resources("AWS::S3::Bucket"):
                bucket = template.properties(name)
                assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}, name
                assert "BucketEncryption" in bucket, name
                assert "OwnershipControls" in bucket, name
                assert refuses_plain(policies("AWS::S3::BucketPolicy", "Bucket", name), "s3:*"), name

    def test_queues_and_topics_refuse_requests_without_tls(self) -> None:
        for template in NESTED:
            for name in template.resources("AWS::SQS::Queue"):
                assert template.properties(name)["SqsManagedSseEnabled"] is True, name
                assert refuses_plain(policies("AWS::SQS::QueuePolicy", "Queues", name), "sqs:*"), name
            for name in template.resources("AWS::SNS::Topic"):
                assert refuses_plain(policies("AWS::SNS::TopicPolicy", "Topics", name), "sns:Publish"), name

    def test_file_system_requires_tls_access_point_and_role(self) -> None:
        statements = BY_NAME["storage"].properties("FileSystem")["FileSystemPolicy"]["Statement"]
        refused = [one["Condition"] for one in statements if one["Effect"] == "Deny" and "Condition" in one]
        assert {"Bool": {"aws:SecureTransport": "false"}} in refused
        assert {"Null": {"elasticfilesystem:AccessPointArn": "true"}} in refused
        allowed = [one["Principal"] for one in statements if one["Effect"] == "Allow"]
        assert [list(principal) for principal in allowed] == [["AWS"]]
        assert "*" not in str(allowed)

    def test_subnets_have_no_internet_access(self) -> None:
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

    def test_security_groups_restrict_outgoing_traffic(self) -> None:
        network = BY_NAME["network"]
        for name in network.resources("AWS::EC2::SecurityGroup"):
            rules = network.properties(name)["SecurityGroupEgress"]
            assert rules, f"{name}: without a rule a group lets everything out"
            open_wide = [rule for rule in rules if rule.get("CidrIp", "").endswith("/0")]
            assert open_wide == []

    def test_each_route_of_the_http_api_requires_a_token(self) -> None:
        routes = [
            template.properties(name)
            for template in NESTED
            for name in template.resources("AWS::ApiGatewayV2::Route")
        ]
        assert routes
        assert {(route["AuthorizationType"], "AuthorizerId" in route) for route in routes} == {("JWT", True)}
        scanner = next(route for route in routes if route["RouteKey"] == "POST /ImportSlide")
        assert scanner["AuthorizationScopes"] == ["vsv/import"]

    def test_access_log_contains_no_tokens_and_no_query_strings(self) -> None:
        logged = BY_NAME["identity"].properties("HttpApiStage")["AccessLogSettings"]["Format"]
        for name in ("queryString", "header", "$context.path", "authorizer.token", "authorizer.claims}"):
            assert name not in logged

    def test_users_are_created_by_administrators_alone(self) -> None:
        identity = BY_NAME["identity"]
        pool = identity.properties("UserPool")
        assert pool["AdminCreateUserConfig"] == {"AllowAdminCreateUserOnly": True}
        groups = identity.resources("AWS::Cognito::UserPoolGroup")
        names = {identity.properties(name)["GroupName"] for name in groups}
        assert names == {"Technicians", "Pathologists", "Admins"}

    def test_scanner_client_has_the_import_scope_alone(self) -> None:
        client = BY_NAME["identity"].properties("ScannerClient")
        assert (client["AllowedOAuthFlows"], client["AllowedOAuthScopes"]) == (
            ["client_credentials"],
            ["vsv/import"],
        )


def policies(kind: str, key: str, name: str) -> list[Node]:
    """Return the policies of a bucket, queue or topic, from any stack, where its name may be an output."""
    return [
        template.properties(policy)["PolicyDocument"]
        for template in NESTED
        for policy in template.resources(kind)
        if any(f"'{one}'" in str(template.properties(policy)[key]) for one in (name, f"{name}Name"))
    ]


def refuses_plain(documents: list[Node], action: str) -> bool:
    """Return whether one of the policies denies every request without TLS."""
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
    def test_profile_has_the_capabilities_that_the_template_needs(self, name: str) -> None:
        deploy = self.CONFIG[name]["deploy"]["parameters"]
        assert deploy["capabilities"] == ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]
        assert deploy["resolve_s3"] is True

    @pytest.mark.parametrize("name", ["dev", "prod"])
    def test_profile_values_are_accepted_by_the_template(self, name: str) -> None:
        for given in self.CONFIG[name]["deploy"]["parameters"]["parameter_overrides"]:
            parameter, _, value = given.partition("=")
            declared = ROOT_TEMPLATE.parameters[parameter]
            if "AllowedValues" in declared:
                assert value in map(str, declared["AllowedValues"]), given
            if declared["Type"] == "Number":
                assert declared.get("MinValue", 0) <= int(value) <= declared.get("MaxValue", 10**9), given

    def test_dev_is_unprotected_and_prod_is_protected(self) -> None:
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

    def test_create_and_update_return_prefix_lists_and_close_default_group(self, learn: Any) -> None:
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

    def test_create_without_group_closes_no_default_group(self, learn: Any) -> None:
        assert learn("Create", DefaultGroupToClose="")[0] == "SUCCESS"

    def test_delete_succeeds_without_requests(self, learn: Any) -> None:
        assert learn("Delete", DefaultGroupToClose="sg-0123456789abcdef0")[:2] == ("SUCCESS", {})

    def test_failure_is_reported_to_cloudformation(self, learn: Any) -> None:
        status, _, more = learn("Create", DefaultGroupToClose="sg-0123456789abcdef0")
        assert status == "FAILED"
        assert more["reason"].startswith("ClientError")
