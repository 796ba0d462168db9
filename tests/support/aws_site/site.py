"""The site as a browser sees it on AWS: one origin for all handlers of the stack."""

import asyncio
import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from mint_session.handler import lambda_handler as mint_session
from serve_image.handler import lambda_handler as serve_image
from serve_image.protocols import PROTOCOLS
from serve_label.handler import lambda_handler as serve_label

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
from tests.support.aws_site.edge import authorizer, opens
from tests.support.aws_site.login import CLIENT, ISSUER, Login
from tests.support.aws_site.realtime import Realtime
from tests.support.servers.graphql_server import run_apart
from vsv_local import web_assets
from vsv_local.graphql import endpoint
from vsv_local.graphql.resolvers import User
from vsv_local.server.api_gateway_events import http_answer, http_event

EDGE_SECRET = "a-secret-of-the-edge"
GRAPHQL_HOST = "abcdefghij.appsync-api.eu-central-1.amazonaws.com"
LABELS = re.compile(r"/DeepZoom/[^/]*_files/(label|macro)\.[^/]*")
# The policy that CloudFront sends with the page, from stacks/web.yaml.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self' {login};"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@dataclass
class AwsSite:
    """Routes as CloudFront and the APIs behind it do. ``refused`` are tokens that have been revoked."""

    origin: str
    login: Login
    keys: dict[str, rsa.RSAPublicKey]
    refused: set[str] = field(default_factory=set)
    asked: list[tuple[str, str, int]] = field(default_factory=list)
    threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(8))

    def __post_init__(self) -> None:
        self.login.site = self.origin
        self.realtime = Realtime(GRAPHQL_HOST, self.user_of, self.threads)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await lifespan(receive, send)
        elif scope["type"] == "websocket":
            assert scope["path"] == "/graphql/realtime"
            await self.realtime.accept(scope, receive, send)
        else:
            made = await self._answer(scope, await body_of(receive))
            self.asked.append((scope["method"], scope["path"], made[0]))
            await respond(send, made)

    def claims(self, token: str) -> dict[str, Any] | None:
        return None if token in self.refused else self.login.claims(token)

    def user_of(self, token: str) -> User | None:
        claims = self.claims(token)
        return User(claims["username"], frozenset(claims["cognito:groups"])) if claims else None

    async def _answer(self, scope: Scope, body: bytes) -> Answer:
        path = scope["path"]
        if path == "/graphql":
            return await self._graphql(scope, body)
        if path == "/session":
            return await self._authorised(mint_session, scope)
        if LABELS.fullmatch(path):
            return await self._authorised(serve_label, scope)
        if path.startswith(tuple(PROTOCOLS)):
            if not opens(header(scope, "cookie"), self.origin + path, self.keys):
                return answer(403, "<Error><Code>MissingKey</Code></Error>", {"content-type": "text/xml"})
            return await self._handled(serve_image, scope, None)
        return self._file(path)

    async def _graphql(self, scope: Scope, body: bytes) -> Answer:
        user = self.user_of(header(scope, "authorization"))
        if user is None:
            return json_answer(
                401, {"errors": [{"errorType": "UnauthorizedException", "message": "Token has expired."}]}
            )
        return json_answer(*await endpoint.answer(scope["headers"], body, self.threads, user))

    async def _authorised(self, handler: Callable[..., Any], scope: Scope) -> Answer:
        claims = self.claims(header(scope, "authorization"))
        return (
            await self._handled(handler, scope, claims)
            if claims
            else json_answer(401, {"message": "Unauthorized"})
        )

    async def _handled(
        self, handler: Callable[..., Any], scope: Scope, claims: dict[str, Any] | None
    ) -> Answer:
        headers = [*scope["headers"], (b"x-vsv-edge", EDGE_SECRET.encode())]
        event = http_event(scope["method"], scope["path"], scope["query_string"].decode(), headers)
        if claims is not None:
            event["requestContext"]["authorizer"] = authorizer(claims)
        return http_answer(
            await asyncio.get_running_loop().run_in_executor(self.threads, handler, event, None)
        )

    def _file(self, path: str) -> Answer:
        if path == "/config.json":
            return json_answer(200, self._config(), {"cache-control": "no-cache"})
        found = web_assets.find(path)
        if found is None:
            return answer(403, "<Error><Code>AccessDenied</Code></Error>", {"content-type": "text/xml"})
        policy = {"content-security-policy": POLICY.format(login=self.login.origin)}
        kind = {"content-type": web_assets.content_type(found)}
        return answer(200, found.read_bytes(), web_assets.SECURITY_HEADERS | policy | kind)

    def _config(self) -> dict[str, str]:
        settings = {"authority": ISSUER, "clientId": CLIENT, "loginDomain": self.login.origin}
        return {**settings, "graphqlHost": GRAPHQL_HOST}

    def tiles(self) -> list[int]:
        """Return the statuses of all requested tiles."""
        return [status for _, path, status in self.asked if path.endswith("_0.jpeg")]

    def ask(self, user: str, query: str, **variables: Any) -> Any:
        """Send a GraphQL request of another user, not through the browser."""
        token = self.login.tokens(user)["access_token"]
        body = json.dumps({"query": query, "variables": variables}).encode()
        headers = [(b"authorization", token.encode()), (b"content-type", b"application/json")]
        status, _, content = run_apart(self._graphql({"headers": headers}, body))
        told = json.loads(content)
        assert (status, told.get("errors")) == (200, None), told
        return told["data"]
