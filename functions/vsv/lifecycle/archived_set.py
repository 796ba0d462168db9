"""The files of a slide of several files in the archive, beside its index under the slide's own key.

They are numbered in the order of their names, because an archive's keys are plain names. The listing stays in the
data folder: it says what each number is.
"""

from collections.abc import Iterator
from pathlib import Path

from vsv.errors import ConflictError, FileMissingError, NotYetError, UnavailableError
from vsv.services import Services
from vsv.storage import atomic_write, nfs
from vsv.storage.object_store import Stored
from vsv.storage.set_folder import SET, remove_files
from vsv.storage.stored_set import StoredFile, listing_of, read_listing


def store(services: Services, image_id: str, folder: Path) -> None:
    """Store and verify all files of a slide's set; do nothing for a slide of one file.

    Raises ConflictError where a file is not what was imported, UnavailableError where the archive differs.
    """
    for key, name, file in _files(services, image_id):
        path = folder / SET / name
        if not nfs.has_size(path, file.size):
            raise ConflictError("A file of the slide has changed since it was imported: nothing was moved.")
        services.archive.put(path, key, file.sha256)
        if services.archive.find(key) != Stored(file.size, file.sha256):
            raise UnavailableError("an archived copy does not match its file: it is stored again")


def remove_originals(folder: Path) -> None:
    """Remove the files of an archived set from the data folder; idempotent."""
    if read_listing(folder / SET) is not None:
        remove_files(folder / SET)


def fetch(services: Services, image_id: str, folder: Path) -> None:
    """Bring the files of a slide's set back, each verified; idempotent.

    Raises NotYetError once the archive was asked for all of them, FileMissingError, ConflictError.
    """
    waiting: NotYetError | None = None
    for key, name, file in _files(services, image_id):
        path = folder / SET / name
        if nfs.has_size(path, file.size):
            continue
        if (stored := services.archive.find(key)) is None:
            raise FileMissingError("The archive does not hold all files of this slide.")
        if stored != Stored(file.size, file.sha256):
            raise ConflictError("The archive holds a different file in place of one of this slide.")
        try:
            _fetch_file(services, key, path)
        except NotYetError as error:
            waiting = error
    if waiting is not None:
        raise waiting


def _fetch_file(services: Services, key: str, path: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    services.archive.fetch(key, path)
    path.chmod(0o444)
    atomic_write.flush(path.parent)


def forget(services: Services, image_id: str) -> None:
    """Remove the files of a purged slide's set from the archive."""
    for key, _, _ in _files(services, image_id):
        services.archive.remove(key)


def _files(services: Services, image_id: str) -> Iterator[tuple[str, str, StoredFile]]:
    """Yield the archive's keys of a set's files, with their names."""
    if (stored := listing_of(services.files, image_id)) is not None:
        for number, name in enumerate(sorted(stored.files)):
            yield f"{image_id}/{SET}/{number:05}", name, stored.files[name]
