"""Errors on their way out: each has a status, and none says more than a client may know."""

import json
import traceback
from collections.abc import Iterator
from typing import Any

import pytest
from lambda_support.http import STATUS_BY_KIND, Request, Response, answer, json_response
from vsv import errors
from vsv.errors import ErrorKind, VsvError

from vsv_local.server.api_gateway_events import http_event

EVENT = http_event("GET", "/", "", ())


class Context:
    aws_request_id = "c6af9ac6-7b61-11e6-9a41-93e8deadbeef"


def tree(root: type[VsvError]) -> Iterator[type[VsvError]]:
    yield root
    for child in root.__subclasses__():
        yield from tree(child)


def ours() -> list[type[VsvError]]:
    return [error for error in tree(VsvError) if error.__module__ == errors.__name__]


def answered(error: BaseException, context: object = None) -> tuple[int, str]:
    def fail(_request: Request) -> Response:
        raise error

    result = answer(EVENT, context or Context(), fail)
    return result["statusCode"], result["body"]


def stated_kind(error: type[VsvError]) -> ErrorKind | None:
    """Return the kind that a type or one of its parents states; the root's is for types that were forgotten."""
    parents = [parent for parent in error.__mro__ if issubclass(parent, VsvError) and parent is not VsvError]
    return next((vars(parent)["kind"] for parent in parents if "kind" in vars(parent)), None)


@pytest.mark.parametrize("error", ours()[1:], ids=lambda error: error.__name__)
def test_error_below_the_root_states_or_inherits_a_kind(error: type[VsvError]) -> None:
    assert stated_kind(error) is error.kind


def test_each_error_kind_has_a_status_and_an_error_type() -> None:
    assert set(STATUS_BY_KIND) == set(ErrorKind) == {error.kind for error in ours()}


def test_error_types_are_defined_in_the_errors_module_alone() -> None:
    import vsv_local.cli.main  # noqa: F401, PLC0415  brings in everything

    assert [e for e in tree(VsvError) if e.__module__.startswith(("vsv.", "local."))] == ours()


@pytest.mark.parametrize("error", ours(), ids=lambda error: error.__name__)
def test_error_answers_its_status_in_json(error: type[VsvError]) -> None:
    status, body = answered(error("what is wrong"))
    assert status == STATUS_BY_KIND[error.kind]
    assert set(json.loads(body)) == {"error"}


@pytest.mark.parametrize("error", ours(), ids=lambda error: error.__name__)
def test_error_subtype_has_the_status_of_its_parent(error: type[VsvError]) -> None:
    parent = error.__mro__[1]
    if issubclass(parent, VsvError) and parent is not VsvError:
        assert STATUS_BY_KIND[error.kind] == STATUS_BY_KIND[parent.kind]


@pytest.mark.parametrize(
    "error",
    [
        ValueError("secret /efs/slides"), KeyError("secret"), OSError(5, "secret", "/efs/slides"),
        RecursionError("secret"), MemoryError("secret"), AssertionError("secret"), UnicodeError("secret"),
        errors.SettingsError("the secret setting VSV_DATA is missing"), VsvError("secret"),
    ],
    ids=repr,
)  # fmt: skip
def test_unexpected_error_answers_500_with_the_request_id_alone(error: Exception) -> None:
    status, body = answered(error)
    assert status == 500
    assert json.loads(body) == {"error": f"internal error, request {Context.aws_request_id}"}


def test_error_type_without_kind_answers_500_without_its_message() -> None:
    class ForgottenError(VsvError):
        pass

    try:
        status, body = answered(ForgottenError("secret"))
        assert stated_kind(ForgottenError) is None
    finally:
        del ForgottenError
    assert (status, "secret" in body) == (500, False)


def test_cause_of_an_error_is_logged_and_absent_from_the_answer(caplog: pytest.LogCaptureFixture) -> None:
    error = errors.UnavailableError("try again")
    error.__cause__ = OSError(5, "secret", "/efs/slides")
    _, body = answered(error)
    assert json.loads(body) == {"error": "try again"}
    answered(ValueError("for the log"))
    assert "for the log" in "".join(
        "".join(traceback.format_exception(*record.exc_info)) for record in caplog.records if record.exc_info
    )


@pytest.mark.parametrize("event", [{}, {"version": "1.0", "httpMethod": "GET"}, {"requestContext": {}}, []])
def test_events_of_another_kind_answer_400(event: Any) -> None:
    result = answer(event, None, lambda _request: Response())
    assert result["statusCode"] == 400


# What Lambda's runtime hands over: the whole answer as JSON. Lambda says of more: "Response payload size exceeded
# maximum allowed payload size (6291556 bytes)".
LAMBDAS_BYTES = 6_291_556


@pytest.mark.parametrize(
    ("body", "fits"),
    [
        (b"x" * 4_000_000, True),
        (b"x" * 4_694_000, True),
        (b"x" * 4_695_000, False),
        (b"x" * 20_000_000, False),
        ("x" * 6_200_000, True),
        ("x" * 6_300_000, False),
        ("\n" * 3_200_000, False),  # two characters each in JSON
    ],
    ids=lambda body: f"{type(body).__name__} {len(body)}" if isinstance(body, bytes | str) else None,
)
def test_answer_over_lambda_limit_is_413_on_lambda_alone(
    body: bytes | str, fits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = {"etag": '"x"', "cache-control": "public, max-age=31536000", "link": "<l>" * 3000}
    monkeypatch.delenv("AWS_LAMBDA_FUNCTION_NAME", raising=False)
    assert answer(EVENT, Context(), lambda _: Response(200, body, headers))["statusCode"] == 200
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "tiles")
    result = answer(EVENT, Context(), lambda _: Response(200, body, headers))
    assert result["statusCode"] == (200 if fits else 413)
    assert len(json.dumps(result)) <= LAMBDAS_BYTES
    if not fits:
        assert "JPEG" in json.loads(result["body"])["error"]
        assert result["headers"]["cache-control"] == "no-store"


def test_error_answers_are_not_cached() -> None:
    result = answer(EVENT, None, lambda _request: json_response(404, {}))
    assert result["headers"]["cache-control"] == "no-store"
