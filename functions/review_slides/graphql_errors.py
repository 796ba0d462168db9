"""Translate the domain's errors to GraphQL errors.

A direct resolver can only raise, and AppSync shows only the message. So the type precedes the message, as in
``CONFLICT: Ann has changed this slide meanwhile …``, and a resolver's response handler can separate the two again.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from vsv.errors import ErrorKind, VsvError

log = logging.getLogger(__name__)

INTERNAL = "INTERNAL"
ERROR_TYPE_BY_KIND: dict[ErrorKind, str] = {
    ErrorKind.BAD_REQUEST: "BAD_REQUEST",
    ErrorKind.NOT_FOUND: "NOT_FOUND",
    ErrorKind.CONFLICT: "CONFLICT",
    ErrorKind.FORBIDDEN: "Unauthorized",  # AppSync's own type where a directive refuses
    ErrorKind.TOO_LARGE: "BAD_REQUEST",
    ErrorKind.UNSUPPORTED: "BAD_REQUEST",
    ErrorKind.UNREADABLE: "UNREADABLE",
    ErrorKind.UNAVAILABLE: "UNAVAILABLE",
    ErrorKind.INTERNAL: INTERNAL,
}


class ReviewError(Exception):
    """An error for the client: ``error_type`` for programs, ``message`` for people."""

    def __init__(self, error_type: str, message: str) -> None:
        super().__init__(f"{error_type}: {message}")
        self.error_type, self.message = error_type, message


@contextmanager
def translate_errors(context: Any) -> Iterator[None]:
    """Raise every error as one that reveals nothing internal; an unexpected error is logged with its request."""
    try:
        yield
    except VsvError as error:
        failure = failure_of(error)
        if failure.error_type in {INTERNAL, "UNAVAILABLE"}:
            log.warning("%s: %s", type(error).__name__, error)
        raise failure from None
    except Exception:
        request_id = getattr(context, "aws_request_id", "-")
        log.exception("request %s failed", request_id)
        raise ReviewError(INTERNAL, f"internal error, request {request_id}") from None


def failure_of(error: VsvError) -> ReviewError:
    """Return the error that a client gets for one of the domain's errors."""
    return ReviewError(ERROR_TYPE_BY_KIND[error.kind], str(error))
