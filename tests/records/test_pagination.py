"""Tokens and limits, without a store."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vsv.errors import InvalidQueryError, InvalidTokenError
from vsv.records.pagination import (
    MAX_KEY_BYTES,
    MAX_TOKEN_CHARS,
    check_limit,
    decode_token,
    encode_token,
    is_key,
)

QUERY = ("slides by status", "NEW")
keys = st.text(min_size=1, max_size=MAX_KEY_BYTES).filter(is_key)
anything = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["k", "q"]) | st.text(), inner),
)


def token_of(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


@given(st.lists(keys, min_size=1, max_size=2))
def test_decode_token_returns_the_encoded_key(key: list[str]) -> None:
    token = encode_token(QUERY, key)
    assert len(token) <= MAX_TOKEN_CHARS
    assert decode_token(token, QUERY, len(key)) == tuple(key)


def test_encode_token_fits_the_longest_keys() -> None:
    for key in ("x" * MAX_KEY_BYTES, "é" * (MAX_KEY_BYTES // 2), "\0" * (MAX_KEY_BYTES // 6)):
        assert is_key(key)
        assert decode_token(encode_token(QUERY, [key, key]), QUERY, 2) == (key, key)
        assert not is_key(key + "xxxxx\0")


def test_decode_token_returns_none_without_a_token() -> None:
    assert decode_token(None, QUERY, 1) is None


def test_decode_token_refuses_token_of_another_query_or_shape() -> None:
    token = encode_token(QUERY, ["a"])
    for query, parts in [
        (("slides by status", "BAD"), 1),
        (("slides by statusN", "EW"), 1),
        (QUERY, 2),
        (QUERY, 0),
    ]:
        with pytest.raises(InvalidTokenError):
            decode_token(token, query, parts)


@given(st.text() | st.binary() | anything.filter(lambda value: value is not None))
def test_decode_token_refuses_arbitrary_values(token: Any) -> None:
    with pytest.raises(InvalidTokenError):
        decode_token(token, QUERY, 1)


@given(anything, anything)
def test_decode_token_accepts_only_genuine_digest_and_valid_key(digest: Any, key: Any) -> None:
    genuine = json.loads(base64.urlsafe_b64decode(encode_token(QUERY, ["a"]) + "=="))["q"]
    for content in (key, {"q": digest, "k": key}, {"q": genuine, "k": key}, {"q": genuine, "k": [key]}):
        token = token_of(json.dumps(content, separators=(",", ":")).encode())
        try:
            accepted = decode_token(token, QUERY, 1)
        except InvalidTokenError:
            continue
        assert accepted is not None
        assert is_key(accepted[0])
        assert content["q"] == genuine


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[" * 700,
        b'{"k":' * 140,
        b"9" * 700,
        b"\xff\xfe",
        b'{"q":"","k":["\\ud83d"]}',
        b'{"q":1e999,"k":[NaN]}',
    ],
)
def test_decode_token_refuses_hostile_content(content: bytes) -> None:
    with pytest.raises(InvalidTokenError):
        decode_token(token_of(content), QUERY, 1)


def test_decode_token_refuses_other_spellings_of_a_token() -> None:
    token = encode_token(QUERY, ["a"])
    content = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    others = [
        token_of(content.replace(b":", b": ")),
        token_of(content.replace(b"a", b"\\u0061")),
        token + "=",
    ]
    for other in [*others, token.encode(), token + "\n", " " + token]:
        with pytest.raises(InvalidTokenError):
            decode_token(other, QUERY, 1)


@pytest.mark.parametrize("value", ["", "\ud83d", "x" * (MAX_KEY_BYTES + 1), None, 5, b"a", ["a"]])
def test_is_key_rejects_empty_oversized_and_non_text_values(value: Any) -> None:
    assert not is_key(value)


@pytest.mark.parametrize("limit", [1, 20, 1000])
def test_check_limit_returns_limit_within_bounds(limit: int) -> None:
    assert check_limit(limit) == limit


@given(
    st.integers(max_value=0) | st.integers(min_value=1001) | anything.filter(lambda v: not isinstance(v, int))
)
def test_check_limit_refuses_values_out_of_bounds(limit: Any) -> None:
    with pytest.raises(InvalidQueryError):
        check_limit(limit)
