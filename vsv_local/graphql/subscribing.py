"""Subscriptions: which changes one asks for, and each of them answered with its selection."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from graphql import FieldNode, GraphQLError, OperationType, get_argument_values
from graphql.execution.values import get_variable_values

from vsv_local.graphql.change_feed import FellBehindError, Live
from vsv_local.graphql.execution import Answer, Operation, RefusedError, run
from vsv_local.graphql.resolving import Request, failure
from vsv_local.graphql.schema import allows

KINDS = {"onUpdateSlide": "slide", "onImportProgress": "import"}


async def follow(operation: Operation, request: Request, live: Live) -> AsyncIterator[Answer]:
    """Give an answer for each change that the subscription asks for; raises RefusedError.

    As on AppSync an argument is a filter, and one that is null asks for records without that value.
    """
    name, wanted = _asked_for(operation, request)
    follower = live.follow(KINDS[name], lambda fields: _fits(fields, wanted))
    try:
        while True:
            yield await run(operation, request, {name: await follower.next()})
    except FellBehindError:
        error = failure(
            "Too many changes were missed: read the list again, then subscribe again.", "UNAVAILABLE"
        )
        raise RefusedError(error) from None
    finally:
        live.leave(follower)


def _asked_for(operation: Operation, request: Request) -> tuple[str, Mapping[str, Any]]:
    assert operation.kind is OperationType.SUBSCRIPTION
    root = operation.schema.subscription_type
    node = operation.node.selection_set.selections[0]
    assert root is not None
    if not isinstance(node, FieldNode) or node.name.value not in KINDS:
        raise RefusedError(GraphQLError("A subscription asks for its field directly, without a fragment."))
    name = node.name.value
    if not allows(root, name, request.user.groups):
        raise RefusedError(failure(f"Not Authorized to access {name} on type Subscription", "Unauthorized"))
    variables = get_variable_values(
        operation.schema, operation.node.variable_definitions or (), operation.variables
    )
    if isinstance(variables, list):
        raise RefusedError(*variables)
    try:
        return name, get_argument_values(root.fields[name], node, variables)
    except GraphQLError as error:
        raise RefusedError(error) from None


def _fits(fields: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return all(fields.get(name) == value for name, value in wanted.items())
