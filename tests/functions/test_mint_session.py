"""The session's cookies, checked as CloudFront checks them: policy, expiry, signature."""

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from http.cookies import SimpleCookie
from typing import Any

import boto3
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from mint_session import handler, signing_key
from mint_session.handler import lambda_handler
from moto import mock_aws

from vsv_local.server.api_gateway_events import http_event

SITE, KEY_ID = "https://slides.example.org", "K2JCJMDEHXQW5F"
KEYS = [rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2)]
ATTRIBUTES = {"path": "/", "secure": True, "httponly": True, "samesite": "Strict"}


def pem(key: Any) -> str:
    encoding, kind = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(encoding, kind, serialization.NoEncryption()).decode()


def secret_of(key: Any) -> str:
    return json.dumps({"privateKey": pem(key)})


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Yield a client of a Secrets Manager whose secret ``signing`` holds the signing key."""
    for name, value in {"AWS_ACCESS_KEY_ID": "fake", "AWS_SECRET_ACCESS_KEY": "fake"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    with mock_aws():
        client = boto3.client("secretsmanager")
        arn = client.create_secret(Name="signing", SecretString=secret_of(KEYS[0]))["ARN"]
        settings = {"VSV_SITE": SITE, "VSV_SIGNING_SECRET": arn, "VSV_KEY_ID": KEY_ID}
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        handler._signing_key.cache_clear()
        yield client


class Context:
    aws_request_id = "c6af9ac6"


def ask(method: str = "POST", groups: str | None = "[Pathologists]") -> dict[str, Any]:
    event = http_event(method, "/session", "", ())
    if groups is not None:
        event["requestContext"]["authorizer"] = {
            "jwt": {"claims": {"cognito:groups": groups}, "scopes": None}
        }
    return lambda_handler(event, Context())


def cookies_of(answer: dict[str, Any]) -> SimpleCookie:
    jar = SimpleCookie()
    for cookie in answer["cookies"]:
        jar.load(cookie)
    return jar


def decoded(value: str) -> bytes:
    """Undo CloudFront's base64, in which + = / are - _ ~."""
    assert set(value).isdisjoint("+=/")
    return base64.b64decode(value.translate(str.maketrans("-_~", "+=/")), validate=True)


def verify(jar: SimpleCookie, key: rsa.RSAPrivateKey) -> bytes:
    """Return the policy; raise InvalidSignature unless the key signed it."""
    policy = decoded(jar["CloudFront-Policy"].value)
    signature = decoded(jar["CloudFront-Signature"].value)
    key.public_key().verify(signature, policy, padding.PKCS1v15(), hashes.SHA1())
    return policy


@pytest.mark.parametrize("groups", ["[Technicians]", "[Pathologists]", "[Admins]", "[x Pathologists y]"])
def test_policy_is_signed_and_opens_the_site_for_an_hour(groups: str) -> None:
    before = int(datetime.now(UTC).timestamp())
    answer = ask(groups=groups)
    after = int(datetime.now(UTC).timestamp())
    assert answer["statusCode"] == 200
    policy = verify(cookies_of(answer), KEYS[0])
    assert b" " not in policy
    expires = json.loads(policy)["Statement"][0]["Condition"]["DateLessThan"]["AWS:EpochTime"]
    assert before + 3600 <= expires <= after + 3600
    # "Policy statement for a signed cookie that uses a custom policy": one statement, one resource, one condition.
    assert json.loads(policy) == {
        "Statement": [{"Resource": f"{SITE}/*", "Condition": {"DateLessThan": {"AWS:EpochTime": expires}}}]
    }
    told = json.loads(answer["body"])
    assert datetime.fromisoformat(told["expires"]).timestamp() == expires
    assert told["seconds"] == 3600
    assert answer["headers"]["cache-control"] == "no-store"


def test_session_sets_three_http_only_same_site_cookies() -> None:
    answer = ask()
    jar = cookies_of(answer)
    assert set(jar) == {"CloudFront-Policy", "CloudFront-Signature", "CloudFront-Key-Pair-Id"}
    assert len(answer["cookies"]) == 3
    assert jar["CloudFront-Key-Pair-Id"].value == KEY_ID
    for morsel in jar.values():
        assert {name: value for name, value in morsel.items() if value} == ATTRIBUTES


@pytest.mark.parametrize("groups", [None, "", "[]", "[Scanners]", "Technicians", "[technicians]"])
def test_user_without_known_group_is_forbidden_without_cookies(groups: str | None) -> None:
    answer = ask(groups=groups)
    assert answer["statusCode"] == 403
    assert "cookies" not in answer


def test_delete_expires_the_same_cookies() -> None:
    given, taken = cookies_of(ask()), cookies_of(ask("DELETE", groups="[]"))
    assert set(given) == set(taken)
    for name, morsel in taken.items():
        assert (morsel.value, morsel["max-age"]) == ("", "0")
        assert {key: value for key, value in morsel.items() if value} == ATTRIBUTES | {"max-age": "0"}, name


@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD"])
def test_other_methods_are_not_allowed(method: str) -> None:
    answer = ask(method)
    assert (answer["statusCode"], answer["headers"]["allow"]) == (405, "POST, DELETE")


class TestSigningKey:
    def test_key_is_kept_for_5_minutes_and_then_read_again(
        self, secrets: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        now = [1000.0]
        monkeypatch.setattr(signing_key.time, "monotonic", lambda: now[0])
        verify(cookies_of(ask()), KEYS[0])
        secrets.put_secret_value(SecretId="signing", SecretString=secret_of(KEYS[1]))
        now[0] += 299
        verify(cookies_of(ask()), KEYS[0])
        now[0] += 1
        jar = cookies_of(ask())
        verify(jar, KEYS[1])
        with pytest.raises(InvalidSignature):
            verify(jar, KEYS[0])

    def test_missing_secret_answers_503_without_details(self, secrets: Any) -> None:
        secrets.delete_secret(SecretId="signing", ForceDeleteWithoutRecovery=True)
        answer = ask()
        assert answer["statusCode"] == 503
        assert "arn" not in answer["body"]
        assert "signing" not in answer["body"]

    @pytest.mark.parametrize(
        "secret",
        [
            "not json and very secret",
            "{}",
            "[]",
            '{"privateKey": 1}',
            '{"privateKey": "very secret"}',
            secret_of(ec.generate_private_key(ec.SECP256R1())),
        ],
        ids=range(6),
    )
    def test_malformed_secret_answers_500_and_is_logged_without_content(
        self, secrets: Any, caplog: pytest.LogCaptureFixture, secret: str
    ) -> None:
        secrets.put_secret_value(SecretId="signing", SecretString=secret)
        answer = ask()
        assert answer["statusCode"] == 500
        assert json.loads(answer["body"]) == {"error": "internal error, request c6af9ac6"}
        assert "VSV_SIGNING_SECRET" in caplog.text
        assert secret not in caplog.text
        assert "very secret" not in caplog.text
