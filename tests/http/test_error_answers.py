"""What each type of error is answered with: its status over HTTP and its type over GraphQL, which clients rely on."""

import json
from collections.abc import Iterator

import pytest
from lambda_support.http import Request, Response, answer
from review_slides.graphql_errors import ReviewError, failure_of, translate_errors
from vsv import errors
from vsv.errors import VsvError

from vsv_local.server.api_gateway_events import http_event

REQUEST_ID = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"
ANSWERS = {
    "VsvError": (500, "INTERNAL"),
    "BadRequestError": (400, "BAD_REQUEST"),
    "InvalidNameError": (400, "BAD_REQUEST"),
    "InvalidTileAddressError": (400, "BAD_REQUEST"),
    "InvalidQueryError": (400, "BAD_REQUEST"),
    "TooLargeError": (400, "BAD_REQUEST"),
    "AnswerTooLargeError": (413, "BAD_REQUEST"),
    "UnsupportedError": (501, "BAD_REQUEST"),
    "InvalidTokenError": (400, "BAD_REQUEST"),
    "IllegalTransitionError": (400, "BAD_REQUEST"),
    "ForbiddenError": (403, "Unauthorized"),
    "NotFoundError": (404, "NOT_FOUND"),
    "SlideNotFoundError": (404, "NOT_FOUND"),
    "TileNotFoundError": (404, "NOT_FOUND"),
    "ImageNotFoundError": (404, "NOT_FOUND"),
    "FileMissingError": (404, "NOT_FOUND"),
    "ConflictError": (409, "CONFLICT"),
    "AlreadyExistsError": (409, "CONFLICT"),
    "VersionConflictError": (409, "CONFLICT"),
    "UnreadableSlideError": (422, "UNREADABLE"),
    "CorruptTileError": (422, "UNREADABLE"),
    "EmptyTileError": (422, "UNREADABLE"),
    "MissingTablesError": (422, "UNREADABLE"),
    "LeakError": (422, "UNREADABLE"),
    "UnavailableError": (503, "UNAVAILABLE"),
    "TransferError": (503, "UNAVAILABLE"),
    "NotYetError": (503, "UNAVAILABLE"),
    "FileChangingError": (503, "UNAVAILABLE"),
    "IncompleteSetError": (503, "UNAVAILABLE"),
    "StillWrittenError": (503, "UNAVAILABLE"),
    "SettingsError": (500, "INTERNAL"),
}


class Context:
    aws_request_id = REQUEST_ID


def error_types(root: type[VsvError] = VsvError) -> Iterator[type[VsvError]]:
    if root.__module__ == errors.__name__:
        yield root
    for child in root.__subclasses__():
        yield from error_types(child)


ERROR_TYPES = tuple(error_types())


def test_answer_table_contains_each_error_type() -> None:
    assert sorted(ANSWERS) == sorted(error.__name__ for error in ERROR_TYPES)


@pytest.mark.parametrize("error", ERROR_TYPES, ids=lambda error: error.__name__)
def test_error_over_http_has_its_status_and_message(
    error: type[VsvError], caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_request: Request) -> Response:
        raise error("what is wrong")

    result = answer(http_event("GET", "/", "", ()), Context(), fail)
    status = ANSWERS[error.__name__][0]
    message = "what is wrong" if status != 500 else f"internal error, request {REQUEST_ID}"
    assert result == {
        "statusCode": status,
        "headers": {"content-type": "application/json", "cache-control": "no-store"},
        "body": json.dumps({"error": message}),
        "isBase64Encoded": False,
    }
    assert bool(caplog.records) is (status >= 500)


@pytest.mark.parametrize("error", ERROR_TYPES, ids=lambda error: error.__name__)
def test_error_over_graphql_has_its_type_and_message(error: type[VsvError]) -> None:
    failure = failure_of(error("what is wrong"))
    assert (failure.error_type, failure.message) == (ANSWERS[error.__name__][1], "what is wrong")


@pytest.mark.parametrize("error", ERROR_TYPES, ids=lambda error: error.__name__)
def test_resolver_error_is_raised_with_its_type_and_logged_when_internal_or_unavailable(
    error: type[VsvError], caplog: pytest.LogCaptureFixture
) -> None:
    error_type = ANSWERS[error.__name__][1]
    with pytest.raises(ReviewError) as raised, translate_errors(Context()):
        raise error("what is wrong")
    assert str(raised.value) == f"{error_type}: what is wrong"
    assert bool(caplog.records) is (error_type in {"INTERNAL", "UNAVAILABLE"})


def test_not_yet_error_keeps_the_seconds_until_the_next_attempt() -> None:
    assert (errors.NotYetError("wait").seconds, errors.NotYetError("wait", 5.0).seconds) == (60.0, 5.0)
