"""Translate API Gateway's HTTP API events (payload format 2.0) to requests, and responses back: HTTP is only here.

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
# The largest answer that Lambda sends, as JSON with a body in base64, less room for headers ("Lambda quotas", AWS
# Lambda developer guide: 6 MB; Lambda's own message says 6,291,556 bytes).
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


class Request(NamedTuple):  # a frozen dataclass takes three times as long to make: noticeable for a tile
    """The parts of an event that handlers need. ``path`` is decoded; header names are in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    event: Event

    @property
    def groups(self) -> frozenset[str]:
        """The caller's groups in the token that the HTTP API's JWT authoriser accepted; none without a token.

        The authoriser turns the claim's list into text such as ``[Technicians Admins]``; names of groups hold no
        space.
        """
        claim: Any = self.event["requestContext"]
        for key in ("authorizer", "jwt", "claims", "cognito:groups"):
            claim = claim.get(key) if isinstance(claim, Mapping) else None
        listed = _LIST_CLAIM.fullmatch(claim) if isinstance(claim, str) else None
        return frozenset(listed[1].split(" ")) - {""} if listed else frozenset()

    def json_body(self) -> dict[str, Any]:
        """Return the body as a JSON object; raises BadRequestError."""
        body = self.event.get("body") or ""
        if len(body) > MAX_BODY_BYTES:
            raise errors.BadRequestError(f"the body must be under {MAX_BODY_BYTES} bytes")
        try:
            text = base64.b64decode(body) if self.event.get("isBase64Encoded") else body
            content = json.loads(text, parse_constant=_refuse_constant)
        except (ValueError, binascii.Error, RecursionError) as error:
            raise errors.BadRequestError("the body must be a JSON object") from error
        if not isinstance(content, dict):
            raise errors.BadRequestError("the body must be a JSON object")
        return content


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


class Response(NamedTuple):
    """One HTTP answer. ``to_event`` encodes bytes in base64. ``cookies`` are values of Set-Cookie headers."""

    status: int = 200
    body: bytes | str = ""
    headers: Mapping[str, str] = MappingProxyType({})
    cookies: Sequence[str] = ()

    def to_event(self) -> dict[str, Any]:
        """Return the answer in the format that API Gateway takes."""
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
    """Return a JSON answer that no cache keeps."""
    return Response(
        status,
        json.dumps(content),
        {"content-type": "application/json", "cache-control": "no-store", **(headers or {})},
    )


def tagged(request: Request, body: bytes, mime: str, headers: Mapping[str, str]) -> Response:
    """Answer with the body, or without it for a HEAD request or a client that already has this ``etag``."""
    if is_unchanged(request, headers["etag"]):
        return Response(304, "", headers)
    return whole(request, body, mime, headers)


def whole(request: Request, body: bytes, mime: str, headers: Mapping[str, str]) -> Response:
    """Answer with the body, or without it for a HEAD request."""
    if request.method == "HEAD":
        return Response(200, "", {**headers, "content-type": mime, "content-length": str(len(body))})
    return Response(200, body, {**headers, "content-type": mime})


def is_unchanged(request: Request, etag: str) -> bool:
    """Return whether If-None-Match names ``etag``, compared weakly, as RFC 9110 section 13.1.2 says."""
    if_none_match = request.headers.get("if-none-match")
    if not if_none_match:
        return False
    return if_none_match.strip() == "*" or etag in {
        part.strip().removeprefix("W/") for part in if_none_match.split(",")
    }


def content_etag(body: bytes) -> str:
    """Return an ETag that changes with the content."""
    import hashlib  # noqa: PLC0415  cold start: a tile needs no checksum

    return f'"{hashlib.sha256(body).hexdigest()[:24]}"'


def read_request(event: Event) -> Request:
    """Return an event's request; raises BadRequestError where the event is not one of API Gateway's."""
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
    """Run a handler's logic on an event; every failure becomes an answer that reveals nothing internal."""
    request_id = getattr(context, "aws_request_id", "-")
    return answered(lambda: _sendable(handle(read_request(event))), request_id).to_event()


def _sendable(response: Response) -> Response:
    """Return the answer unchanged; raises AnswerTooLargeError where Lambda could not send it."""
    # Set by Lambda itself: "Defined runtime environment variables", AWS Lambda developer guide.
    if os.environ.get("AWS_LAMBDA_FUNCTION_NAME") and _sent_bytes(response.body) > MAX_ANSWER_BYTES:
        raise errors.AnswerTooLargeError(
            "This is more than can be sent at once: ask for a smaller picture, or for JPEG."
        )
    return response


def _sent_bytes(body: bytes | str) -> int:
    """Return the number of bytes a body has in transit: in base64, or as text in JSON."""
    return (len(body) + 2) // 3 * 4 if isinstance(body, bytes) else len(json.dumps(body))


def answered(handle: Callable[[], Response], request_id: str) -> Response:
    """Run a handler's logic and turn its exceptions into answers, except WouldWaitError of the non-blocking mode."""
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
    """Log the exception being handled; the answer names only the request's ID, to quote in a report."""
    log.exception("request %s failed", request_id)
    return json_response(500, {"error": f"internal error, request {request_id}"})
