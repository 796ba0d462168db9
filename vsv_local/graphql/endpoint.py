"""Answer ``POST /graphql`` on the standalone server."""

import json
from collections.abc import Iterable
from concurrent.futures import Executor
from urllib.parse import urlsplit

from graphql import GraphQLError, OperationType

from vsv_local.graphql.execution import Answer, RefusedError, prepare, run
from vsv_local.graphql.resolvers import Request, User

PATH = "/graphql"
LOCAL_USER = User()
Headers = Iterable[tuple[bytes, bytes]]


async def answer(
    headers: Headers, body: bytes, threads: Executor, user: User = LOCAL_USER
) -> tuple[int, Answer]:
    """Return status and content for a request's headers and body."""
    if not is_same_origin(headers):
        return 403, _refused("this page belongs to another site")
    # A page of another site can send other content types without a preflight request, but not this one.
    if header(headers, b"content-type").partition(";")[0].strip().lower() != "application/json":
        return 415, _refused("the content type must be application/json")
    try:
        operation = prepare(_parse_json(body))
        if operation.kind is OperationType.SUBSCRIPTION:
            raise RefusedError(GraphQLError("Subscriptions need a WebSocket (graphql-transport-ws)."))
    except RefusedError as refused:
        return 400, refused.answer
    return 200, await run(operation, Request(user, threads))


def header(headers: Headers, name: bytes) -> str:
    """Return a header's value, empty for none."""
    return next((value.decode("latin-1") for key, value in headers if key.lower() == name), "")


def is_same_origin(headers: Headers) -> bool:
    """Return whether a request comes from this server's own page, or from no page at all."""
    headers = list(headers)
    origin = header(headers, b"origin")
    return not origin or urlsplit(origin).netloc.lower() == header(headers, b"host").lower()


def _parse_json(body: bytes) -> object:
    try:
        content: object = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return content


def _refused(message: str) -> Answer:
    return RefusedError(GraphQLError(message)).answer
