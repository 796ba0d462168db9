"""Recognition of DICOM slides, which are folders of files: they are named to people, and not imported yet."""

from collections.abc import Iterable
from itertools import islice
from pathlib import Path

NOT_YET = "DICOM slides are not imported yet: convert it to one file, for example to OME-TIFF or .svs"
# DICOM PS3.10, section 7.1: a preamble of 128 bytes, then the prefix. Files of a slide often have no suffix.
_PREFIX, _PREFIX_AT = b"DICM", 128
MOST_TRIED = 16


def has_dicom(folder: Path, names: Iterable[str]) -> bool:
    """Return whether some of a folder's files are DICOM; of those without a suffix, the first few are opened."""
    plain = []
    for name in names:
        if name.lower().endswith(".dcm") or name == "DICOMDIR":
            return True
        if not Path(name).suffix or name[:1].isdigit():
            plain.append(name)
    return any(is_dicom(folder / name) for name in islice(plain, MOST_TRIED))


def is_dicom(path: Path) -> bool:
    """Return whether a file begins as DICOM files do."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(_PREFIX_AT + len(_PREFIX))[_PREFIX_AT:] == _PREFIX
    except OSError:
        return False
