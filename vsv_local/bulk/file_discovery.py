"""The slides of files and folders that a person names, found one after the other.

Folders are walked while the import goes on: nothing grows with their size but the names of the folders that are open.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG

from vsv.identifiers import MAX_FILENAME, SLIDE_SUFFIXES, is_slide_filename

MAX_DEPTH = 64
UNREADABLE = "it cannot be read"


@dataclass(frozen=True, slots=True)
class Found:
    """A file to import: ``named`` by the person or met on the way; ``trouble`` says why it cannot even be tried."""

    path: Path
    size: int = 0
    named: bool = False
    trouble: str | None = None


def slide_files(paths: Sequence[Path], data: Path) -> Iterator[Found]:
    """Give the slides of files and, however deep, of folders; what a folder holds besides is passed over.

    A link to a file is followed; one to a folder is not unless it is named itself, so that no loop can be walked. The
    data folder is left out.
    """
    for path in paths:
        if path.is_dir():
            yield from _walk(path, _identity(data), MAX_DEPTH)
        else:
            yield _named(path)


def misnamed(filename: str) -> str:
    """Say what is wrong with the name of a file that cannot be imported under it."""
    if not filename.lower().endswith(SLIDE_SUFFIXES):
        return f"its name is not that of a slide file: those end in {' '.join(SLIDE_SUFFIXES)}"
    if len(filename.encode("utf-8", "surrogatepass")) > MAX_FILENAME:
        return "its name is too long: rename it, for example to 12345.svs"
    return "its name cannot be kept: rename it, for example to 12345.svs"


def _named(path: Path) -> Found:
    if not is_slide_filename(path.name):
        return Found(path, named=True, trouble=misnamed(path.name))
    found = _file(path)
    return Found(path, found.size, named=True, trouble=found.trouble) if found else _unreadable(path)


def _walk(folder: Path, data: tuple[int, int] | None, depth: int) -> Iterator[Found]:
    if _identity(folder) == data:
        return
    if depth == 0:
        yield Found(folder, trouble=f"it lies {MAX_DEPTH} folders deep: name it itself")
        return
    try:
        with os.scandir(folder) as entries:
            names = sorted((e.name, e.is_dir(follow_symlinks=False)) for e in entries if e.name[0] != ".")
    except OSError:
        yield _unreadable(folder)
        return
    for name, is_folder in names:
        if is_folder:
            yield from _walk(folder / name, data, depth - 1)
        elif (found := _met(folder / name)) is not None:
            yield found


def _met(path: Path) -> Found | None:
    if is_slide_filename(path.name):
        return _file(path)
    return Found(path, trouble=misnamed(path.name)) if path.suffix.lower() == ".svs" else None


def _file(path: Path) -> Found | None:
    """Describe a file; None for a pipe or a link to a folder, which a slide's name does not make a slide."""
    try:
        state = path.stat()
    except OSError:
        return _unreadable(path)
    return Found(path, state.st_size) if S_ISREG(state.st_mode) else None


def _unreadable(path: Path) -> Found:
    return Found(path, trouble=UNREADABLE)


def _identity(folder: Path) -> tuple[int, int] | None:
    """Tell folders apart by what they are, however they are spelled."""
    try:
        state = folder.stat()
    except OSError:
        return None
    return state.st_dev, state.st_ino
