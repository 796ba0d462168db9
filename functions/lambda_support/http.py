"""API Gateway's HTTP API events (payload format 2.0) in, responses out: the one place that knows HTTP.

Source: "Create AWS Lambda proxy integrations for HTTP APIs", API Gateway developer guide.
"""

import base64
import binascii
import json
import logging
import os
import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from vsv import errors
from vsv.errors import ErrorKind
from vsv.nonblocking import WouldWaitError

log = logging.getLogger(__name__)

MAX_BODY_BYTES = 64 * 1024
# What Lambda sends of an answer, as JSON with a body in base64, less room for headers ("Lambda quotas", AWS Lambda
# developer guide: 6 MB; Lambda's own message says 6,291,556 bytes).
MAX_ANSWER_BYTES = 6_291_556 - 32 * 1024

STATUS_BY_KIND: dict[ErrorKind, int] = {
    ErrorKind.BAD_REQUEST: 400,
    ErrorKind.NOT_FOUND: 404,
    ErrorKind.CONFLICT: 409,
    ErrorKind.FORBIDDEN: 403,
    ErrorKind.TOO_LARGE: 413,
    ErrorKind.UNSUPPORTED: 501,
    ErrorKind.UNREADABLE: 422,
    ErrorKind.UNAVAILABLE: 503,
    ErrorKind.INTERNAL: 500,
}

Event = Mapping[str, Any]
_LIST_CLAIM = re.compile(r"\[([^\[\]]*)\]", re.ASCII)


class Request(NamedTuple):  # a frozen dataclass takes three times as long to make, which a tile notices
    """What a handler needs of an event. ``path`` is decoded; header names are in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    event: Event

    @property
    def groups(self) -> frozenset[str]:
        """Give the groups in the token that the HTTP API's JWT authoriser has let in; none without one.

        The authoriser makes the claim's list a text such as ``[Technicians Admins]``; names of groups hold no space.
        """
        found: Any = self.event["requestContext"]
        for key in ("authorizer", "jwt", "claims", "cognito:groups"):
            found = found.get(key) if isinstance(found, Mapping) else None
        listed = _LIST_CLAIM.fullmatch(found) if isinstance(found, str) else None
        return frozenset(listed[1].split(" ")) - {""} if listed else frozenset()

    def json_body(self) -> dict[str, Any]:
        """Give the body as a JSON object; raises BadRequestError."""
        body = self.event.get("body") or ""
        if len(body) > MAX_BODY_BYTES:
            raise errors.BadRequestError(f"the body must be under {MAX_BODY_BYTES} bytes")
        try:
            text = base64.b64decode(body) if self.event.get("isBase64Encoded") else body
            found = json.loads(text, parse_constant=_refuse_constant)
        except (ValueError, binascii.Error, RecursionError) as error:
            raise errors.BadRequestError("the body must be a JSON object") from error
        if not isinstance(found, dict):
            raise errors.BadRequestError("the body must be a JSON object")
        return found


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


class Response(NamedTuple):
    """An answer; bytes travel as base64, as API Gateway wants it. ``cookies`` are values of Set-Cookie headers."""

    status: int = 200
    body: bytes | str = ""
    headers: Mapping[str, str] = MappingProxyType({})
    cookies: Sequence[str] = ()

    def to_event(self) -> dict[str, Any]:
        """Give the answer in the shape that API Gateway takes."""
        binary = isinstance(self.body, bytes)
        body = binascii.b2a_base64(self.body, newline=False).decode("ascii") if binary else self.body  # type: ignore[arg-type]
        answer = {
            "statusCode": self.status,
            "headers": dict(self.headers),
            "body": body,
            "isBase64Encoded": binary,
        }
        return answer | ({"cookies": list(self.cookies)} if self.cookies else {})


def json_response(
    status: int, content: Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> Response:
    """Give a JSON answer that nobody caches."""
    return Response(
        status,
        json.dumps(content),
        {"content-type": "application/json", "cache-control": "no-store", **(headers or {})},
    )


def tagged(request: Request, body: bytes, mime: str, headers: Mapping[str, str]) -> Response:
    """Answer with the body, or without it where the client has it (by ``etag``) or asked only for the headers."""
    if is_unchanged(request, headers["etag"]):
        return Response(304, "", headers)
    return whole(request, body, mime, headers)


def whole(request: Request, body: bytes, mime: str, headers: Mapping[str, str]) -> Response:
    """Answer with the body, or without it where only the headers were asked for."""
    if request.method == "HEAD":
        return Response(200, "", {**headers, "content-type": mime, "content-length": str(len(body))})
    return Response(200, body, {**headers, "content-type": mime})


def is_unchanged(request: Request, etag: str) -> bool:
    """Compare If-None-Match weakly, as RFC 9110 section 13.1.2 says."""
    sent = request.headers.get("if-none-match")
    if not sent:
        return False
    return sent.strip() == "*" or etag in {part.strip().removeprefix("W/") for part in sent.split(",")}


def content_etag(body: bytes) -> str:
    """Give a tag that changes with the content."""
    import hashlib  # noqa: PLC0415  cold start: a tile has no checksum

    return f'"{hashlib.sha256(body).hexdigest()[:24]}"'


def read_request(event: Event) -> Request:
    """Read an event; raises BadRequestError where it is not one of API Gateway's."""
    try:
        http = event["requestContext"]["http"]
        return Request(
            method=http["method"],
            path=event["rawPath"],
            query=event.get("queryStringParameters") or {},
            headers=event.get("headers") or {},
            event=event,
        )
    except (KeyError, TypeError) as error:
        raise errors.BadRequestError("this is not an HTTP API event, payload format 2.0") from error


def answer(event: Event, context: Any, handle: Callable[[Request], Response]) -> dict[str, Any]:
    """Run a handler's logic on an event; every failure becomes an answer that gives nothing away."""
    request_id = getattr(context, "aws_request_id", "-")
    return answered(lambda: _sendable(handle(read_request(event))), request_id).to_event()


def _sendable(response: Response) -> Response:
    """Give the answer back; raises AnswerTooLargeError where Lambda could not send it."""
    # Set by Lambda itself: "Defined runtime environment variables", AWS Lambda developer guide.
    if os.environ.get("AWS_LAMBDA_FUNCTION_NAME") and _sent_bytes(response.body) > MAX_ANSWER_BYTES:
        raise errors.AnswerTooLargeError(
            "This is more than can be sent at once: ask for a smaller picture, or for JPEG."
        )
    return response


def _sent_bytes(body: bytes | str) -> int:
    """Give how many bytes a body has on its way: in base64, or as a text in JSON."""
    return (len(body) + 2) // 3 * 4 if isinstance(body, bytes) else len(json.dumps(body))


def answered(handle: Callable[[], Response], request_id: str) -> Response:
    """Run a handler's logic; what it raises becomes an answer, except that in haste it would have to wait."""
    try:
        return handle()
    except errors.VsvError as error:
        status = STATUS_BY_KIND[error.kind]
        if status == 500:
            return _internal_error(request_id)
        if status > 500:
            log.warning("%s: %s", type(error).__name__, error)
        return json_response(status, {"error": str(error)})
    except WouldWaitError:
        raise
    except Exception:
        return _internal_error(request_id)


def _internal_error(request_id: str) -> Response:
    """Log the exception being handled; the client learns no more than which request to ask about."""
    log.exception("request %s failed", request_id)
    return json_response(500, {"error": f"internal error, request {request_id}"})
