"""Sign CloudFront's cookies with a custom policy.

One policy covers the whole site, because images are at several addresses (Deep Zoom, IIIF, webgateway) and a policy
names one resource only. The policy opens nothing else: only behaviours with a trusted key group check these cookies,
and those of labels and of the APIs require a token. Source: "Set signed cookies using a custom policy", Amazon
CloudFront developer guide.
"""

from datetime import datetime, timedelta

from botocore.signers import CloudFrontSigner
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA1
from lambda_support.function_settings import SessionSettings

LIFETIME = timedelta(hours=1)
NAMES = ("Policy", "Signature", "Key-Pair-Id")
# No Expires or Max-Age: the browser drops the cookies when it is closed, and the policy expires in any case.
_ATTRIBUTES = "Path=/; Secure; HttpOnly; SameSite=Strict"


def signed(settings: SessionSettings, key: RSAPrivateKey, expires: datetime) -> list[str]:
    """Return the three Set-Cookie values that open the site's images until ``expires``."""
    signer = CloudFrontSigner(settings.key_id, lambda policy: key.sign(policy, PKCS1v15(), SHA1()))  # noqa: S303  CloudFront's own
    policy = signer.build_policy(f"{settings.site}/*", expires)
    # The query of a signed address holds the same three values, in the same alphabet.
    query = signer.generate_presigned_url("", policy=policy).removeprefix("?")
    values = dict(part.split("=", 1) for part in query.split("&"))
    return [f"CloudFront-{name}={values[name]}; {_ATTRIBUTES}" for name in NAMES]


def cleared() -> list[str]:
    """Return the three Set-Cookie values that delete the cookies."""
    return [f"CloudFront-{name}=; Max-Age=0; {_ATTRIBUTES}" for name in NAMES]
