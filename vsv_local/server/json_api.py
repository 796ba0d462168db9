"""Serve slides and imports as plain JSON, read only.

For scripts on this machine that do without GraphQL; the page and all other clients use GraphQL.
"""

from typing import Any

from lambda_support.http import Request, Response, answer, json_response
from vsv.errors import InvalidQueryError, SlideNotFoundError
from vsv.identifiers import checked_image_id
from vsv.records.models import ImportRecord, ImportState, Status
from vsv.runtime import current
from vsv.services import Services

# Left out of answers: tags can be long and a source is a path of this machine.
_HIDDEN = {
    "Tags", "Source", "SourceModified", "RunID", "Checksum", "Confirmed", "SupersededID", "SupersededChecksum",
    "Unwritten", "UnwrittenSince",
}  # fmt: skip


def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer ``GET /slides`` and ``GET /imports`` with ``?limit&nextToken``, and ``GET /slides/{ImageID}``."""
    return answer(event, context, _list)


def _list(request: Request) -> Response:
    if request.method not in {"GET", "HEAD"}:
        return Response(405, "", {"allow": "GET, HEAD"})
    limit, token = _limit(request.query.get("limit")), request.query.get("nextToken") or None
    services = current()
    if request.path == "/slides":
        slides = services.slides.list_all(limit, token)
        return _page([r.to_item() for r in slides.items if r.status is not Status.DELETED], slides.next_token)
    if request.path == "/imports":
        return _page([run.to_item() for run in _unfinished(services, limit)], None)
    return _slide(services, checked_image_id(request.path.removeprefix("/slides/")))


def _unfinished(services: Services, limit: int) -> list[ImportRecord]:
    """Return the imports that are under way or failed; finished ones are in the list of slides."""
    states = (ImportState.FAILED, ImportState.IMPORTING, ImportState.TRANSFERRING)
    return [run for state in states for run in services.imports.by_state(state, limit).items][:limit]


def _slide(services: Services, image_id: str) -> Response:
    record = services.slides.get(image_id)
    if record is None or record.status is Status.DELETED:
        raise SlideNotFoundError("slide not found")
    return json_response(200, _shown(record.to_item()))


def _limit(text: str | None) -> int:
    if text is None:
        return 100
    if not (text.isascii() and text.isdigit() and len(text) <= 4):
        raise InvalidQueryError("limit must be a whole number from 1 to 1000")
    return int(text)


def _page(items: list[dict[str, Any]], token: str | None) -> Response:
    return json_response(200, {"items": [_shown(item) for item in items], "nextToken": token})


def _shown(item: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in item.items() if name not in _HIDDEN}
