"""Imports asked of a process that serves only: looked at here, worked on by the main process."""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from vsv.errors import FileMissingError
from vsv.records.models import ImportRecord

from vsv_local.ingest.scanner_folders import ScannerFolders


class Source:
    """What can be known of files in the scanners' folders, in any process."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self.folders = ScannerFolders(folders)

    def describe_source(self, filename: str, size: int) -> str | None:
        """Give the folder that holds the file; raises FileMissingError or FileChangingError where none does."""
        if (folder := self.folders.folder_of(filename, size)) is None:
            raise FileMissingError(f"{filename} is not in the scanner's folder")
        return folder

    def new_source(
        self, filename: str, size: int, known: Collection[str], run: ImportRecord | None
    ) -> str | None:
        """Give a folder with content that is not known, as ``ImportStarter`` says."""
        return self.folders.unknown(filename, size, known, run)

    def has_ended(self, run: ImportRecord) -> bool:  # noqa: ARG002
        """Give False: a run that nothing works on is taken up by the next start."""
        return False


class Handover(Source):
    """Starts imports by telling who works on them; the record is there already."""

    def __init__(self, folders: Sequence[Path], tell: Callable[[str], None]) -> None:
        super().__init__(folders)
        self._tell = tell

    def start(self, run: ImportRecord) -> None:
        """Hand a run over; one that gets lost is found by the main process's next look."""
        self._tell(run.filename)
