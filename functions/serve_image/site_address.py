"""Where this server is reached: for documents that hold addresses of it."""

import re

from lambda_support.http import Request
from vsv.errors import InvalidTileAddressError
from vsv.services import Services

_HOST = re.compile(r"[A-Za-z0-9.:\[\]-]{1,255}", re.ASCII)


def site_address(services: Services, request: Request) -> str:
    """Give the origin at which this server is reached: as set, else as this request was addressed.

    Raises InvalidTileAddressError.
    """
    if services.settings.site:
        return services.settings.site
    # The site's edge says so; nobody else reaches a function on AWS.
    if _HOST.fullmatch(edge := request.headers.get("x-vsv-host", "")):
        return f"https://{edge}"
    host = request.headers.get("host", "")
    if not _HOST.fullmatch(host):
        raise InvalidTileAddressError("the request names no host")
    scheme = "https" if request.headers.get("x-forwarded-proto") == "https" else "http"
    return f"{scheme}://{host}"
