"""Check whether a request comes from this site's own page: other sites may show slides, but not whose they are."""

from lambda_support.http import Request
from vsv.services import Services

VARY = "Origin, Sec-Fetch-Site"


def is_same_origin(services: Services, request: Request) -> bool:
    """Return whether the request does not come from another site's page.

    Another site's page, open in the same browser, reaches a server on loopback too. ``allow_origin`` may name one
    site that is allowed. Source: Fetch standard, Origin header; Fetch Metadata Request Headers, Sec-Fetch-Site.
    """
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    if origin is not None and origin == services.settings.allow_origin:
        return True
    if site is not None:
        return site in {"same-origin", "none"}
    return origin is None and "callback" not in request.query
