"""Find files by name in the folders that scanners write to, and whether their content is stored already."""

from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path

from vsv.errors import (
    BadRequestError,
    FileChangingError,
    FileMissingError,
    UnavailableError,
    UnreadableSlideError,
)
from vsv.formats.file_set import owner_of
from vsv.identifiers import is_set_filename
from vsv.records.models import ImportRecord
from vsv.storage.stored_set import is_set_checksum

from vsv_local.ingest import transfer
from vsv_local.ingest.set_transfer import set_checksum, set_state

_State = tuple[
    int, int
]  # size in bytes, modification time in ns; of a set a number that changes with any file


class ScannerFolders:
    """Reads the folders, never writes; two folders may hold different files of one name."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self.folders = folders  # with folders inside them, others from one moment to the next
        self._known: dict[tuple[Path, str], _State] = {}

    def folder_of(self, filename: str, size: int) -> str | None:
        """Return the folder with a file of that name and size, None without a file of that name.

        Raises FileChangingError where the file has other sizes only: it is being written, or was replaced; where a
        file of its set is missing; BadRequestError for a companion of another file, with which it is imported.
        """
        return self.unknown(filename, size, (), None)

    def unknown(
        self, filename: str, size: int, known: Collection[str], run: ImportRecord | None
    ) -> str | None:
        """Return the first folder whose file of that name and size has content of none of the known checksums."""
        paths = self._named(filename, run)
        if owner := next(filter(None, map(owner_of, paths)), None):
            raise BadRequestError(f"this file is a part of the slide {owner}, and is imported with it")
        sizes = [state[0] if (state := _state(path)) else None for path in paths]
        if any(found_size is not None for found_size in sizes) and size not in sizes:
            raise FileChangingError("the file in the scanner's folder has another size now")
        for path, found_size in zip(paths, sizes, strict=True):
            if found_size == size and not self._is_known(path, known, run):
                return str(path.parent.resolve())
        return None

    def path_for(self, run: ImportRecord) -> Path | None:
        """Return the file that a run imports: at its recorded source, else in one of the folders.

        Raises UnavailableError while the folder itself cannot be reached: a network share may come back.
        """
        at_source = [path] if run.source and (path := Path(run.source) / run.filename).is_file() else []
        paths = [*at_source, *self._named(run.filename, None)]
        if not paths and run.source and not Path(run.source).is_dir():
            raise UnavailableError("the scanner's folder cannot be reached now")
        fitting = (path for path in paths if (state := _state(path)) and state[0] == run.size)
        return next(fitting, paths[0] if paths else None)

    def has_changed(self, run: ImportRecord) -> bool:
        """Return whether the file at a run's source has other content of the same size now; False if it is gone."""
        if run.source is None or run.checksum is None:
            return False
        path = Path(run.source) / run.filename
        try:
            state = _state(path)
            if state is None or state[0] != run.size or state[1] == run.source_modified:
                return False
            return not _has_content(path, run.checksum)
        except (UnavailableError, FileMissingError):
            return False  # the slide that is stored is whole

    def _named(self, filename: str, run: ImportRecord | None) -> list[Path]:
        """Return the files of that name; where the folders have none, the file at the run's recorded source."""
        paths = [path for folder in self.folders if (path := folder / filename).is_file()]
        if not paths and run is not None and run.source and (path := Path(run.source) / filename).is_file():
            return [path]
        return paths

    def _is_known(self, path: Path, known: Collection[str], run: ImportRecord | None) -> bool:
        """Compare with the run by time, else by content; the result is cached until the file's time changes."""
        state = _state(path)
        if state is None:
            return True  # the file was just removed: there is nothing left to import
        if run is not None and run.checksum in known and _is_as_recorded(path, state, run):
            return True
        if any(self._known.get((path, checksum)) == state for checksum in known):
            return True
        matching = next((checksum for checksum in known if _has_content(path, checksum)), None)
        if matching is not None and _state(path) == state:
            self._known[path, matching] = state
        return matching is not None


def _is_as_recorded(path: Path, state: _State, run: ImportRecord) -> bool:
    return run.source_modified == state[1] and run.source == str(path.parent.resolve())


def _state(path: Path) -> _State | None:
    """Return a file's state, of an index file with that of its whole set; None without the file."""
    try:
        status = path.stat()
        if is_set_filename(path.name):
            with suppress(UnreadableSlideError):  # its import says why
                state = set_state(path)
                return state.size, state.fingerprint
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UnavailableError("the file in the scanner's folder cannot be read now") from error
    return status.st_size, status.st_mtime_ns


def _has_content(path: Path, checksum: str) -> bool:
    try:
        if is_set_checksum(checksum):
            return is_set_filename(path.name) and set_checksum(path) == checksum
        return transfer.same_content(path, checksum)
    except UnreadableSlideError:
        return False
    except OSError as error:
        raise UnavailableError("the file in the scanner's folder cannot be read now") from error
