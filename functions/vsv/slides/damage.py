"""Tiles of a slide that cannot be decoded, or only in part; and how often its levels were rendered again.

``tiles.json`` beside a slide's pyramid lists such tiles by Deep Zoom level, as runs of row, first column and the
column behind the last. Most slides have no such file. Tiles that are found to be damaged while a slide is served are
noted in memory as well, so that no cache keeps an answer that shows one.
"""

import logging
from pathlib import Path

log = logging.getLogger(__name__)

NOTES = "tiles.json"
# Beyond so many tiles the whole slide counts as damaged.
MAX_TILES = 200_000
MAX_NOTES_BYTES = 16 << 20

Tile = tuple[int, int]
Run = tuple[int, int, int]


class Damage:
    """The damaged tiles of an opened slide, as column and row by Deep Zoom level.

    ``version`` counts how often the levels were rendered again: it is part of tiles' addresses, because caches keep
    a tile for a year. ``for_rendering``: the levels are being rendered, and no tile may stop that. A dataclass would
    cost half a millisecond of each cold start.
    """

    __slots__ = ("_count", "for_rendering", "tiles", "version")

    def __init__(self, *, for_rendering: bool = False) -> None:
        self.tiles: dict[int, set[Tile]] = {}
        self.version = 0
        self.for_rendering = for_rendering
        self._count = 0

    def __bool__(self) -> bool:
        return self._count > 0

    @property
    def is_full(self) -> bool:
        """Whether there may be more damaged tiles than are noted here."""
        return self._count >= MAX_TILES

    def note(self, level_dz: int, col: int, row: int) -> None:
        """Note a damaged tile."""
        tiles = self.tiles.setdefault(level_dz, set())
        if not self.is_full and (col, row) not in tiles:
            tiles.add((col, row))
            self._count += 1

    def has(self, level_dz: int, col: int, row: int) -> bool:
        """Return whether a tile is noted as damaged."""
        return (col, row) in self.tiles.get(level_dz, ())

    def counts(self) -> dict[str, str]:
        """Return the number of damaged tiles by Deep Zoom level, finest first, as a record holds them."""
        return {
            str(dz): str(len(self.tiles[dz])) for dz in sorted(self.tiles, reverse=True) if self.tiles[dz]
        }

    def runs(self, level_dz: int) -> list[Run]:
        """Return a level's damaged tiles as runs of row, first column and the column behind the last."""
        runs: list[Run] = []
        for row, col in sorted((row, col) for col, row in tuple(self.tiles.get(level_dz, ()))):
            if runs and runs[-1][0] == row and runs[-1][2] == col:
                runs[-1] = row, runs[-1][1], col + 1
            else:
                runs.append((row, col, col + 1))
        return runs

    def touches(self, level_dz: int, columns: range, rows: range) -> bool:
        """Return whether one of a level's tiles in these columns and rows is damaged."""
        tiles = self.tiles.get(level_dz)
        if not tiles:
            return False
        if len(columns) * len(rows) < len(tiles):
            return any((col, row) in tiles for row in rows for col in columns)
        return any(col in columns and row in rows for col, row in tuple(tiles))


def read_notes(path: Path) -> Damage:
    """Return the damaged tiles that a slide's notes list; none where there are no notes, or only unreadable ones."""
    damage = Damage()
    try:
        data = path.read_bytes()
    except OSError:
        return damage
    import json  # noqa: PLC0415  cold start: few slides have notes

    try:
        if len(data) > MAX_NOTES_BYTES:
            raise ValueError("too long")
        notes = json.loads(data)
        damage.version = int(notes["version"])
        for level_dz, runs in notes["damaged"].items():
            for row, first, end in runs:
                _note_run(damage, int(level_dz), row, first, end)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        log.warning("the notes about a slide's tiles cannot be read: %s", type(error).__name__)
    return damage


def _note_run(damage: Damage, level_dz: int, row: int, first: int, end: int) -> None:
    for col in range(first, min(end, first + MAX_TILES)):
        damage.note(level_dz, col, row)


def write_notes(path: Path, damage: Damage) -> None:
    """Write a slide's notes by an atomic write; without damage and without another version, remove them."""
    import json  # noqa: PLC0415  cold start

    from vsv.storage import atomic_write  # noqa: PLC0415  cold start

    if not damage and not damage.version:
        path.unlink(missing_ok=True)
        return
    damaged = {str(dz): damage.runs(dz) for dz in sorted(damage.tiles) if damage.tiles[dz]}
    atomic_write.write(path, json.dumps({"version": damage.version, "damaged": damaged}).encode())
