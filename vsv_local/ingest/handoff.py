"""Hand imports over from a process that only serves: that process looks for the file, the main process imports it."""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from vsv.errors import FileMissingError
from vsv.records.models import ImportRecord

from vsv_local.ingest.scanner_folders import ScannerFolders


class FolderSource:
    """Looks for files in the scanners' folders, in any process; the common part of the starters."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self.folders = ScannerFolders(folders)

    def describe_source(self, filename: str, size: int) -> str | None:
        """Return the folder that holds the file.

        Raises FileMissingError or FileChangingError where no folder holds the file.
        """
        if (folder := self.folders.folder_of(filename, size)) is None:
            raise FileMissingError(f"{filename} is not in the scanner's folder")
        return folder

    def new_source(
        self, filename: str, size: int, known: Collection[str], run: ImportRecord | None
    ) -> str | None:
        """Return a folder with content of none of the ``known`` checksums, as ``ImportStarter`` says."""
        return self.folders.unknown(filename, size, known, run)

    def has_changed(self, run: ImportRecord) -> bool:
        """Return whether the file that a run imported has other content now, as ``ImportStarter`` says."""
        return self.folders.has_changed(run)

    def has_ended(self, run: ImportRecord) -> bool:  # noqa: ARG002
        """Return False: a run that no process works on is resumed by the next start."""
        return False


class Handoff(FolderSource):
    """Starts imports by notifying the main process; the record is stored already."""

    def __init__(self, folders: Sequence[Path], notify: Callable[[str], None]) -> None:
        super().__init__(folders)
        self._notify = notify

    def start(self, run: ImportRecord) -> None:
        """Hand a run over; the main process's next look finds a run whose notice was lost."""
        self._notify(run.filename)
