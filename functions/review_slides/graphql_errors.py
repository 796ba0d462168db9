"""The domain's errors as GraphQL errors.

A direct resolver can only raise, and AppSync shows the message alone. So the type leads the message, as in
``CONFLICT: Ann has changed this slide meanwhile …``, and a resolver's response handler can part the two again.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from vsv import errors

log = logging.getLogger(__name__)

INTERNAL = "INTERNAL"
ERROR_TYPES: dict[type[errors.VsvError], str] = {
    errors.VsvError: INTERNAL,
    errors.BadRequestError: "BAD_REQUEST",
    errors.InvalidNameError: "BAD_REQUEST",
    errors.InvalidTileAddressError: "BAD_REQUEST",
    errors.InvalidQueryError: "BAD_REQUEST",
    errors.TooLargeError: "BAD_REQUEST",
    errors.AnswerTooLargeError: "BAD_REQUEST",
    errors.UnsupportedError: "BAD_REQUEST",
    errors.InvalidTokenError: "BAD_REQUEST",
    errors.IllegalTransitionError: "BAD_REQUEST",
    errors.ForbiddenError: "Unauthorized",  # what AppSync itself says where a directive refuses
    errors.NotFoundError: "NOT_FOUND",
    errors.SlideNotFoundError: "NOT_FOUND",
    errors.TileNotFoundError: "NOT_FOUND",
    errors.ImageNotFoundError: "NOT_FOUND",
    errors.FileMissingError: "NOT_FOUND",
    errors.ConflictError: "CONFLICT",
    errors.AlreadyExistsError: "CONFLICT",
    errors.VersionConflictError: "CONFLICT",
    errors.UnreadableSlideError: "UNREADABLE",
    errors.CorruptTileError: "UNREADABLE",
    errors.LeakError: "UNREADABLE",
    errors.UnavailableError: "UNAVAILABLE",
    errors.TransferError: "UNAVAILABLE",
    errors.NotYetError: "UNAVAILABLE",
    errors.FileChangingError: "UNAVAILABLE",
    errors.SettingsError: INTERNAL,
}


class ReviewError(Exception):
    """What a client is told: ``error_type`` for programs, ``message`` for people."""

    def __init__(self, error_type: str, message: str) -> None:
        super().__init__(f"{error_type}: {message}")
        self.error_type, self.message = error_type, message


@contextmanager
def told(context: Any) -> Iterator[None]:
    """Turn every failure into one that gives nothing away; what nobody expected is logged with its request."""
    try:
        yield
    except errors.VsvError as error:
        failure = failure_of(error)
        if failure.error_type in {INTERNAL, "UNAVAILABLE"}:
            log.warning("%s: %s", type(error).__name__, error)
        raise failure from None
    except Exception:
        request_id = getattr(context, "aws_request_id", "-")
        log.exception("request %s failed", request_id)
        raise ReviewError(INTERNAL, f"internal error, request {request_id}") from None


def failure_of(error: errors.VsvError) -> ReviewError:
    """Give what a client is told of one of the domain's errors."""
    return ReviewError(ERROR_TYPES[type(error)], str(error))
