"""The page's files, served from this machine: no content delivery network, no inline script."""

import mimetypes
from pathlib import Path

WEB = Path(__file__).resolve().parent.parent / "web"
OPENSEADRAGON = WEB / "node_modules/openseadragon/build/openseadragon"
VENDOR = "/vendor/openseadragon/"
SECURITY_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-cache",
}
_SERVED = {".html", ".css", ".js", ".svg", ".png"}


def viewer_installed() -> bool:
    """Tell whether OpenSeadragon is here."""
    return (OPENSEADRAGON / "openseadragon.min.js").is_file()


def find(path: str) -> Path | None:
    """Give the file behind an address of the page, or None; nothing outside the two folders is ever found."""
    if path == "/":
        return WEB / "index.html"
    root, rest = (OPENSEADRAGON, path[len(VENDOR) :]) if path.startswith(VENDOR) else (WEB, path[1:])
    parts = rest.split("/")
    if len(parts) > 2 or not all(_is_plain(part) for part in parts):
        return None
    found = root.joinpath(*parts)
    return found if found.suffix in _SERVED and found.is_file() else None


def _is_plain(part: str) -> bool:
    return (
        0 < len(part) <= 80 and part.isascii() and not part.startswith(".") and not set(part) & set("\\:%\0")
    )


def content_type(path: Path) -> str:
    """Give the media type that a browser needs."""
    if path.suffix == ".js":
        return "text/javascript; charset=utf-8"
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind
