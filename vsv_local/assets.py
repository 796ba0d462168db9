"""Locate the files that travel with the package: the page and the GraphQL schema.

In a checkout they lie at its top; a wheel holds them in the folder ``packaged`` beside this module (hatch_build.py).
"""

from pathlib import Path

_PACKAGED = Path(__file__).resolve().with_name("packaged")
_CHECKOUT = Path(__file__).resolve().parents[1]


def asset(name: str) -> Path:
    """Return the path of a packaged file or folder, such as ``web`` or ``schema.graphql``."""
    return (_PACKAGED if _PACKAGED.is_dir() else _CHECKOUT) / name
