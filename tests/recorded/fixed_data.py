"""The data folder and the DynamoDB items that were written by the code before the change, unpacked for one replay."""

import json
import re
import tarfile
from functools import cache
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
FOLDER, ITEMS = HERE / "data_folder.tar.xz", HERE / "dynamodb_items.json"
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
_STORED_MOMENT = re.compile(MOMENT.pattern.encode())


def unpack(folder: Path) -> Path:
    """Unpack the data folder and the scanner's folder beside it; modification times are those that were packed."""
    with tarfile.open(FOLDER) as packed:
        # Python 3.11 has filters since 3.11.4 only; from 3.12 on it wants one.
        packed.extraction_filter = getattr(tarfile, "data_filter", None)
        packed.extractall(folder)
    return folder / "data"


def items() -> dict[str, list[dict[str, Any]]]:
    """Return the stored items of each table, in DynamoDB's own notation."""
    found: dict[str, list[dict[str, Any]]] = json.loads(ITEMS.read_text(encoding="utf-8"))
    return found


@cache
def stored_moments() -> frozenset[str]:
    """Return every moment that stands in the data folder's records or the items."""
    with tarfile.open(FOLDER) as packed:
        member = packed.extractfile("data/records.sqlite")
        assert member is not None
        stored = {moment.decode() for moment in _STORED_MOMENT.findall(member.read())}
    return frozenset(stored | set(MOMENT.findall(ITEMS.read_text(encoding="utf-8"))))
