"""Read the private key that signs CloudFront's cookies from Secrets Manager: ``{"privateKey": PEM}``."""

import json
import time

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from vsv.errors import SettingsError, UnavailableError

KEPT_S = 300.0  # a rotated key is used after this time at the latest
_CONFIG = Config(connect_timeout=2, read_timeout=3, retries={"mode": "standard", "total_max_attempts": 2})


class SigningKey:
    """The key in one secret, read again after ``KEPT_S`` seconds."""

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self._client = boto3.client("secretsmanager", config=_CONFIG)
        self._key: RSAPrivateKey | None = None
        self._until = 0.0

    def current(self) -> RSAPrivateKey:
        """Return the key; raises UnavailableError, or SettingsError where the secret holds no RSA key."""
        if self._key is None or time.monotonic() >= self._until:
            self._key = _parse_key(self._read())
            self._until = time.monotonic() + KEPT_S
        return self._key

    def _read(self) -> str:
        try:
            return str(self._client.get_secret_value(SecretId=self._secret).get("SecretString", ""))
        except (BotoCoreError, ClientError):
            raise UnavailableError("Images cannot be opened now: try again in a minute.") from None


def _parse_key(text: str) -> RSAPrivateKey:
    """Return the key in a secret's text; an error never says what is wrong, because that could reveal the secret."""
    try:
        key = load_pem_private_key(json.loads(text)["privateKey"].encode(), password=None)
    except (ValueError, KeyError, TypeError, AttributeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, RSAPrivateKey):
        raise SettingsError('the secret VSV_SIGNING_SECRET must be {"privateKey": an RSA key in PEM}')
    return key
