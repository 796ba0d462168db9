"""Whose page asks: any site may show slides where the deployment lets it, but not read whose they are."""

from lambda_support.http import Request
from vsv.services import Services

VARY = "Origin, Sec-Fetch-Site"


def is_own_page(services: Services, request: Request) -> bool:
    """Tell whether who asks is no other site's page.

    Such a page, open in the same browser, reaches a server on loopback too. ``allow_origin`` may name one that may.
    Source: Fetch standard, Origin header; Fetch Metadata Request Headers, Sec-Fetch-Site.
    """
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    if origin is not None and origin == services.settings.allow_origin:
        return True
    if site is not None:
        return site in {"same-origin", "none"}
    return origin is None and "callback" not in request.query
