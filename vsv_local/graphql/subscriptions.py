"""Answer subscriptions: read which changes one selects, and execute its selection on each change."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from graphql import FieldNode, GraphQLError, OperationType, get_argument_values
from graphql.execution.values import get_variable_values

from vsv_local.graphql.change_feed import ChangeFeed, FellBehindError
from vsv_local.graphql.execution import Answer, Operation, RefusedError, run
from vsv_local.graphql.resolvers import Request, failure
from vsv_local.graphql.schema import allows

KINDS = {"onUpdateSlide": "slide", "onImportProgress": "import", "onJobUpdate": "job"}


async def follow(operation: Operation, request: Request, feed: ChangeFeed) -> AsyncIterator[Answer]:
    """Yield an answer for each change that the subscription selects; raises RefusedError.

    As on AppSync an argument is a filter, and an argument that is null selects records without that value.
    """
    name, filters = _read_subscription(operation, request)
    follower = feed.follow(KINDS[name], lambda fields: _matches(fields, filters))
    try:
        while True:
            yield await run(operation, request, {name: await follower.next()})
    except FellBehindError:
        error = failure(
            "Too many changes were missed: read the list again, then subscribe again.", "UNAVAILABLE"
        )
        raise RefusedError(error) from None
    finally:
        feed.leave(follower)


def _read_subscription(operation: Operation, request: Request) -> tuple[str, Mapping[str, Any]]:
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


def _matches(fields: Mapping[str, Any], filters: Mapping[str, Any]) -> bool:
    return all(fields.get(name) == value for name, value in filters.items())
