"""Folders of DICOM files in a watched folder: named once in the log, because they are not imported yet."""

import logging
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from vsv.formats.dicom_files import NOT_YET, has_dicom

log = logging.getLogger(__name__)


class DicomFolders:
    """Remembers which folders were looked into, until they change: a watched folder is polled all the time."""

    def __init__(self) -> None:
        self._looked: dict[Path, int] = {}
        self._named: set[Path] = set()

    def name_in(self, folder: Path, names: Iterable[str]) -> None:
        """Log each of a watched folder and the folders in it, by these names, that holds DICOM files."""
        inner = (name for name in names if not Path(name).suffix or name[:1].isdigit())
        for path in (folder, *(folder / name for name in inner)):
            with suppress(OSError):
                modified = path.stat().st_mtime_ns
                if path in self._named or self._looked.get(path) == modified or not path.is_dir():
                    continue
                if has_dicom(path, (file.name for file in path.iterdir())):
                    self._named.add(path)
                    log.warning("%s: %s", path.name, NOT_YET)
                self._looked[path] = modified
