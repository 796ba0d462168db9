"""GET /DeepZoom/{ImageID}_files/{label|macro}.jpeg: both show the patient's label, so access is restricted.

No cache keeps these images, and no page of another origin may read them.
"""

import hmac
from typing import Any

from lambda_support.http import Request, Response, answer, content_etag, tagged
from lambda_support.observability import count, observed
from vsv.errors import ForbiddenError, InvalidTileAddressError
from vsv.identifiers import checked_image_id
from vsv.metrics import LABEL_REFUSED
from vsv.roles import WRITERS
from vsv.runtime import current

PREFIX = "/DeepZoom/"
EDGE_HEADER = "x-vsv-edge"
_PRIVATE = {f"{name}.{suffix}": name for name in ("label", "macro") for suffix in ("jpeg", "jpg")}


@observed
def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer GET and HEAD for a label or macro."""
    return answer(event, context, _serve)


def _serve(request: Request) -> Response:
    if request.method not in {"GET", "HEAD"}:
        return Response(405, "", {"allow": "GET, HEAD"})
    try:
        _check_edge(request, current().settings.edge_secret)
        _check_groups(request)
    except ForbiddenError:
        count(LABEL_REFUSED)
        raise
    image_id, _, address = request.path.removeprefix(PREFIX).partition("_files/")
    if address not in _PRIVATE:
        raise InvalidTileAddressError("a label's address is ID_files/label.jpeg or ID_files/macro.jpeg")
    body = current().files.read_associated(checked_image_id(image_id), _PRIVATE[address])
    headers = {"cache-control": "no-store", "x-content-type-options": "nosniff", "etag": content_etag(body)}
    return tagged(request, body, "image/jpeg", headers)


def _check_groups(request: Request) -> None:
    if not request.groups & WRITERS:
        raise ForbiddenError("Labels show patient data: this needs one of the groups Technicians, Admins.")


def _check_edge(request: Request, secret: str | None) -> None:
    """Raise ForbiddenError for a request that did not come through the edge, where there is an edge."""
    received = request.headers.get(EDGE_HEADER, "")
    if secret is not None and not hmac.compare_digest(received.encode(), secret.encode()):
        raise ForbiddenError("Labels are asked for at the site's own address.")
