"""The folders that scanners write to: which files of a name are there, and whether their content is known here."""

from collections.abc import Collection, Sequence
from pathlib import Path

from vsv.errors import FileChangingError, UnavailableError
from vsv.records.models import ImportRecord

from vsv_local.ingest import transfer

_State = tuple[int, int]  # size in bytes, modification time in ns


class ScannerFolders:
    """Reads the folders and nothing else; two of them may hold different files of one name."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self.folders = tuple(folders)
        self._known: dict[tuple[Path, str], _State] = {}

    def folder_of(self, filename: str, size: int) -> str | None:
        """Give the folder with a file of that name and size, None without one of that name.

        Raises FileChangingError where the file has other sizes only: it is being written, or was replaced.
        """
        return self.unknown(filename, size, (), None)

    def unknown(
        self, filename: str, size: int, known: Collection[str], run: ImportRecord | None
    ) -> str | None:
        """Give the first folder whose file of that name and size has content of none of the known checksums."""
        paths = self._named(filename, run)
        sizes = [state[0] if (state := _state(path)) else None for path in paths]
        if any(found is not None for found in sizes) and size not in sizes:
            raise FileChangingError("the file in the scanner's folder has another size now")
        for path, found in zip(paths, sizes, strict=True):
            if found == size and not self._is_known(path, known, run):
                return str(path.parent.resolve())
        return None

    def path_for(self, run: ImportRecord) -> Path | None:
        """Give the file that a run brings in: where it was seen, else one of ours.

        Raises UnavailableError while the folder itself cannot be reached: a share may come back.
        """
        seen = [path] if run.source and (path := Path(run.source) / run.filename).is_file() else []
        paths = [*seen, *self._named(run.filename, None)]
        if not paths and run.source and not Path(run.source).is_dir():
            raise UnavailableError("the scanner's folder cannot be reached now")
        fitting = (path for path in paths if (state := _state(path)) and state[0] == run.size)
        return next(fitting, paths[0] if paths else None)

    def _named(self, filename: str, run: ImportRecord | None) -> list[Path]:
        """Give the files of that name; where none is in our folders, the one that the run brought in."""
        found = [path for folder in self.folders if (path := folder / filename).is_file()]
        if not found and run is not None and run.source and (path := Path(run.source) / filename).is_file():
            return [path]
        return found

    def _is_known(self, path: Path, known: Collection[str], run: ImportRecord | None) -> bool:
        """Compare with the run by time, else by content, which is remembered for as long as the time stays."""
        state = _state(path)
        if state is None:
            return True  # it has just gone: there is nothing to lose
        if run is not None and run.checksum in known and _is_as_noted(path, state, run):
            return True
        if any(self._known.get((path, checksum)) == state for checksum in known):
            return True
        found = next((checksum for checksum in known if _has_content(path, checksum)), None)
        if found is not None and _state(path) == state:
            self._known[path, found] = state
        return found is not None


def _is_as_noted(path: Path, state: _State, run: ImportRecord) -> bool:
    return run.source_modified == state[1] and run.source == str(path.parent.resolve())


def _state(path: Path) -> _State | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UnavailableError("the file in the scanner's folder cannot be read now") from error
    return found.st_size, found.st_mtime_ns


def _has_content(path: Path, checksum: str) -> bool:
    try:
        return transfer.same_content(path, checksum)
    except OSError as error:
        raise UnavailableError("the file in the scanner's folder cannot be read now") from error
