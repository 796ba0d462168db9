"""Requests put to the code at hand without a network: to the ASGI application, and to the review function."""

import asyncio
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import unquote

from tests.recorded import masking
from tests.recorded.doors import door
from tests.recorded.fixed_data import HERE, items, unpack

Json = dict[str, Any]
HOST = "localhost:8080"
SET_ASIDE = ("VSV_", "AWS_")  # settings of this machine, which would change answers
TABLES = {"VSV_SLIDES_TABLE": "slides", "VSV_IMPORTS_TABLE": "imports"} | {
    "VSV_JOBS_TABLE": "slides-jobs",
    "VSV_REVIEW_TABLE": "slides-review",
}
_KEYS = ("ImageID", "Filename", "JobID", "Set", "Place")
_MOST_TRIES = 2000


def names() -> list[str]:
    """Return the sets of requests: one for each protocol or way of being set up."""
    return sorted(path.stem for path in (HERE / "requests").glob("*.json"))


def requests_of(name: str) -> Json:
    """Return a set of requests: ``environment`` and ``requests``, which are asked in order."""
    found: Json = json.loads((HERE / "requests" / f"{name}.json").read_text(encoding="utf-8"))
    return found


def replayed(name: str, folder: Path) -> list[Json]:
    """Return the answers of the code at hand to a set of requests, on data unpacked into an empty folder."""
    asked = requests_of(name)
    data = unpack(folder)
    with environment(asked.get("environment", {})):
        if asked.get("door") == "appsync":
            return _of_review(data, asked["requests"])
        return asyncio.run(_of_application(data, asked["requests"]))


@contextmanager
def environment(given: Mapping[str, str]) -> Iterator[None]:
    """Have these settings and no others for the length of a block."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(SET_ASIDE)}
    with patch.dict(os.environ, kept | dict(given), clear=True):
        yield


async def _of_application(data: Path, requests: Sequence[Json]) -> list[Json]:
    app = door("App")()
    with door("standalone")(data, [data.parent / "scanner"]):
        return [await settled(app, request) for request in requests]


async def settled(app: Any, request: Json) -> Json:
    """Ask, again while an import is under way: the answer's status is ``while``, or it holds ``while_text``."""
    under_way = request.get("while_text", "").encode()
    for _ in range(_MOST_TRIES):
        status, headers, body = await _asked(app, request)
        if status != request.get("while") and not (under_way and under_way in body):
            break
        await asyncio.sleep(0.02)
    return masking.of_http(status, headers, body, as_page=request.get("page", False))


async def _asked(app: Any, request: Json) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Return status, headers and body of a request in ASGI."""
    path, _, query = request["path"].partition("?")
    body = _body(request)
    headers = {"host": HOST, **({"content-type": "application/json"} if "json" in request else {})}
    sent = [(name.encode(), value.encode()) for name, value in (headers | request.get("headers", {})).items()]
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": request.get("method", "GET"),
        "path": unquote(path),
        "raw_path": path.encode("utf-8"),
        "query_string": query.encode("utf-8"),
        "headers": sent,
    }
    messages: list[Json] = []

    async def receive() -> Json:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Json) -> None:
        messages.append(message)

    await app(scope, receive, send)
    content = b"".join(message.get("body", b"") for message in messages[1:])
    return messages[0]["status"], messages[0]["headers"], content


def _body(request: Json) -> bytes:
    if "json" in request:
        return json.dumps(request["json"]).encode()
    return str(request.get("body", "")).encode() * int(request.get("times", 1))


def _of_review(data: Path, requests: Sequence[Json]) -> list[Json]:
    """Put AppSync's events to the review function on tables that hold the stored items; return the tables, too."""
    with stored_tables(data) as client:
        told = [_reviewed(request) for request in requests]
        return [*told, *(masking.of_table(name, scanned(client, name)) for name in TABLES.values())]


@contextmanager
def stored_tables(data: Path) -> Iterator[Any]:
    """Set up an installation on AWS whose DynamoDB holds the stored items and whose files are in a folder."""
    with empty_tables(data) as client:
        for table, stored in items().items():
            for item in stored:
                client.put_item(TableName=table, Item=item)
        yield client


@contextmanager
def empty_tables(data: Path) -> Iterator[Any]:
    """Set up an installation on AWS whose tables are empty."""
    with door("mocked_dynamodb")() as client, patch.dict(os.environ, TABLES | {"VSV_DATA": str(data)}):
        door("create_tables")(client, TABLES["VSV_SLIDES_TABLE"], TABLES["VSV_IMPORTS_TABLE"])
        door("use")(None)
        try:
            yield client
        finally:
            door("use")(None)


def scanned(client: Any, table: str) -> list[Json]:
    """Return all items of a table, in an order that does not depend on when they were written."""
    found: list[Json] = client.scan(TableName=table)["Items"]
    return sorted(found, key=lambda item: json.dumps([item.get(key) for key in _KEYS]))


def _reviewed(request: Json) -> Json:
    try:
        return masking.of_value(reviewed(request))
    except Exception as error:  # AppSync shows type and text of whatever is raised
        return masking.of_error(error)


def reviewed(request: Json) -> Any:
    """Return what the review function gives for a field, as AppSync asks for it."""
    groups = request.get("groups", ["Technicians"])
    system = {"userArn": "arn:aws:sts::123456789012:assumed-role/role/stream", "username": "A:stream"}
    person = {"username": request.get("user", "ann"), "groups": groups, "claims": {"cognito:groups": groups}}
    event = {
        "arguments": request.get("arguments", {}),
        "identity": system if groups == "system" else person,
        "source": request.get("source"),
        "info": {
            "fieldName": request["field"],
            "parentTypeName": request.get("type", "Query"),
            "selectionSetList": request.get("selection", ["ImageID"]),
        },
    }
    return door("review_slides")([event] if request.get("batch") else event, None)
