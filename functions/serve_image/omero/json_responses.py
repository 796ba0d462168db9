"""Answer with JSON as OMERO's webgateway does, for pages of other sites also as a script (``?callback=name``)."""

import json
import re
from typing import Any

from lambda_support.http import Request, Response, tagged
from vsv.errors import InvalidQueryError
from vsv.services import Services

from serve_image import caching
from serve_image.omero.parameters import text
from serve_image.same_origin import VARY

_CALLBACK = re.compile(r"[a-zA-Z_$][0-9a-zA-Z_$]{0,99}\Z", re.ASCII)


def json_answer(services: Services, request: Request, content: Any, *, varies: bool = False) -> Response:
    """Return a JSON answer that caches revalidate; ``varies``: the content depends on which site's page asks."""
    body = json.dumps(content, separators=(",", ":")).encode()
    callback, mime = text(request.query, "callback"), "application/json"
    if callback is not None:
        if not _CALLBACK.match(callback):
            raise InvalidQueryError("callback must be a name in JavaScript")
        body, mime = callback.encode() + b"(" + body + b")", "application/javascript"
    headers = caching.document_headers(services, caching.etag_of(body))
    if varies:
        headers["vary"] = VARY
    return tagged(request, body, mime, headers)
