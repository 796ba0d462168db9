"""The folders that are watched: those that a person names and, where asked for, the folders inside them.

Links to folders are not followed, and each folder counts once: no loop is walked. Depth and number are bounded.
"""

import os
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import overload

from vsv.identifiers import is_slide_filename
from vsv.ingest.not_imported import Kind, Tally, is_companion_folder

MAX_DEPTH, MAX_FOLDERS = 16, 4096
# How far folders that are not watched are looked into, and how many entries of each are read.
_PEEK_DEPTH, _PEEK_FOLDERS, _PEEK_ENTRIES = 4, 200, 2000
# A walk is repeated after this time, or after ten times as long as it took.
_REFRESH_S, _REFRESH_RATIO = 2.0, 10
# Folders that file servers and systems keep for themselves, in lower case.
_SYSTEM = frozenset({
    "@eadir", "#recycle", "#snapshot", "lost+found", "system volume information", "recycler", "__macosx",
    "tmp", "temp",
})  # fmt: skip
_TEMPORARY_SUFFIXES = (".tmp", ".temp", ".part", ".partial")
_Identity = tuple[int, int]


class WatchedFolders(Sequence[Path]):
    """The watched folders now; ``recursive`` says whether the folders inside the named ones belong to them."""

    def __init__(self, roots: Sequence[Path], *, recursive: bool = False) -> None:
        self.roots, self.recursive = tuple(roots), recursive
        self._left_out: set[_Identity] = set()
        self._found, self._beyond = self.roots, tuple[Path, ...]()
        self._next_walk = float("-inf")

    def leave_out(self, *folders: Path) -> None:
        """Leave folders of this installation itself out, as the data folder."""
        self._left_out |= {identity for folder in folders if (identity := _identity(folder)) is not None}

    def __len__(self) -> int:
        return len(self._folders())

    @overload
    def __getitem__(self, index: int) -> Path: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Path]: ...
    def __getitem__(self, index: int | slice) -> Path | Sequence[Path]:
        """Return one folder, or some."""
        return self._folders()[index]

    def __iter__(self) -> Iterator[Path]:
        return iter(self._folders())

    def add_unwatched(self, tally: Tally) -> None:
        """Count the folders that hold slides and are not watched."""
        for folder in self._beyond:
            tally.add(Kind.BEYOND, folder.name)
        if not self.recursive:
            known = {_identity(root) for root in self.roots} | self._left_out
            for folder in (inner for root in self.roots for inner in _folders_in(root)):
                if _identity(folder) not in known and _holds_slides(folder):
                    tally.add(Kind.FOLDER, folder.name)

    def _folders(self) -> tuple[Path, ...]:
        now = time.monotonic()
        if self.recursive and now >= self._next_walk:
            self._walk()
            took = time.monotonic() - now
            self._next_walk = now + max(_REFRESH_S, took * _REFRESH_RATIO)
        return self._found

    def _walk(self) -> None:
        """Find the folders, those of each level before those inside them: the named ones are found in any case."""
        seen, found, beyond, level = set(self._left_out), list[Path](), list[Path](), list(self.roots)
        for _depth in range(MAX_DEPTH + 1):
            fresh, room = list(_unseen(level, seen)), MAX_FOLDERS - len(found)
            found += fresh[:room]
            beyond += fresh[room:]
            inner = (one for folder in fresh[:room] for one in _folders_in(folder))
            level = list(islice(inner, 2 * MAX_FOLDERS))
        self._found = tuple(dict.fromkeys((*self.roots, *found)))
        self._beyond = (*beyond, *_unseen(level, seen))


def _unseen(folders: Sequence[Path], seen: set[_Identity]) -> Iterator[Path]:
    for folder in folders:
        identity = _identity(folder)
        if identity is not None and identity not in seen:
            seen.add(identity)
            yield folder


def _folders_in(folder: Path) -> list[Path]:
    """Return the folders in a folder by name, without links, hidden and temporary ones, and slides' own folders."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in islice(entries, 100_000) if _is_folder(entry)]
    except OSError:
        return []  # reported where its files are listed
    return [path for name in sorted(names) if not is_companion_folder(path := folder / name)]


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    name = entry.name.lower()
    if name.startswith((".", "~", "$")) or name in _SYSTEM or name.endswith(_TEMPORARY_SUFFIXES):
        return False
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _holds_slides(folder: Path) -> bool:
    """Return whether a folder, or one inside it, holds a slide; bounded, so that a huge archive costs little."""
    level, left = [folder], _PEEK_FOLDERS
    for _depth in range(_PEEK_DEPTH):
        level, left = level[:left], left - len(level)
        if any(map(_has_slide, level)):
            return True
        level = [inner for one in level for inner in _folders_in(one)] if left > 0 else []
    return False


def _has_slide(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            return any(is_slide_filename(e.name) and e.is_file() for e in islice(entries, _PEEK_ENTRIES))
    except OSError:
        return False


def _identity(folder: Path) -> _Identity | None:
    """Return a folder's device and inode, which are the same however its path is spelled."""
    try:
        state = folder.stat()
    except OSError:
        return None
    return state.st_dev, state.st_ino
