"""Find the slides in files and folders that a person names, one after the other.

Folders are walked while the import runs: memory grows only with the names in the folders that are open.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG

from vsv.formats.dicom_files import NOT_YET, has_dicom
from vsv.formats.file_set import companions_in, index_of_folder
from vsv.identifiers import MAX_FILENAME, SLIDE_SUFFIXES, is_slide_filename

MAX_DEPTH = 64
UNREADABLE = "it cannot be read"


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file to import; ``named``: by the person, not found in a folder; ``trouble``: why it cannot be imported."""

    path: Path
    size: int = 0
    named: bool = False
    trouble: str | None = None


def slide_files(
    paths: Sequence[Path], data: Path, skipped: Callable[[Path], None] = lambda _path: None
) -> Iterator[FoundFile]:
    """Yield the slides of files and, at any depth, of folders; call ``skipped`` with other files in folders.

    A link to a file is followed; a link to a folder is not unless the person names it, so that no loop is walked. The
    data folder is left out.
    """
    for path in paths:
        if (index := index_of_folder(path)) is not None:
            yield _named_file(index)
        elif path.is_dir():
            yield from _walk(path, _identity(data), MAX_DEPTH, skipped)
        else:
            yield _named_file(path)


def name_problem(filename: str) -> str:
    """Return what is wrong with the name of a file that cannot be imported under it."""
    if filename.lower().endswith(".dcm"):
        return NOT_YET
    if not filename.lower().endswith(SLIDE_SUFFIXES):
        return f"its name is not that of a slide file: those end in {' '.join(SLIDE_SUFFIXES)}"
    if len(filename.encode("utf-8", "surrogatepass")) > MAX_FILENAME:
        return "its name is too long: rename it, for example to 12345.svs"
    return "its name cannot be kept: rename it, for example to 12345.svs"


def _named_file(path: Path) -> FoundFile:
    if not is_slide_filename(path.name):
        return FoundFile(path, named=True, trouble=name_problem(path.name))
    file = _file(path)
    return FoundFile(path, file.size, named=True, trouble=file.trouble) if file else _unreadable(path)


def _walk(
    folder: Path, data: tuple[int, int] | None, depth: int, skipped: Callable[[Path], None]
) -> Iterator[FoundFile]:
    if _identity(folder) == data:
        return
    if depth == 0:
        yield FoundFile(folder, trouble=f"it lies {MAX_DEPTH} folders deep: name it itself")
        return
    try:
        with os.scandir(folder) as entries:
            names = sorted((e.name, e.is_dir(follow_symlinks=False)) for e in entries if e.name[0] != ".")
    except OSError:
        yield _unreadable(folder)
        return
    files = {name for name, is_folder in names if not is_folder}
    trouble, parts = _whole_folder(folder, files)
    if trouble is not None:
        yield FoundFile(folder, trouble=trouble)
    companions = parts | companions_in(folder, (name for name, _ in names))
    for name, is_folder in ((name, is_folder) for name, is_folder in names if name not in companions):
        if is_folder:
            yield from _walk(folder / name, data, depth - 1, skipped)
        elif (file := _file_in_folder(folder / name)) is not None:
            yield file
        else:
            skipped(folder / name)


def _whole_folder(folder: Path, files: set[str]) -> tuple[str | None, set[str]]:
    """Return why a folder's files are not imported as one slide, and which of them are no slides of their own."""
    if (index := index_of_folder(folder)) is not None:
        return f"its files belong to {index.name}, which is missing beside it", files
    return (NOT_YET if has_dicom(folder, files) else None), set()


def _file_in_folder(path: Path) -> FoundFile | None:
    if is_slide_filename(path.name):
        return _file(path)
    return FoundFile(path, trouble=name_problem(path.name)) if path.suffix.lower() == ".svs" else None


def _file(path: Path) -> FoundFile | None:
    """Return a file; None for a pipe or a link to a folder that has a slide's name."""
    try:
        state = path.stat()
    except OSError:
        return _unreadable(path)
    return FoundFile(path, state.st_size) if S_ISREG(state.st_mode) else None


def _unreadable(path: Path) -> FoundFile:
    return FoundFile(path, trouble=UNREADABLE)


def _identity(folder: Path) -> tuple[int, int] | None:
    """Return a folder's device and inode, which are the same however its path is spelled."""
    try:
        state = folder.stat()
    except OSError:
        return None
    return state.st_dev, state.st_ino
