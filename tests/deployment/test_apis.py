"""The doors of the APIs: who may come in, by which token, how often; and what a browser of another site may not."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from graphql import (
    DirectiveNode,
    FieldDefinitionNode,
    NamedTypeNode,
    Node,
    ObjectTypeDefinitionNode,
    parse,
    value_from_ast_untyped,
)

from tests.support.aws.cloudformation import nested_templates
from tests.support.paths import ROOT

BY_NAME = {str(template): template for template in nested_templates()}
IDENTITY, IMPORTS, REVIEW, WEB = (BY_NAME[name] for name in ("identity", "imports", "review", "web"))
TYPES = {
    one.name.value: one
    for one in parse((ROOT / "schema.graphql").read_text()).definitions
    if isinstance(one, ObjectTypeDefinitionNode)
}
PEOPLE, SYSTEM = "aws_cognito_user_pools", "aws_iam"


class TestHttpApi:
    @pytest.mark.parametrize(
        ("template", "authorizer", "client"),
        [(IMPORTS, "ScannerAuthorizer", "ScannerClientId"), (WEB, "PeopleAuthorizer", "PeopleClient")],
        ids=["scanners", "people"],
    )
    def test_authorizer_accepts_tokens_of_the_pool_for_its_client_alone(
        self, template: Any, authorizer: str, client: str
    ) -> None:
        """A scanner's token names no audience; then API Gateway compares its client_id ("JWT authorizers")."""
        asked = template.properties(authorizer)
        assert (asked["AuthorizerType"], asked["IdentitySource"]) == (
            "JWT",
            ["$request.header.Authorization"],
        )
        assert asked["JwtConfiguration"] == {
            "Audience": [{"Ref": client}],
            "Issuer": {"Ref": "UserPoolIssuer"},
        }

    def test_issuer_output_equals_the_issuer_of_tokens(self) -> None:
        issuer = IDENTITY.value(IDENTITY.outputs["UserPoolIssuer"]["Value"])
        assert issuer == "https://cognito-idp.eu-central-1.amazonaws.com/UserPool"

    def test_scanner_authorizer_protects_the_import_route_alone(self) -> None:
        doors = {
            template.properties(name)["AuthorizerId"]["Ref"]: template.properties(name)["RouteKey"]
            for template in (IMPORTS, WEB)
            for name in template.resources("AWS::ApiGatewayV2::Route")
        }
        assert doors["ScannerAuthorizer"] == "POST /ImportSlide"
        assert doors.keys() == {"ScannerAuthorizer", "PeopleAuthorizer"}

    def test_scanner_client_gets_hourly_tokens_by_its_secret_alone(self) -> None:
        client = IDENTITY.properties("ScannerClient")
        assert client["GenerateSecret"] is True
        assert client["ExplicitAuthFlows"] == ["ALLOW_REFRESH_TOKEN_AUTH"]
        assert (client["AccessTokenValidity"], client["TokenValidityUnits"]) == (1, {"AccessToken": "hours"})
        server = IDENTITY.properties("ResourceServer")
        scopes = [f"{server['Identifier']}/{one['ScopeName']}" for one in server["Scopes"]]
        assert (
            scopes
            == client["AllowedOAuthScopes"]
            == IMPORTS.properties("ImportSlideRoute")["AuthorizationScopes"]
        )

    def test_stage_limits_request_rate_and_burst(self) -> None:
        settings = IDENTITY.value(IDENTITY.properties("HttpApiStage")["DefaultRouteSettings"])
        assert (settings["ThrottlingRateLimit"], settings["ThrottlingBurstLimit"]) == (50, 200)

    def test_api_allows_no_cross_origin_requests(self) -> None:
        assert "CorsConfiguration" not in IDENTITY.properties("HttpApi")

    def test_oidc_provider_exists_only_when_its_issuer_is_given(self) -> None:
        without = replace(IDENTITY, given={})
        assert not without.holds(without.resources()["OidcProvider"]["Condition"])
        assert without.value(without.outputs["OidcProviderName"]["Value"]) == ""
        given = {
            "OidcIssuer": "https://login.example",
            "OidcSecretArn": "arn:of:the:secret",
            "OidcClientId": "vsv",
        }
        details = replace(IDENTITY, given=given).value(IDENTITY.properties("OidcProvider")["ProviderDetails"])
        assert details["client_secret"] == "{{resolve:secretsmanager:arn:of:the:secret}}"  # never a parameter
        assert (details["oidc_issuer"], details["client_id"]) == ("https://login.example", "vsv")
        providers = replace(WEB, given={"OidcProviderName": "Hospital"}).value(
            WEB.properties("PeopleClient")["SupportedIdentityProviders"]
        )
        assert providers == ["COGNITO", "Hospital"]


class TestGraphql:
    def test_api_authenticates_people_by_pool_and_system_by_iam(self) -> None:
        api = REVIEW.properties("GraphqlApi")
        assert api["AuthenticationType"] == "AMAZON_COGNITO_USER_POOLS"
        assert api["UserPoolConfig"]["UserPoolId"] == {"Ref": "UserPoolId"}
        assert api["AdditionalAuthenticationProviders"] == [{"AuthenticationType": "AWS_IAM"}]

    def test_api_is_traced_limited_and_accepts_a_firewall(self) -> None:
        api = REVIEW.properties("GraphqlApi")
        assert api["XrayEnabled"] is True
        assert 0 < api["QueryDepthLimit"] <= 75
        assert 0 < api["ResolverCountLimit"] <= 10_000
        wall = replace(REVIEW, given={"ApiWebAclArn": "arn:of:the:acl"})
        assert wall.holds(wall.resources()["GraphqlFirewall"]["Condition"])
        assert wall.value(wall.properties("GraphqlFirewall")["WebACLArn"]) == "arn:of:the:acl"
        assert wall.properties("GraphqlFirewall")["ResourceArn"]["Fn::GetAtt"][0] == "GraphqlApi"

    @pytest.mark.parametrize("field", list(TYPES["Mutation"].fields), ids=lambda one: str(one.name.value))
    def test_mutations_are_limited_to_technicians_and_admins(self, field: FieldDefinitionNode) -> None:
        found = directives(field)
        assert found
        for groups in (found[PEOPLE],) if PEOPLE in found else ():
            assert groups in (["Technicians", "Admins"], ["Admins"])

    @pytest.mark.parametrize("kind", ["Query", "Subscription"])
    def test_queries_and_subscriptions_are_limited_to_the_pool(self, kind: str) -> None:
        for field in TYPES[kind].fields:
            assert directives(field).keys() - {"aws_subscribe"} == {PEOPLE}, field.name.value

    @pytest.mark.parametrize("kind", ["Query", "Mutation", "Subscription"])
    def test_types_of_an_answer_allow_each_caller_of_its_field(self, kind: str) -> None:
        """AppSync refuses the fields of a type that does not name the way that the caller came."""
        for field in TYPES[kind].fields:
            ways = {way for way in directives(field) if way in (PEOPLE, SYSTEM)}
            for name in reached(field):
                assert ways <= (directives(TYPES[name]).keys() or {PEOPLE}), (field.name.value, name)


def directives(node: FieldDefinitionNode | ObjectTypeDefinitionNode) -> dict[str, Any]:
    """Return directives by name, with the groups that they require."""
    return {one.name.value: groups(one) for one in node.directives or ()}


def groups(directive: DirectiveNode) -> Any:
    named = {one.name.value: one.value for one in directive.arguments or ()}
    return value_from_ast_untyped(named["cognito_groups"]) if "cognito_groups" in named else None


def reached(field: FieldDefinitionNode) -> set[str]:
    """Return the types that a field's answer may contain, at any depth."""
    found: set[str] = set()
    left = list(named(field.type))
    while left:
        name = left.pop()
        if name in TYPES and name not in found:
            found.add(name)
            left += [inner for one in TYPES[name].fields for inner in named(one.type)]
    return found


def named(node: Node) -> Iterator[str]:
    """Yield the names in a type, without brackets and exclamation marks."""
    if isinstance(node, NamedTypeNode):
        yield node.name.value
    elif (inner := getattr(node, "type", None)) is not None:
        yield from named(inner)
