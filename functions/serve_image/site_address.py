"""Find the address at which clients reach this server, for documents that hold its addresses."""

import re

from lambda_support.http import Request
from vsv.errors import InvalidTileAddressError
from vsv.services import Services

_HOST = re.compile(r"[A-Za-z0-9.:\[\]-]{1,255}", re.ASCII)


def site_address(services: Services, request: Request) -> str:
    """Return the origin at which clients reach this server: from the settings, else from this request.

    Raises InvalidTileAddressError.
    """
    if services.settings.site:
        return services.settings.site
    # The site's edge sets this header; on AWS only the edge reaches a function.
    if _HOST.fullmatch(edge_host := request.headers.get("x-vsv-host", "")):
        return f"https://{edge_host}"
    host = request.headers.get("host", "")
    if not _HOST.fullmatch(host):
        raise InvalidTileAddressError("the request names no host")
    scheme = "https" if request.headers.get("x-forwarded-proto") == "https" else "http"
    return f"{scheme}://{host}"
