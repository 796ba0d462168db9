"""Files that lie among slides and are not imported, named with their counts: what a person could otherwise miss.

Names are hostile text: only the first few are kept, shortened, and without characters that change other text.
"""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path, PurePath

from vsv.identifiers import SLIDE_SUFFIXES, is_slide_filename, shown
from vsv.storage import atomic_write

NAMES, NAME_LENGTH = 5, 60
# Beyond so many, names are counted without a look at what they are: a share is slow.
CHECKED = 1000
MAX_BYTES = 1 << 16
# Of a data folder: what the watcher has found, for the processes that answer the page.
FILE = "watched.json"
# Formats of slides that are not read, by the names that people know.
FORMATS = {
    ".zvi": "Zeiss ZVI", ".lsm": "Zeiss LSM", ".dcm": "DICOM", ".dicom": "DICOM",
    ".vsi": "Olympus VSI",
    ".ets": "Olympus VSI", ".oir": "Olympus OIR", ".oib": "Olympus OIB", ".isyntax": "Philips iSyntax",
    ".i2syntax": "Philips iSyntax", ".lif": "Leica LIF", ".nd2": "Nikon ND2", ".afi": "Aperio AFI",
    ".kfb": "KFBIO KFB", ".sdpc": "SQRAY SDPC", ".tmap": "UNIC TMAP", ".jp2": "JPEG 2000",
    ".pdf": "document", ".doc": "document", ".docx": "document", ".txt": "text", ".xml": "XML", ".zip": "archive",
}  # fmt: skip
_TEMPORARY_SUFFIXES = (
    ".part",
    ".partial",
    ".tmp",
    ".temp",
    ".crdownload",
    ".filepart",
    ".lock",
    ".confirmed",
)
_SYSTEM_NAMES = frozenset({"thumbs.db", "desktop.ini", "ehthumbs.db", "icon\r"})


class Kind(Enum):
    """Why something is not imported, in words for one and for several."""

    NOT_A_SLIDE = ("file is not a slide that can be read", "files are not slides that can be read")
    BAD_NAME = (
        "file has a name that cannot be kept: rename it to plain letters and digits",
        "files have names that cannot be kept: rename them to plain letters and digits",
    )
    FOLDER = (
        "folder holds slides and is not watched: watch it, too, or start with --recursive",
        "folders hold slides and are not watched: watch them, too, or start with --recursive",
    )
    BEYOND = (
        "folder is not watched, as it lies too deep or there are too many: watch it itself",
        "folders are not watched, as they lie too deep or there are too many: watch them themselves",
    )


@dataclass(frozen=True, slots=True)
class NotImported:
    """How many files or folders are not imported for one reason, and the first of their names."""

    reason: str
    count: int
    names: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """All of it in one line."""
        more = f" and {self.count - len(self.names):,} more" if self.count > len(self.names) else ""
        return f"{self.count:,} {self.reason}: {', '.join(self.names)}{more}"


class Tally:
    """Counts what is not imported; memory does not grow with the number of files."""

    def __init__(self) -> None:
        self._counts: dict[Kind, int] = {}
        self._names: dict[Kind, list[str]] = {}

    def add_file(self, path: Path) -> None:
        """Count a file, if it is one that a person could take for a slide, or miss; a folder counts for nothing."""
        kind = kind_of(path.name)
        if kind is None or (self._counts.get(kind, 0) < CHECKED and (path.is_dir() or is_companion(path))):
            return
        about = FORMATS.get(path.suffix.lower())
        self.add(kind, path.name, about if kind is Kind.NOT_A_SLIDE else None)

    def add(self, kind: Kind, name: str, about: str | None = None) -> None:
        """Count one file or folder; ``about`` follows its name."""
        self._counts[kind] = self._counts.get(kind, 0) + 1
        names = self._names.setdefault(kind, [])
        if len(names) < NAMES:
            names.append(f"{shown_name(name)} ({about})" if about else shown_name(name))

    def found(self) -> tuple[NotImported, ...]:
        """Return what was counted, by reason."""
        return tuple(
            NotImported(kind.value[count > 1], count, tuple(self._names[kind]))
            for kind, count in sorted(self._counts.items(), key=lambda item: list(Kind).index(item[0]))
        )


def kind_of(name: str) -> Kind | None:
    """Return why a file of this name is not imported; None for slides, and for hidden and temporary files."""
    lower = name.lower()
    if is_slide_filename(name) or lower.startswith((".", "~", "$")) or lower in _SYSTEM_NAMES:
        return None
    if lower.endswith(_TEMPORARY_SUFFIXES):
        return None
    return Kind.BAD_NAME if lower.endswith(SLIDE_SUFFIXES) else Kind.NOT_A_SLIDE


def is_companion(path: Path) -> bool:
    """Return whether a file belongs to a slide of several files, which is imported or told by its main file."""
    if is_companion_folder(path.parent):
        return True
    # Hamamatsu's optimisation file beside its index.
    return path.suffix.lower() == ".opt" and any(path.parent.glob("*.[vV][mM][sSuU]"))


def is_companion_folder(folder: Path) -> bool:
    """Return whether a folder holds the data of a slide that lies beside it, as with 3DHISTECH's ``.mrxs``."""
    names = (f"{folder.name}{suffix}" for suffix in (".mrxs", ".MRXS") if folder.name)
    return any(folder.with_name(name).is_file() for name in names)


def shown_name(name: str) -> str:
    """Return a name in one line, without characters that change other text, and at most ``NAME_LENGTH`` long."""
    plain = " ".join(shown(name[:1000]).split())
    if len(plain) <= NAME_LENGTH:
        return plain
    suffix = PurePath(plain).suffix[:10]
    return f"{plain[: NAME_LENGTH - len(suffix) - 1]}…{suffix}"


def write(data: Path, found: Sequence[NotImported]) -> None:
    """Store what the watcher has found; an empty list removes the file."""
    path = data / FILE
    if found:
        atomic_write.write(path, json.dumps([asdict(one) for one in found]).encode())
    else:
        path.unlink(missing_ok=True)


def read(data: Path | None) -> tuple[NotImported, ...]:
    """Return what the watcher has found; nothing where no folder is watched, as on AWS."""
    if data is None:
        return ()
    with suppress(OSError, ValueError, KeyError, TypeError):
        with (data / FILE).open("rb") as file:
            items = json.loads(file.read(MAX_BYTES))
        return tuple(
            NotImported(str(one["reason"]), int(one["count"]), tuple(map(str, one["names"]))) for one in items
        )
    return ()
