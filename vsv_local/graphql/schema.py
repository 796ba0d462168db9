"""Load ``schema.graphql`` as an executable schema, with AppSync's additions to the language.

Source: "AWS AppSync scalars in GraphQL" and "Authorization use cases", AppSync developer guide.
"""

from collections.abc import Mapping
from datetime import datetime
from functools import cache
from typing import Any

from ariadne import ScalarType, make_executable_schema
from graphql import (
    DirectiveNode,
    FieldDefinitionNode,
    GraphQLError,
    GraphQLObjectType,
    GraphQLSchema,
    value_from_ast_untyped,
)

from vsv_local.assets import asset

SCHEMA = asset("schema.graphql")
PRELUDE = """
scalar AWSDateTime
directive @aws_cognito_user_pools(cognito_groups: [String]) on OBJECT | FIELD_DEFINITION
directive @aws_iam on OBJECT | FIELD_DEFINITION
directive @aws_subscribe(mutations: [String]) on FIELD_DEFINITION
"""

_date_time = ScalarType("AWSDateTime")


@_date_time.value_parser
def parse_date_time(value: Any) -> str:
    """Return the text unchanged; raises GraphQLError unless the text is a date and time with an offset."""
    if isinstance(value, str) and len(value) <= 40 and "T" in value:
        try:
            if datetime.fromisoformat(value).tzinfo is not None:
                return value
        except ValueError:
            pass
    raise GraphQLError("An AWSDateTime is a date and time with an offset, such as 2026-11-21T00:00:00Z.")


@cache
def load_schema() -> GraphQLSchema:
    """Return the schema; its fields have no resolvers of their own yet."""
    return make_executable_schema([PRELUDE, SCHEMA.read_text(encoding="utf-8")], _date_time)


def allows(parent: GraphQLObjectType, field_name: str, groups: frozenset[str]) -> bool:
    """Return whether the directives allow these groups a field: the field's own directives, else its type's."""
    node = parent.fields[field_name].ast_node
    own = _access(node) if isinstance(node, FieldDefinitionNode) else {}
    access = own or (_access(parent.ast_node) if parent.ast_node else {})
    if not access:
        return True  # AppSync's default authorization: every user of the pool
    if "aws_cognito_user_pools" not in access:
        return False  # for IAM principals only
    allowed_groups = access["aws_cognito_user_pools"].get("cognito_groups")
    return not allowed_groups or bool(groups & set(allowed_groups))


def _access(node: Any) -> dict[str, Mapping[str, Any]]:
    """Return the authorization directives of a definition, by name, with their arguments."""
    directives: dict[str, Mapping[str, Any]] = {}
    for directive in node.directives or ():
        if directive.name.value in {"aws_cognito_user_pools", "aws_iam"}:
            directives[directive.name.value] = _arguments(directive)
    return directives


def _arguments(directive: DirectiveNode) -> dict[str, Any]:
    return {
        argument.name.value: value_from_ast_untyped(argument.value) for argument in directive.arguments or ()
    }
