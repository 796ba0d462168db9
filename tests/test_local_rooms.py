"""The rooms of vsv_local: each imports only from the rooms below it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import vsv_local

ROOT = Path(vsv_local.__file__).parent
# From top to bottom; rooms in one row do not import each other.
ROWS = (
    {"cli"},
    {"server"},
    {"graphql", "export", "sample"},
    {"bulk", "backup"},
    {"composition"},
    {"ingest", "stores"},
    {"settings", "web_assets"},
    {"assets"},
)
ROW_OF = {room: row for row, rooms in enumerate(ROWS) for room in rooms}


def modules() -> Iterator[tuple[str, Path]]:
    """Yield each module with its room: the folder it is in, or its own name."""
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if parts[0] not in {"__init__", "packaged"}:
            yield parts[0], path


def imported_rooms(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from (name.split(".")[1] for name in names if name.startswith("vsv_local."))


def test_every_room_has_a_place() -> None:
    assert {room for room, _ in modules()} == ROW_OF.keys()


def test_room_imports_only_from_rooms_below_it() -> None:
    upward = {
        (path.relative_to(ROOT).as_posix(), other)
        for room, path in modules()
        for other in imported_rooms(path)
        if other != room and ROW_OF[other] <= ROW_OF[room]
    }
    assert not upward
