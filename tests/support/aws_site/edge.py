"""A fake of CloudFront's behaviours and the HTTP API's authoriser: which requests pass, and what is added."""

import base64
import json
import re
import time
from fnmatch import fnmatchcase
from http.cookies import SimpleCookie
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa


def opens(cookies: str, address: str, keys: dict[str, rsa.RSAPublicKey]) -> bool:
    """Return whether signed cookies open an address: known key, valid signature, not expired, this resource."""
    jar = {name: morsel.value for name, morsel in SimpleCookie(cookies).items()}
    try:
        policy = _decoded(jar["CloudFront-Policy"])
        key, signature = keys[jar["CloudFront-Key-Pair-Id"]], _decoded(jar["CloudFront-Signature"])
        key.verify(signature, policy, padding.PKCS1v15(), hashes.SHA1())
        (statement,) = json.loads(policy)["Statement"]
    except (KeyError, ValueError, InvalidSignature):
        return False
    in_time = time.time() < statement["Condition"]["DateLessThan"]["AWS:EpochTime"]
    return in_time and fnmatchcase(address, re.sub(r"\[", "[[]", statement["Resource"]))


def _decoded(value: str) -> bytes:
    return base64.b64decode(value.translate(str.maketrans("-_~", "+=/")), validate=True)


def authorizer(claims: dict[str, Any]) -> dict[str, Any]:
    """Return claims as the HTTP API's JWT authoriser passes them on: all as text, lists in brackets."""
    texts = {
        name: f"[{' '.join(value)}]" if isinstance(value, list) else str(value)
        for name, value in claims.items()
    }
    return {"jwt": {"claims": texts, "scopes": None}}
