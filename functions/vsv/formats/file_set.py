"""File sets: slides of several files, of which a person opens one, the index file; the others are its companions.

MRXS: ``x.mrxs`` and the files of the folder ``x``. Hamamatsu's VMS and VMU: a text, and beside it the files that it
names. What the index names is untrusted: a companion is a plain file at its place, never a link, and of a kind that
is no slide itself, so that no index can take another patient's slide with it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from math import prod
from pathlib import Path
from stat import S_ISDIR, S_ISREG

from vsv.errors import IncompleteSetError, UnreadableSlideError
from vsv.formats.key_file import read_key_file, whole_number
from vsv.formats.mirax import check_bounds, files_named
from vsv.identifiers import is_plain_filename, is_set_filename

MAX_FILES = 10_000
MAX_BYTES = 1 << 44
SLIDEDAT = "Slidedat.ini"
# Suffixes of the files that a VMS or VMU may name. OpenSlide can do without the optimisation file only.
_HAMAMATSU = (".jpg", ".jpeg", ".ngr", ".opt")
_IMAGE, _OPTIONAL = "ImageFile", "OptimisationFile"
_COUNTS = ("NoJpegColumns", "NoJpegRows", "NoLayers")
_OTHERS = ("MapFile", "MacroImage", _OPTIONAL)
# Names and endings that the data folder's own files have.
_RESERVED = ("files.json", "slide.svs", "archived.json", "import.json")
_RESERVED_END = ".part"
_TOO_MANY = f"the slide has {MAX_FILES} files or more"


@dataclass(frozen=True, slots=True)
class FileSet:
    """A slide of several files: its index file, and its companions by their names relative to the index's folder."""

    index: Path
    companions: Mapping[str, Path]

    @property
    def index_name(self) -> str:
        """Name of the index file where the set is stored: OpenSlide knows the suffix in small letters only."""
        return self.index.stem + self.index.suffix.lower()

    @property
    def paths(self) -> Mapping[str, Path]:
        """All files by the relative names under which they are stored, in the order of these names."""
        paths = {self.index_name: self.index, **self.companions}
        return {name: paths[name] for name in sorted(paths)}


def find_set(index: Path) -> FileSet:
    """Return the files of the slide that an index file is of.

    Raise IncompleteSetError, which names the file, where one is missing: it may still be copied. Raise
    UnreadableSlideError where the index names what cannot be a part of its slide, OSError where it cannot be read.
    """
    if not is_companion(index.stem):
        raise UnreadableSlideError("the slide's name cannot be kept: rename all of its files")
    names = _mrxs(index) if index.suffix.lower() == ".mrxs" else _hamamatsu(index)
    companions = {name: index.parent / name for name in names}
    if len(companions) >= MAX_FILES:
        raise UnreadableSlideError(_TOO_MANY)
    if sum(_size(name, path) for name, path in companions.items()) > MAX_BYTES:
        raise UnreadableSlideError("the slide's files are larger than any slide is")
    return FileSet(index, companions)


def companions_in(folder: Path, names: Iterable[str]) -> frozenset[str]:
    """Return those of a folder's names, of files and folders, that belong to the index files among these names."""
    found = set(names)
    owners = _owners(folder, found)
    folders = {name[: -len(".mrxs")] for name in found if name.lower().endswith(".mrxs")}
    return frozenset((owners.keys() | folders) & found)


def index_of_folder(folder: Path) -> Path | None:
    """Return the index file that a folder of an MRXS's files needs beside it; None for any other folder."""
    if not (folder / SLIDEDAT).is_file():
        return None
    named = (folder.with_name(folder.name + suffix) for suffix in (".mrxs", ".MRXS"))
    return next((path for path in named if path.exists()), folder.with_name(f"{folder.name}.mrxs"))


def owner_of(path: Path) -> str | None:
    """Return the name of the index file beside a file that names the file as its companion; None without one."""
    if not path.name.lower().endswith(_HAMAMATSU):
        return None
    return _owners(path.parent, _indexes_in(path.parent)).get(path.name)


def _owners(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Return the index files by the names of the companions that lie beside them."""
    owners: dict[str, str] = {}
    for name in sorted(names):
        if name.lower().endswith((".vms", ".vmu")):
            owners |= dict.fromkeys(_names_in(folder / name), name)
    return owners


def _indexes_in(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir() if is_set_filename(path.name)]
    except OSError:
        return []


def _names_in(index: Path) -> frozenset[str]:
    """Return the names of a VMS's or VMU's companions; none where the file cannot be read as one."""
    try:
        status = index.stat()
        return _cached_names(index, status.st_size, status.st_mtime_ns)
    except (OSError, UnreadableSlideError):
        return frozenset()


@lru_cache(maxsize=4096)  # a watched folder is looked through every few seconds
def _cached_names(index: Path, _size: int, _modified: int) -> frozenset[str]:
    return frozenset(_named_by(index))


def _hamamatsu(index: Path) -> Iterator[str]:
    """Yield the names of a VMS's or VMU's companions; an optimisation file that is missing is left out."""
    for other in _indexes_in(index.parent):
        shared = _names_in(index) & _names_in(index.with_name(other)) if other != index.name else None
        if shared:
            raise UnreadableSlideError(
                f"{min(shared)} is named by {other}, too: each slide needs its own files"
            )
    for name, key in _named_by(index).items():
        if key != _OPTIONAL or (index.parent / name).exists():
            yield name


def _named_by(index: Path) -> dict[str, str]:
    """Return the keys by the checked names that they name."""
    groups = read_key_file(index)
    kind = next((name for name in groups if name.endswith("Virtual Microscope Specimen")), "")
    group = groups.get(kind, {})
    _check_pictures(group, is_uncompressed=kind.startswith("Uncompressed"))
    named = {value: key for key, value in group.items() if key.startswith(_IMAGE) or key in _OTHERS}
    if not named:
        raise UnreadableSlideError("the file names no files of a slide")
    for name in named:
        if not is_companion(name) or not name.lower().endswith(_HAMAMATSU):
            raise UnreadableSlideError("the file names one that cannot be a part of its slide")
    return named


def _check_pictures(group: Mapping[str, str], *, is_uncompressed: bool) -> None:
    """Raise UnreadableSlideError for claims about the pictures by which OpenSlide would end the process."""
    counts = [whole_number(group.get(key, "1"), MAX_FILES) for key in _COUNTS]
    if None in counts or prod(count or 0 for count in counts) > MAX_FILES:
        raise UnreadableSlideError("the file claims impossible numbers of pictures")
    if is_uncompressed and (group.get("BitsPerPixel"), group.get("PixelOrder")) != ("36", "RGB"):
        raise UnreadableSlideError("the slide's pixels are not 36 bits of RGB, which alone can be read")


def _mrxs(index: Path) -> Iterator[str]:
    """Yield the names of an MRXS's companions: all files of its folder, among them all that the slide needs."""
    folder = index.with_suffix("")
    present = _files_in(folder)
    if SLIDEDAT not in present:
        raise IncompleteSetError(_missing(f"{folder.name}/{SLIDEDAT}"))
    slidedat = read_key_file(folder / SLIDEDAT)
    check_bounds(slidedat)
    needed = list(files_named(slidedat, MAX_FILES))
    if not all(map(is_companion, needed)):
        raise UnreadableSlideError(f"{SLIDEDAT} names a file that cannot be a part of its slide")
    yield from (f"{folder.name}/{name}" for name in sorted({*present, *needed}))


def _files_in(folder: Path) -> set[str]:
    try:
        if not S_ISDIR(folder.lstat().st_mode):
            raise UnreadableSlideError(
                f"{folder.name} is a link or no folder: the slide's files must lie in it"
            )
        entries = list(islice(folder.iterdir(), MAX_FILES))
    except FileNotFoundError as error:
        raise IncompleteSetError(_missing(f"the folder {folder.name}")) from error
    if len(entries) == MAX_FILES:
        raise UnreadableSlideError(_TOO_MANY)
    named = (entry for entry in entries if is_companion(entry.name))
    return {entry.name for entry in named if entry.is_file() and not entry.is_symlink()}


def is_companion(name: str) -> bool:
    """Return whether a companion may have this name, within its folder."""
    return is_plain_filename(name) and name not in _RESERVED and not name.endswith(_RESERVED_END)


def _size(name: str, path: Path) -> int:
    try:
        status = path.lstat()
    except FileNotFoundError as error:
        raise IncompleteSetError(_missing(name)) from error
    if not S_ISREG(status.st_mode):
        raise UnreadableSlideError(f"{name} is a link or no file: put the file itself there")
    return status.st_size


def _missing(name: str) -> str:
    return f"{name} is missing: it is still being copied, or was left behind"
