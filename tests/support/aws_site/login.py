"""A fake of a Cognito user pool's login: authorization code with PKCE, refresh tokens, logout.

The cookie ``user`` names the user of a browser, as Cognito's own session cookie does.
Source: "Authorize endpoint", "Token endpoint", "Logout endpoint", "Revoke endpoint", Amazon Cognito developer guide.
"""

import base64
import hashlib
import secrets
import time
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, urlencode

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.support.aws_site.asgi import (
    Answer,
    Receive,
    Scope,
    Send,
    answer,
    body_of,
    header,
    json_answer,
    lifespan,
    respond,
)

CLIENT = "4k1exampleclient"
GROUPS = {"technician": ["Technicians"], "pathologist": ["Pathologists"], "visitor": []}
SIGN_IN = "<!doctype html><title>Sign in</title><link rel=icon href=data:,><h1>Sign in</h1>"
ISSUER = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_EXAMPLE"


@dataclass
class Login:
    """The pool: its key, its open codes and refresh tokens; ``lifetime`` is that of new access tokens, in seconds."""

    origin: str
    site: str = ""
    lifetime: int = 3600
    refreshed: int = 0
    key: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    refresh_tokens: dict[str, tuple[str, int]] = field(default_factory=dict)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
            return
        routes = {
            ("GET", "/oauth2/authorize"): self._authorize,
            ("POST", "/oauth2/token"): self._token,
            ("POST", "/oauth2/revoke"): self._revoke,
            ("GET", "/logout"): self._logout,
        }
        route = routes.get((scope["method"], scope["path"]))
        sent = (await body_of(receive)).decode() or scope["query_string"].decode()
        await respond(send, route(scope, dict(parse_qsl(sent))) if route else answer(404))

    def tokens(self, user: str, since: int | None = None) -> dict[str, Any]:
        """Return an access and an ID token, as the token endpoint does."""
        now = int(time.time())
        common = {
            "sub": f"sub-of-{user}", "iss": ISSUER, "cognito:groups": GROUPS[user], "auth_time": since or now,
            "iat": now, "exp": now + self.lifetime, "jti": secrets.token_hex(8),
        }  # fmt: skip
        access = {**common, "client_id": CLIENT, "username": user, "token_use": "access", "scope": "openid"}
        identity = {**common, "aud": CLIENT, "cognito:username": user, "token_use": "id"}
        signed = [jwt.encode(claims, self.key, "RS256", {"kid": "1"}) for claims in (access, identity)]
        return {
            "access_token": signed[0], "id_token": signed[1], "expires_in": self.lifetime, "token_type": "Bearer"
        }  # fmt: skip

    def claims(self, token: str) -> dict[str, Any] | None:
        """Return the claims of an access token, or None if an authoriser would refuse it."""
        try:
            found: dict[str, Any] = jwt.decode(
                token, self.key.public_key(), ["RS256"], {"require": ["exp", "sub"]}, issuer=ISSUER
            )
        except jwt.InvalidTokenError:
            return None
        return found if found.get("client_id") == CLIENT and found["token_use"] == "access" else None

    def _authorize(self, scope: Scope, asked: dict[str, str]) -> Answer:
        wanted = {
            "response_type": "code", "client_id": CLIENT, "redirect_uri": f"{self.site}/", "scope": "openid",
            "code_challenge_method": "S256",
        }  # fmt: skip
        if any(asked.get(name) != value for name, value in wanted.items()):
            return answer(400, "redirect_mismatch or the like")
        cookie = SimpleCookie(header(scope, "cookie")).get("user")
        if cookie is None:
            return answer(200, SIGN_IN, {"content-type": "text/html"})
        code = secrets.token_urlsafe(16)
        self.codes[code] = {"user": cookie.value, "challenge": asked["code_challenge"]}
        return self._to(f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}")

    def _token(self, _scope: Scope, asked: dict[str, str]) -> Answer:
        cors = {"access-control-allow-origin": self.site}
        if asked.get("client_id") != CLIENT:
            return json_answer(400, {"error": "invalid_client"}, cors)
        if asked.get("grant_type") == "refresh_token":
            user, since = self.refresh_tokens.get(asked.get("refresh_token", ""), ("", 0))
            if not user:
                return json_answer(400, {"error": "invalid_grant"}, cors)
            self.refreshed += 1
            return json_answer(200, self.tokens(user, since), cors)
        code = self.codes.pop(asked.get("code", ""), {})
        digest = hashlib.sha256(asked.get("code_verifier", "").encode()).digest()
        if base64.urlsafe_b64encode(digest).decode().rstrip("=") != code.get("challenge"):
            return json_answer(400, {"error": "invalid_grant"}, cors)
        token = secrets.token_urlsafe(32)
        self.refresh_tokens[token] = code["user"], int(time.time())
        return json_answer(200, {**self.tokens(code["user"]), "refresh_token": token}, cors)

    def _revoke(self, _scope: Scope, asked: dict[str, str]) -> Answer:
        self.refresh_tokens.pop(asked.get("token", ""), None)
        return answer(200, b"", {"access-control-allow-origin": self.site})

    def _logout(self, _scope: Scope, asked: dict[str, str]) -> Answer:
        if asked != {"client_id": CLIENT, "logout_uri": f"{self.site}/"}:
            return answer(400, "the logout address is not one of the client's")
        status, headers, body = self._to(asked["logout_uri"])
        return status, [*headers, (b"set-cookie", b"user=; Max-Age=0; Path=/")], body

    def _to(self, address: str) -> Answer:
        return answer(302, b"", {"location": address})
