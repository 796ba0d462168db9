"""POST /session: set cookies that open images for a person who has logged in. DELETE /session: delete them."""

from datetime import UTC, datetime
from functools import cache
from typing import Any

from lambda_support.function_settings import session_from_environment
from lambda_support.http import Request, Response, answer, json_response
from lambda_support.observability import observed
from vsv.errors import ForbiddenError
from vsv.roles import READERS

from mint_session.cookies import LIFETIME, cleared, signed
from mint_session.signing_key import SigningKey


@observed
def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer with the session's cookies and its end; 403 for a person in none of the groups."""
    return answer(event, context, _session)


def _session(request: Request) -> Response:
    if request.method == "DELETE":
        return Response(204, "", {"cache-control": "no-store"}, cleared())
    if request.method != "POST":
        return Response(405, "", {"allow": "POST, DELETE"})
    if not request.groups & READERS:
        raise ForbiddenError(
            "Viewing slides needs one of the groups Technicians, Pathologists, Admins: ask your administrator."
        )
    settings, expires = session_from_environment(), datetime.now(UTC).replace(microsecond=0) + LIFETIME
    cookies = signed(settings, _signing_key(settings.secret).current(), expires)
    # The page counts the seconds down: its clock need not agree with the server's.
    content = {"expires": expires.isoformat(), "seconds": int(LIFETIME.total_seconds())}
    return json_response(200, content)._replace(cookies=cookies)


@cache
def _signing_key(secret: str) -> SigningKey:
    return SigningKey(secret)
