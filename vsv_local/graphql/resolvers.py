"""Resolve fields as AppSync does: one event to the review function, or one list of events for a whole batch.

Source: "Resolver context object reference" and "Direct Lambda resolvers", AppSync developer guide.
"""

import asyncio
import secrets
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    FieldNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLSchema,
)
from review_slides.graphql_errors import ReviewError
from review_slides.handler import lambda_handler
from vsv.roles import READERS

from vsv_local.graphql.schema import allows, load_schema

# Fields of other types than the three roots that the review function resolves; all of them in batches.
BATCHED = frozenset({("Slide", "LabelURL")})


@dataclass(frozen=True)
class User:
    """A user of the standalone server: by default its single local user with every role."""

    name: str = "local"
    groups: frozenset[str] = READERS

    def identity(self) -> dict[str, Any]:
        """Return the user as AppSync's identity of a Cognito user pool."""
        groups = sorted(self.groups)
        return {
            "username": self.name,
            "sub": self.name,
            "groups": groups,
            "claims": {"cognito:groups": groups},
        }

    def authorizer(self) -> dict[str, Any]:
        """Return the user as the HTTP API's JWT authoriser does: every claim is a text."""
        claims = {
            "username": self.name,
            "sub": self.name,
            "cognito:groups": f"[{' '.join(sorted(self.groups))}]",
        }
        return {"jwt": {"claims": claims, "scopes": None}}


class _LambdaContext:
    def __init__(self) -> None:
        self.aws_request_id = secrets.token_hex(8)


@dataclass
class Request:
    """One request's context: the user, the threads for handlers, and the batches that wait."""

    user: User
    threads: Executor
    handler: Callable[[Any, Any], Any] = lambda_handler
    variables: Mapping[str, Any] = field(default_factory=dict)
    _waiting: dict[tuple[str, str], list[tuple[dict[str, Any], asyncio.Future[Any]]]] = field(
        default_factory=dict
    )

    async def call(self, event: Any) -> Any:
        """Call the review function on a thread; its errors become GraphQL errors."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self.threads, self.handler, event, _LambdaContext())
        except ReviewError as error:
            raise failure(error.message, error.error_type) from None

    async def batched(self, key: tuple[str, str], event: dict[str, Any]) -> Any:
        """Call the review function once for all events of a field in one pass of the event loop."""
        loop = asyncio.get_running_loop()
        waiting = self._waiting.setdefault(key, [])
        if not waiting:
            loop.call_soon(lambda: loop.create_task(self._flush(key)))
        answer = loop.create_future()
        waiting.append((event, answer))
        return await answer

    async def _flush(self, key: tuple[str, str]) -> None:
        waiting = self._waiting.pop(key, [])
        try:
            values = await self.call([event for event, _ in waiting])
        except GraphQLError as error:
            for _, answer in waiting:
                if not answer.cancelled():
                    answer.set_exception(GraphQLError(error.message, extensions=error.extensions))
            return
        for (_, answer), value in zip(waiting, values, strict=True):
            if not answer.cancelled():
                answer.set_result(value)


Info = GraphQLResolveInfo[Request]


def failure(message: str, error_type: str) -> GraphQLError:
    """Return an error with its type."""
    return GraphQLError(message, extensions={"errorType": error_type})


def executable() -> GraphQLSchema:
    """Return the schema with its fields resolved by the review function."""
    schema = load_schema()
    for parent in (schema.query_type, schema.mutation_type):
        assert parent is not None
        for field_definition in parent.fields.values():
            field_definition.resolve = _resolve_root
    for type_name, field_name in BATCHED:
        batched = schema.type_map[type_name]
        assert isinstance(batched, GraphQLObjectType)
        batched.fields[field_name].resolve = _resolve_batched
    return schema


async def _resolve_root(_source: Any, info: Info, **arguments: Any) -> Any:
    _check_access(info)
    return await info.context.call(_event(info, arguments, None))


async def _resolve_batched(source: Any, info: Info, **arguments: Any) -> Any:
    key = (info.parent_type.name, info.field_name)
    return await info.context.batched(key, _event(info, arguments, source))


def _check_access(info: Info) -> None:
    parent, name = info.parent_type, info.field_name
    if not allows(parent, name, info.context.user.groups):
        raise failure(f"Not Authorized to access {name} on type {parent.name}", "Unauthorized")


def _event(info: Info, arguments: dict[str, Any], source: Any) -> dict[str, Any]:
    return {
        "arguments": arguments,
        "identity": info.context.user.identity(),
        "source": source,
        "request": {"headers": {}, "domainName": None},
        "prev": None,
        "info": {
            "fieldName": info.field_name,
            "parentTypeName": info.parent_type.name,
            "variables": dict(info.variable_values.coerced),
            "selectionSetList": selection_list(info),
        },
        "stash": {},
    }


def selection_list(info: Info) -> list[str]:
    """Return the paths of all selected fields below this one, as ``items/CaseID``."""
    paths: dict[str, None] = {}
    for node in info.field_nodes:
        _collect_paths(info, node, "", paths)
    return list(paths)


def _collect_paths(info: Info, node: Any, path: str, paths: dict[str, None]) -> None:
    for selection in node.selection_set.selections if node.selection_set else ():
        if isinstance(selection, FieldNode):
            below = f"{path}{selection.name.value}"
            paths[below] = None
            _collect_paths(info, selection, f"{below}/", paths)
        elif isinstance(selection, FragmentSpreadNode):
            _collect_paths(info, info.fragments[selection.name.value], path, paths)
        else:
            _collect_paths(info, selection, path, paths)
