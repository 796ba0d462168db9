"""The recorded requests, answered by today's code from data written before: byte for byte the recorded answers."""

from pathlib import Path

import pytest

from tests.recorded.asking import names, replayed, requests_of
from tests.recorded.comparing import differences, expected, recorded


@pytest.mark.parametrize("name", names())
def test_recorded_requests_on_stored_data_answer_as_recorded(name: str, tmp_path: Path) -> None:
    found = differences(requests_of(name)["requests"], recorded(name), replayed(name, tmp_path))
    assert not found, "\n".join([f"{len(found)} answers differ:", *found])


def test_changed_text_in_a_value_changes_body_and_length_alone() -> None:
    before = {"status": 404, "headers": [["content-length", "15"]], "text": '{"error": "ab"}', "sha256": "0"}
    after = expected(before, [("ab", "abc")])
    assert (after["status"], after["text"]) == (404, '{"error": "abc"}')
    assert after["headers"] == [["content-length", "16"]]


def test_changed_text_never_changes_a_key() -> None:
    before = {"status": 404, "headers": [], "text": '{"error": "error"}', "sha256": "0"}
    assert expected(before, [("error", "failure")])["text"] == '{"error": "failure"}'


def test_changed_text_never_changes_an_error_type() -> None:
    graphql = {
        "status": 200,
        "headers": [],
        "text": '{"errorType": "GONE", "message": "GONE"}',
        "sha256": "0",
    }
    assert expected(graphql, [("GONE", "x")])["text"] == '{"errorType": "GONE", "message": "x"}'
    review = {"raised": "ReviewError", "text": "GONE: it is GONE", "sha256": "0"}
    assert expected(review, [("GONE", "x")])["text"] == "GONE: it is x"


def test_answer_without_a_changed_text_is_expected_as_recorded() -> None:
    before = {"status": 404, "headers": [], "text": '{"error":  "other"}', "sha256": "0"}
    assert expected(before, [("ab", "abc")]) is before


def test_recorded_requests_are_at_least_250_and_have_answers() -> None:
    asked = sum(len(requests_of(name)["requests"]) for name in names())
    assert 250 <= asked <= sum(len(recorded(name)) for name in names())
