"""Find the page's files, which this machine serves: no content delivery network, no inline script."""

import json
import mimetypes
from pathlib import Path

from vsv_local.assets import asset

WEB = asset("web")
# Where and how people log in: only an installation on AWS has this file (vsv_local/export/page_publisher.py).
CONFIG = "/config.json"
_BUILDS = {
    "openseadragon": "build/openseadragon/openseadragon.min.js",
    "oidc-client-ts": "dist/browser/oidc-client-ts.min.js",
}
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


def _libraries() -> dict[str, Path]:
    """Return the libraries' files by their addresses, which change with their versions."""
    versions = json.loads((WEB / "package.json").read_text(encoding="utf-8"))["dependencies"]
    return {
        f"/vendor/{name}-{versions[name]}.min.js": WEB / "node_modules" / name / build
        for name, build in _BUILDS.items()
    }


LIBRARIES = _libraries()


def libraries_installed() -> bool:
    """Return whether OpenSeadragon and the library for logging in are installed."""
    return all(path.is_file() for path in LIBRARIES.values())


def find(address: str) -> Path | None:
    """Return the file at an address of the page, or None; only the page's files and its libraries are ever found."""
    if address == "/":
        return WEB / "index.html"
    parts = address[1:].split("/")
    if len(parts) > 2 or not all(_is_plain(part) for part in parts):
        return None
    path = LIBRARIES.get(address) or WEB.joinpath(*parts)
    return path if path.suffix in _SERVED and path.is_file() else None


def addresses() -> list[str]:
    """Return the address of every file of the page, libraries included."""
    page_files = [f"/{path.relative_to(WEB).as_posix()}" for path in (*WEB.glob("*"), *WEB.glob("*/*"))]
    return [address for address in (*sorted(page_files), *LIBRARIES) if find(address)]


def _is_plain(part: str) -> bool:
    return (
        0 < len(part) <= 80 and part.isascii() and not part.startswith(".") and not set(part) & set("\\:%\0")
    )


def content_type(path: Path) -> str:
    """Return the media type that a browser needs."""
    if path.suffix == ".js":
        return "text/javascript; charset=utf-8"
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind
