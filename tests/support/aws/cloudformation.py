"""CloudFormation templates as the tests read them: tags, parameters, conditions, SAM's globals, policies.

Source: "Intrinsic function reference", AWS CloudFormation user guide; "Globals section", AWS SAM developer guide.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.support.paths import ROOT

ACCOUNT, REGION = "123456789012", "eu-central-1"
PSEUDO = {
    "AWS::AccountId": ACCOUNT,
    "AWS::Partition": "aws",
    "AWS::Region": REGION,
    "AWS::StackId": f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/vsv/00000000-0000-0000-0000-000000000000",
    "AWS::StackName": "vsv",
    "AWS::URLSuffix": "amazonaws.com",
}
NO_VALUE = object()

Node = dict[str, Any]


def arn(service: str, resource: str) -> str:
    """Return the ARN of a resource in the tests' account and region."""
    return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{resource}"


# The values of Ref and GetAtt, where they are not simply the name.
ARNS = {
    "AWS::AppSync::GraphQLApi": "appsync:apis/{}",
    "AWS::DataSync::Task": "datasync:task/{}",
    "AWS::IAM::Role": "iam:role/{}",
    "AWS::Lambda::Function": "lambda:function:{}",
    "AWS::Logs::LogGroup": "logs:log-group:{}:*",
    "AWS::SecretsManager::Secret": "secretsmanager:secret:{}",
    "AWS::Serverless::Function": "lambda:function:{}",
    "AWS::Serverless::StateMachine": "states:stateMachine:{}",
    "AWS::SQS::Queue": "sqs:{}",
    "AWS::SNS::Topic": "sns:{}",
    "AWS::S3::Bucket": "s3:{}",
}
REF_IS_ARN = {
    "AWS::DataSync::Task",
    "AWS::SecretsManager::Secret",
    "AWS::Serverless::StateMachine",
    "AWS::SNS::Topic",
}


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short tags, which become the long forms."""


def _long_form(loader: _Loader, tag: str, node: yaml.Node) -> Node:
    value: Any
    if isinstance(node, yaml.MappingNode):
        value = loader.construct_mapping(node, deep=True)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = node.value
    if tag == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {tag if tag in {"Ref", "Condition"} else f"Fn::{tag}": value}


_Loader.add_multi_constructor("!", _long_form)


@dataclass(frozen=True)
class Template:
    """One template. ``given`` are parameters' values, for resolving; the rest have their defaults."""

    path: Path
    content: Node
    given: Mapping[str, Any]

    def __str__(self) -> str:
        return self.path.stem

    @property
    def parameters(self) -> Node:
        """The parameters by name."""
        return dict(self.content.get("Parameters") or {})

    @property
    def outputs(self) -> Node:
        """The outputs by name."""
        return dict(self.content.get("Outputs") or {})

    def resources(self, *types: str) -> dict[str, Node]:
        """Return the resources of these types, or all."""
        found = self.content["Resources"]
        return {name: r for name, r in found.items() if not types or r["Type"] in types}

    def properties(self, name: str) -> Node:
        """Return a resource's properties, SAM's globals included."""
        resource = self.content["Resources"][name]
        own = dict(resource.get("Properties") or {})
        if resource["Type"] != "AWS::Serverless::Function":
            return own
        return _merged((self.content.get("Globals") or {}).get("Function") or {}, own)

    def holds(self, condition: Any) -> bool:
        """Return whether a condition holds, given its name or its expression."""
        if isinstance(condition, str):
            return self.holds(self.content["Conditions"][condition])
        ((function, of),) = condition.items()
        if function == "Condition":
            return self.holds(of)
        if function == "Fn::Equals":
            return bool(self.value(of[0]) == self.value(of[1]))
        if function == "Fn::Not":
            return not self.holds(of[0])
        return {"Fn::And": all, "Fn::Or": any}[function](map(self.holds, of))

    def value(self, node: Any) -> Any:
        """Return a node's value when deployed; ``AWS::NoValue`` is left out of lists and mappings."""
        if isinstance(node, list):
            return [found for one in node if (found := self.value(one)) is not NO_VALUE]
        if not isinstance(node, dict):
            return node
        if len(node) == 1:
            ((function, of),) = node.items()
            if function == "Ref" or function.startswith("Fn::"):
                return self._call(function, of)
        found = {key: self.value(one) for key, one in node.items()}
        return {key: one for key, one in found.items() if one is not NO_VALUE}

    def _call(self, function: str, of: Any) -> Any:
        if function == "Fn::If":
            return self.value(of[1] if self.holds(of[0]) else of[2])
        if function in {"Ref", "Fn::Sub", "Fn::GetAtt"}:
            return {"Ref": self._ref, "Fn::Sub": self._sub, "Fn::GetAtt": self._get_att}[function](of)
        first, second = self.value(of)
        if function == "Fn::Join":
            return first.join(second)
        if function == "Fn::Split":
            return second.split(first)
        assert function == "Fn::Select", function
        return second[int(first)]

    def _get_att(self, of: list[str]) -> str:
        return self._attribute(of[0], ".".join(of[1:]))

    def _ref(self, name: str) -> Any:
        if name == "AWS::NoValue":
            return NO_VALUE
        if name in PSEUDO:
            return PSEUDO[name]
        if name in self.parameters:
            declared = self.parameters[name]
            value = self.given.get(name, declared.get("Default", f"some-{name}"))
            is_list = declared["Type"] == "CommaDelimitedList" or declared["Type"].startswith("List<")
            return str(value).split(",") if is_list else value
        kind = self.content["Resources"][name]["Type"]
        if kind in REF_IS_ARN:
            return self._attribute(name, "Arn")
        return _cloudfront_id(name) if kind.startswith("AWS::CloudFront::") else name

    def _sub(self, of: Any) -> str:
        text, own = (of, {}) if isinstance(of, str) else (of[0], self.value(of[1]))

        def found(match: re.Match[str]) -> str:
            name = match[1]
            if name in own:
                return str(own[name])
            resource, dot, attribute = name.partition(".")
            return str(self._attribute(resource, attribute) if dot else self._ref(name))

        return re.sub(r"\$\{([^!}]+)\}", found, text)

    def _attribute(self, name: str, attribute: str) -> str:
        # A function's address has a logical id that the template does not show.
        kind = self.content["Resources"].get(name, {}).get("Type", "")
        if attribute in {"Arn", "TopicArn"} and kind in ARNS:
            service, resource = ARNS[kind].split(":", 1)
            return arn(service, resource.format(name))
        if attribute == "Id" and kind.startswith("AWS::CloudFront::"):
            return _cloudfront_id(name)
        if attribute == "DomainName":
            return f"{name.lower()}.example"
        return f"https://{name}.example/graphql" if attribute.endswith("Url") else f"{name}.{attribute}"


def _cloudfront_id(name: str) -> str:
    return f"E000{name.upper()}"


def _merged(below: Node, above: Node) -> Node:
    """Merge two mappings as SAM does with its globals: mappings are merged, lists are concatenated."""
    found = dict(below)
    for key, value in above.items():
        lower = found.get(key)
        if isinstance(lower, dict) and isinstance(value, dict):
            found[key] = _merged(lower, value)
        elif isinstance(lower, list) and isinstance(value, list):
            found[key] = lower + value
        else:
            found[key] = value
    return found


@dataclass(frozen=True)
class Statement:
    """One resolved statement of a policy; always with lists, where IAM also allows single values."""

    effect: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    condition: Node


@dataclass(frozen=True)
class Function:
    """A Lambda function of a template."""

    template: Template
    name: str

    def __str__(self) -> str:
        return self.name

    @property
    def properties(self) -> Node:
        """The function's properties, SAM's globals included; not resolved."""
        return self.template.properties(self.name)

    @property
    def folder(self) -> str:
        """The folder of the function's code; empty if the code is in the template."""
        handler = str(self.properties["Handler"])
        return handler.partition(".")[0] if "CodeUri" in self.properties else ""

    @property
    def environment(self) -> dict[str, str]:
        """The function's environment variables, resolved."""
        variables = self.properties.get("Environment", {}).get("Variables", {})
        return {name: str(value) for name, value in self.template.value(variables).items()}

    @property
    def role(self) -> str | None:
        """The logical id of the function's role; None if SAM makes one from its policies."""
        role = self.properties.get("Role")
        return str(role["Fn::GetAtt"][0]) if role else None

    def statements(self) -> list[Statement]:
        """Return the statements of the function's policies: inline, shared in the template, or SAM's."""
        return [_statement(one) for policy in self._policies() for one in _list(policy["Statement"])]

    def _policies(self) -> Iterator[Node]:
        value = self.template.value
        if self.role is None:
            yield from value(_list(self.properties.get("Policies", [])))
            return
        role = self.template.properties(self.role)
        for inline in value(role.get("Policies", [])):
            yield inline["PolicyDocument"]
        for managed in role.get("ManagedPolicyArns", []):
            yield value(self.template.properties(managed["Ref"])["PolicyDocument"])


def _statement(found: Node) -> Statement:
    return Statement(
        found["Effect"],
        tuple(_list(found["Action"])),
        tuple(_list(found["Resource"])),
        found.get("Condition", {}),
    )


def _list(found: Any) -> list[Any]:
    return found if isinstance(found, list) else [found]


# Values of the parameters that one stack passes to another, in a form that moto and the code accept.
GIVEN: dict[str, str] = {
    "AccessPointArn": arn("elasticfilesystem", "access-point/fsap-0123456789abcdef0"),
    "AgentArns": arn("datasync", "agent/agent-0123456789abcdef0"),
    "ArchiveBucketName": "archive",
    "DropInBucketArn": "arn:aws:s3:::drop-in",
    "DropInBucketName": "drop-in",
    "ExistingFileSystemId": "",
    "FileSystemArn": arn("elasticfilesystem", "file-system/fs-0123456789abcdef0"),
    "ImportsTableArn": arn("dynamodb", "table/imports"),
    "ImportsTableName": "imports",
    "ImportsTableStreamArn": arn("dynamodb", "table/imports/stream/2026-11-21T00:00:00.000"),
    "JobsTableArn": arn("dynamodb", "table/slides-jobs"),
    "JobsTableName": "slides-jobs",
    "JobsTableStreamArn": arn("dynamodb", "table/slides-jobs/stream/2026-11-21T00:00:00.000"),
    "PublishBucketName": "publish",
    "RegistryBucket": "registry",
    "RegistrySecretArn": arn("secretsmanager", "secret:vsv/registry-AbCdEf"),
    "ReviewTableArn": arn("dynamodb", "table/slides-review"),
    "ReviewTableName": "slides-review",
    "SlidesTableArn": arn("dynamodb", "table/slides"),
    "SlidesTableName": "slides",
    "ReviewTableStreamArn": arn("dynamodb", "table/slides-review/stream/2026-11-21T00:00:00.000"),
    "SlidesTableStreamArn": arn("dynamodb", "table/slides/stream/2026-11-21T00:00:00.000"),
}


@cache
def template(path: Path) -> Template:
    """Read a template."""
    return Template(path, yaml.load(path.read_text(), _Loader), GIVEN)


def root_template() -> Template:
    """Return the template that is deployed."""
    return template(ROOT / "template.yaml")


def nested_templates() -> list[Template]:
    """Return the templates of ``stacks/``."""
    return [template(path) for path in sorted((ROOT / "stacks").glob("*.yaml"))]


def functions() -> list[Function]:
    """Return every Lambda function of the stack."""
    kinds = ("AWS::Serverless::Function", "AWS::Lambda::Function")
    return [Function(one, name) for one in nested_templates() for name in one.resources(*kinds)]
