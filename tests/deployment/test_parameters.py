"""The templates' parameters: what they take can be deployed, and what was handed in leaves nothing dangling."""

import ipaddress
import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import botocore.session
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.aws.cloudformation import PSEUDO, Node, Template, arn, nested_templates, root_template

ROOT_TEMPLATE, NESTED = root_template(), nested_templates()
BY_NAME = {str(template): template for template in NESTED}
# What has to be given, in a form that the template takes.
KEY = {"SigningPublicKeyA": ",".join(["A" * 64] * 6 + ["A" * 8])}
# One value for each thing that exists already or is somewhere else.
THERE = {
    "AgentArns": arn("datasync", "agent/agent-0123456789abcdef0"),
    "CertificateArn": "arn:aws:acm:us-east-1:123456789012:certificate/0-a",
    "ExistingAccessPointArn": arn("elasticfilesystem", "access-point/fsap-0123456789abcdef0"),
    "ExistingArchiveBucket": "archive",
    "ExistingDropInBucket": "drop-in",
    "ExistingFileSystemId": "fs-0123456789abcdef0",
    "ExistingFileSystemSecurityGroupId": "sg-0123456789abcdef0",
    "ExistingFunctionSecurityGroupId": "sg-0123456789abcdef1",
    "ExistingPublishBucket": "publish",
    "ExistingSubnetIds": "subnet-0123456789abcdef0,subnet-0123456789abcdef1",
    "ExistingVpcId": "vpc-0123456789abcdef0",
    "OidcClientId": "vsv",
    "OidcIssuer": "https://login.example.org/realms/hospital",
    "OidcSecretArn": arn("secretsmanager", "secret:vsv/oidc-AbCdEf"),
    "RegistryBucket": "registry",
    "RegistrySecretArn": arn("secretsmanager", "secret:vsv/registry-AbCdEf"),
    "SiteDomain": "slides.example.org",
    "SmbSecretArn": arn("secretsmanager", "secret:vsv/share-AbCdEf"),
    "SmbServer": "scanner-pc.example.org",
    "SmbUser": "vsv-transfer",
}
VPC = ("ExistingVpcId", "ExistingSubnetIds")
FILE_SYSTEM = ("ExistingFileSystemId", "ExistingAccessPointArn", "ExistingFileSystemSecurityGroupId")


def taken(declared: Node, value: str) -> bool:
    """Return whether a parameter accepts a value."""
    if value not in map(str, declared.get("AllowedValues", [value])):
        return False
    if declared["Type"] == "Number":
        return bool(declared.get("MinValue", 0) <= int(value) <= declared.get("MaxValue", 10**9))
    matches = re.search(declared.get("AllowedPattern", ""), value) is not None
    return matches and len(value) <= declared.get("MaxLength", 4096)


def refused(values: Mapping[str, str]) -> list[str]:
    """Return the root template's rules that refuse values; all other parameters have their defaults."""
    template = replace(ROOT_TEMPLATE, given={**KEY, **values})
    rules = ROOT_TEMPLATE.content["Rules"]
    return [
        name
        for name, rule in rules.items()
        if template.holds(rule.get("RuleCondition", {"Fn::Equals": ["", ""]}))
        and not all(template.holds(one["Assert"]) for one in rule["Assertions"])
    ]


def handed(*names: str) -> dict[str, str]:
    return {name: THERE[name] for name in names}


class TestValues:
    @pytest.mark.parametrize("name", ROOT_TEMPLATE.parameters)
    def test_parameter_accepts_its_default(self, name: str) -> None:
        declared = ROOT_TEMPLATE.parameters[name]
        assert taken(declared, str(declared["Default"]))

    @pytest.mark.parametrize("name", THERE)
    def test_parameter_accepts_existing_resource_and_refuses_nonsense(self, name: str) -> None:
        assert taken(ROOT_TEMPLATE.parameters[name], THERE[name])
        nonsense = (
            f"{THERE[name]}\n'nonsense' ;/*"
            if "AllowedPattern" in ROOT_TEMPLATE.parameters[name]
            else "x" * 256
        )
        assert not taken(ROOT_TEMPLATE.parameters[name], nonsense)

    def test_nested_stack_accepts_the_values_of_the_root(self) -> None:
        for stack in ROOT_TEMPLATE.resources():
            nested = BY_NAME[ROOT_TEMPLATE.properties(stack)["TemplateURL"][len("stacks/") : -len(".yaml")]]
            for name, value in ROOT_TEMPLATE.properties(stack).get("Parameters", {}).items():
                if value.get("Ref") in ROOT_TEMPLATE.parameters:
                    inner, outer = nested.parameters[name], ROOT_TEMPLATE.parameters[value["Ref"]]
                    for key in ("AllowedPattern", "MaxLength"):
                        assert inner.get(key) in (None, outer.get(key)), (stack, name, key)

    def test_no_parameter_contains_a_secret(self) -> None:
        """They are shown to whoever may look at the stack: ARNs of secrets only."""
        for name in ROOT_TEMPLATE.parameters:
            assert not re.search("(?i)password|private|token", name)
            assert "Secret" not in name or name.endswith("SecretArn") or name == "EdgeSecretVersion"

    @given(st.integers(0, 2**32 - 1), st.integers(8, 32))
    def test_accepted_vpc_address_range_has_room_for_two_subnets(self, address: int, prefix: int) -> None:
        vpc = ipaddress.ip_network((address, prefix), strict=False)
        network = BY_NAME["network"]
        if not taken(network.parameters["VpcCidr"], str(vpc)):
            assert not 16 <= prefix <= 25
            return
        subnets = [network.properties(name) for name in ("FirstSubnet", "SecondSubnet")]
        for number, subnet in enumerate(subnets):
            index, cut = subnet["CidrBlock"]["Fn::Select"]
            _, count, host_bits = cut["Fn::Cidr"]
            size = 32 - int(host_bits)
            assert (index, int(count)) == (number, 2)
            assert 16 <= size <= 28  # what a subnet may be
            assert 2 ** (size - prefix) >= int(count)

    @pytest.mark.parametrize(
        ("name", "of"), [("SmbUser", "User"), ("SmbShare", "Subdirectory"), ("SmbServer", "ServerHostname")]
    )
    @given(text=st.text(st.sampled_from("aZ09 .-_/\\$()[]:;|=,+*?<>\"@'ü"), min_size=1, max_size=12))
    def test_accepted_share_values_match_the_patterns_of_datasync(
        self, name: str, of: str, text: str
    ) -> None:
        service = botocore.session.get_session().get_service_model("datasync")
        wanted = service.operation_model("CreateLocationSmb").input_shape.members[of].metadata["pattern"]  # type: ignore[union-attr]
        if taken(ROOT_TEMPLATE.parameters[name], text):
            assert re.search(wanted.replace(r"\p{Zs}", " "), text) is not None


class TestRules:
    """Rules that require parameters together; without them a resource is replaced or a deployment fails late."""

    @pytest.mark.parametrize(
        "names",
        [
            (),
            ("AgentArns", "SmbServer", "SmbUser", "SmbSecretArn"),
            VPC,
            (*VPC, "ExistingFunctionSecurityGroupId", "ExistingFileSystemSecurityGroupId"),
            (*VPC, *FILE_SYSTEM),
            ("ExistingArchiveBucket", "ExistingPublishBucket", "ExistingDropInBucket"),
            ("OidcIssuer", "OidcClientId", "OidcSecretArn"),
            ("SiteDomain", "CertificateArn"),
            ("RegistrySecretArn",),
            ("RegistrySecretArn", "RegistryBucket"),
            tuple(THERE),
        ],
        ids=" ".join,
    )
    def test_complete_groups_of_parameters_are_accepted(self, names: tuple[str, ...]) -> None:
        assert refused(handed(*names)) == []

    @pytest.mark.parametrize(
        ("names", "rule"),
        [
            (("AgentArns",), "AnAgentNeedsItsShare"),
            (("AgentArns", "SmbServer", "SmbUser"), "AnAgentNeedsItsShare"),
            (("SmbServer", "SmbUser", "SmbSecretArn"), "AShareNeedsItsAgent"),
            (("ExistingVpcId",), "AVpcNeedsItsSubnets"),
            (("ExistingSubnetIds",), "WhatIsInAVpcNeedsIt"),
            (("ExistingFunctionSecurityGroupId",), "WhatIsInAVpcNeedsIt"),
            (("ExistingFileSystemSecurityGroupId",), "WhatIsInAVpcNeedsIt"),
            (VPC + FILE_SYSTEM[:2], "AFileSystemNeedsItsAccessPoint"),
            ((*VPC, FILE_SYSTEM[0], FILE_SYSTEM[2]), "AFileSystemNeedsItsAccessPoint"),
            (FILE_SYSTEM[:2], "AFileSystemNeedsItsAccessPoint"),
            (("ExistingAccessPointArn",), "AnAccessPointNeedsItsFileSystem"),
            (("OidcIssuer", "OidcClientId"), "AnIssuerNeedsItsClient"),
            (("OidcIssuer", "OidcSecretArn"), "AnIssuerNeedsItsClient"),
            (("SiteDomain",), "ADomainNeedsItsCertificate"),
            (("CertificateArn",), "ADomainNeedsItsCertificate"),
            (("RegistryBucket",), "ABucketOfTheRegistryNeedsItsDestination"),
        ],
    )
    def test_incomplete_groups_of_parameters_are_refused(self, names: tuple[str, ...], rule: str) -> None:
        assert rule in refused(handed(*names))

    @pytest.mark.parametrize("values", [{"SigningPublicKeyA": ""}, {"SigningKeyInUse": "B"}], ids=str)
    def test_site_without_key_is_refused(self, values: dict[str, str]) -> None:
        assert refused(values) == ["ASiteNeedsAKey"]


@pytest.mark.parametrize("template", NESTED, ids=str)
def test_references_exist_for_each_combination_of_given_parameters(template: Template) -> None:
    choices = compared(template)
    for values in itertools.product(*choices.values()):
        chosen = replace(template, given=dict(zip(choices, values, strict=True)))
        if "ASiteNeedsAKey" in refused(chosen.given):
            continue  # the slot in use is filled
        made = {name: one for name, one in chosen.resources().items() if is_made(chosen, one)}
        parts = [one.get("Properties") for one in made.values()]
        parts += [one["Value"] for one in chosen.outputs.values() if is_made(chosen, one)]
        by_sam = {f"{name}Url" for name in made if made[name]["Type"] == "AWS::Serverless::Function"}
        there = made.keys() | chosen.parameters.keys() | PSEUDO.keys() | by_sam | {"AWS::NoValue"}
        assert set(named(chosen, parts)) <= there, chosen.given


def is_made(template: Template, part: Node) -> bool:
    return "Condition" not in part or template.holds(part["Condition"])


def compared(template: Template) -> dict[str, list[Any]]:
    """Return each parameter that conditions compare, with the values that may make a difference."""
    found: dict[str, list[Any]] = {}
    for one in equalities(list((template.content.get("Conditions") or {}).values())):
        for name in named(template, one):
            allowed = template.parameters[name].get("AllowedValues")
            literals = [side for side in one if not isinstance(side, dict)]
            found.setdefault(name, list(allowed or ["something"])).extend([] if allowed else literals)
    return found


def equalities(node: Any) -> Iterator[list[Any]]:
    """Yield the two sides of every comparison."""
    for key, of in (
        node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    ):
        if key == "Fn::Equals":
            yield of
        else:
            yield from equalities(of)


def named(template: Template, node: Any) -> Iterator[str]:
    """Yield the names that a node refers to, in the branches that are taken."""
    if isinstance(node, list):
        for one in node:
            yield from named(template, one)
    if isinstance(node, dict):
        for key, of in node.items():
            if key == "Fn::If":
                yield from named(template, of[1] if template.holds(of[0]) else of[2])
            elif key in {"Ref", "Fn::GetAtt"}:
                yield of if key == "Ref" else of[0]
            elif key == "Fn::Sub":
                yield from named_in_text(template, of)
            else:
                yield from named(template, of)


def named_in_text(template: Template, of: Any) -> Iterator[str]:
    text, own = (of, {}) if isinstance(of, str) else of
    yield from named(template, own)
    names = (part.partition(".")[0] for part in re.findall(r"\$\{([^!}]+)\}", text))
    yield from (name for name in names if name not in own)
