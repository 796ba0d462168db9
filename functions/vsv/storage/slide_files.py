"""Where everything lies: the folders of EFS, or of the standalone data folder."""

import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from vsv.errors import (
    AlreadyExistsError,
    BadRequestError,
    ConflictError,
    FileMissingError,
    ImageNotFoundError,
    SlideNotFoundError,
    TransferError,
)
from vsv.identifiers import checked_filename, checked_image_id, checked_run_id
from vsv.nonblocking import check_may_wait
from vsv.storage import atomic_write, nfs
from vsv.storage.archive_marker import NOTE, ORIGINAL, original_size

ASSOCIATED = ("label", "thumbnail", "macro")
SLIDE, CLAIM, IN_PLACE = ORIGINAL, "import.json", "in_place.json"
# Its modification time is when the slide was last opened.
OPENED, OPENED_SECONDS = "opened", 3600.0
FOLDERS = ("incoming", "taken", "slides", "deleted")
# What people are told where the operating system refuses.
DISK = "the data folder cannot be used now: is the disk full, read only or gone?"


@dataclass(frozen=True, slots=True)
class Claim:
    """Whose an ImageID is: one version of one file. It stays for ever, so that an ID is never given twice."""

    filename: str
    size: int
    checksum: str


@dataclass(frozen=True, slots=True)
class SlideFiles:
    """The data folder. Every name from outside is checked before it becomes part of a path."""

    root: Path

    def prepare(self) -> None:
        """Make the folders that must exist, where they do not."""
        missing = [path for name in FOLDERS if not (path := self.root / name).is_dir()]
        for path in missing:
            path.mkdir(parents=True, exist_ok=True)
        if missing:
            atomic_write.flush(self.root)

    def incoming(self, filename: str) -> Path:
        """Give where a transfer writes."""
        return self.root / "incoming" / checked_filename(filename)

    def taken(self, filename: str, run_id: str) -> Path:
        """Give where one run keeps its file: no transfer writes there. OpenSlide wants the suffix."""
        folder = self.root / "taken" / checked_filename(filename)
        return folder / (checked_run_id(run_id) + Path(filename).suffix.lower())

    def has_taken(self, filename: str, run_id: str) -> bool:
        """Tell whether a run has its file."""
        return nfs.is_there(self.taken(filename, run_id))

    def take(self, filename: str, run_id: str, size: int) -> Path:
        """Move an incoming file of that size to where only this run looks, and give its place there.

        A transfer may write to an incoming file again at any time; after this, no longer. What earlier runs of this
        filename have left behind goes. Taken already is taken. Raises FileMissingError; TransferError for another
        size: then the file stays where the next transfer compares it with the scanner's.
        """
        path, incoming = self.taken(filename, run_id), self.incoming(filename)
        if not path.is_symlink() and not nfs.is_there(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            _check_size(incoming, size)
            try:
                incoming.rename(path)
            except FileNotFoundError as error:
                raise FileMissingError("the file was removed while it was being checked") from error
            atomic_write.flush(path.parent)
            atomic_write.flush(incoming.parent)
        for other in path.parent.iterdir():
            if other != path:
                other.unlink(missing_ok=True)
        return path

    def leave(self, filename: str) -> None:
        """Remove the folder of what runs of this filename have taken, unless there is something in it."""
        with suppress(OSError):
            (self.root / "taken" / checked_filename(filename)).rmdir()

    def folder(self, image_id: str) -> Path:
        """Give a slide's folder."""
        return self.root / "slides" / checked_image_id(image_id)

    def deleted_folder(self, image_id: str) -> Path:
        """Give where a deleted slide waits, out of every reader's sight."""
        return self.root / "deleted" / checked_image_id(image_id)

    def slide(self, image_id: str) -> Path:
        """Give the imported original, which is not there while it is archived."""
        return self.folder(image_id) / SLIDE

    def pyramid(self, image_id: str) -> Path:
        """Give the file of rendered levels."""
        return self.folder(image_id) / "pyramid.tif"

    def associated(self, image_id: str, name: str) -> Path:
        """Give the label, thumbnail or macro."""
        return self.folder(image_id) / f"{name}.jpeg"

    def read_associated(self, image_id: str, name: str) -> bytes:
        """Read the label, thumbnail or macro; raises SlideNotFoundError, ImageNotFoundError or FileMissingError."""
        check_may_wait()
        try:
            return self.associated(image_id, name).read_bytes()
        except FileNotFoundError as error:
            if not self.is_served(image_id):
                raise SlideNotFoundError("slide not found") from error
            raise ImageNotFoundError(f"this slide has no {name}") from error
        except OSError as error:
            raise FileMissingError(f"the {name} cannot be read now") from error

    def number(self, number: int) -> Path:
        """Give the file that tells which slide has a number; ``numbers.py`` has what it holds."""
        return self.root / "numbers" / str(number)

    def mask_owner(self, shape_id: int) -> Path:
        """Give the file that tells which slide a mask belongs to; ``masks.py`` has what it holds."""
        return self.root / "shapes" / str(shape_id)

    def mask(self, image_id: str, shape_id: int) -> Path:
        """Give a stored mask: beside its slide, so that it is hidden, brought back and purged with it."""
        return self.folder(image_id) / f"mask-{shape_id}.png"

    def stored_size(self, image_id: str) -> int | None:
        """Give the size of the original where it is stored, here or archived, served or deleted; None where not."""
        for folder in (self.folder(image_id), self.deleted_folder(image_id)):
            if (size := original_size(folder)) is not None:
                return size
        return None

    def is_served(self, image_id: str) -> bool:
        """Tell whether there is a slide that can be shown, whether or not its original is archived."""
        return (self.folder(image_id) / SLIDE).exists() or (self.folder(image_id) / NOTE).exists()

    def note_opened(self, image_id: str) -> None:
        """Note that somebody looks at a slide, at most hourly; where nothing can be written, nothing is noted."""
        path, now = self.folder(image_id) / OPENED, time.time()
        with suppress(OSError):
            if not path.exists():
                path.touch()
            elif not 0 <= now - path.stat().st_mtime < OPENED_SECONDS:
                os.utime(path)

    def last_opened(self, image_id: str) -> float | None:
        """Give when a slide was last opened, in seconds since the epoch; None where nobody has noted it."""
        try:
            return (self.folder(image_id) / OPENED).stat().st_mtime
        except OSError:
            return None

    def is_hidden(self, image_id: str) -> bool:
        """Tell whether the slide was deleted: its files, or after a purge its claim, wait out of sight."""
        return self.deleted_folder(image_id).exists()

    def in_place(self, image_id: str) -> bool:
        """Tell whether the original is still where the scanner wrote it, and only linked here."""
        folders = self.folder(image_id), self.deleted_folder(image_id)
        return any((folder / SLIDE).is_symlink() for folder in folders)

    def link_original(self, filename: str, original: Path) -> None:
        """Let an incoming file be a link to where the scanner wrote it; raises BadRequestError for our own files."""
        link, target = self.incoming(filename), original.resolve(strict=True)
        own = (self.root / name for name in FOLDERS)
        if any(target.is_relative_to(folder.resolve()) for folder in own):
            raise BadRequestError("a file of the data folder itself cannot be imported in place")
        made = link.with_name(f"{os.urandom(8).hex()}{atomic_write.PART_SUFFIX}")
        made.symlink_to(target)
        made.replace(link)

    def note_original(self, image_id: str, size: int, modified: int) -> None:
        """Note what an original that stays in place was when it was linked, for ``check_original``."""
        note = {"size": size, "modified": modified}
        atomic_write.write(self.folder(image_id) / IN_PLACE, json.dumps(note).encode())

    def check_original(self, image_id: str) -> None:
        """Raise ConflictError where an original in place has been written to since: it may be another slide."""
        path = self.slide(image_id)
        if not path.is_symlink():
            return
        try:
            note, found = json.loads((self.folder(image_id) / IN_PLACE).read_bytes()), path.stat()
        except (OSError, ValueError) as error:
            raise FileMissingError("the original is no longer where it was imported from") from error
        if (note.get("size"), note.get("modified")) != (found.st_size, found.st_mtime_ns):
            raise ConflictError("the original file has been changed since it was imported")

    def claim(self, image_id: str, claim: Claim) -> None:
        """Take an ImageID for a file version, atomically; raises AlreadyExistsError where it is another's.

        Claiming again for the same file version succeeds: a step that was killed can be run again.
        """
        if self.is_hidden(image_id):
            raise AlreadyExistsError("this ImageID belonged to a slide that was deleted")
        folder = self.folder(image_id)
        made = self.root / "slides" / f".{os.urandom(8).hex()}{atomic_write.PART_SUFFIX}"
        made.mkdir()
        atomic_write.write(made / CLAIM, json.dumps(asdict(claim)).encode())
        try:
            # A folder replaces an empty folder or none; a slide's folder is never empty.
            made.rename(folder)
        except OSError as error:
            _remove(made, ignore_errors=True)
            if not folder.exists():
                raise  # the disk's doing, not another slide's
            if self._claimed(folder) != claim:
                raise AlreadyExistsError("this ImageID belongs to another slide") from error
            return
        if self.is_hidden(image_id):  # deleted between the look above and the rename
            _remove(folder)
            raise AlreadyExistsError("this ImageID belonged to a slide that was deleted")
        atomic_write.flush(self.root / "slides")

    def is_anothers(self, image_id: str, checksum: str | None) -> bool:
        """Tell whether an ImageID was claimed for another content."""
        claims = map(self._claimed, (self.folder(image_id), self.deleted_folder(image_id)))
        return any(claim is not None and claim.checksum != checksum for claim in claims)

    def _claimed(self, folder: Path) -> Claim | None:
        try:
            found: Mapping[str, object] = json.loads((folder / CLAIM).read_bytes())
            return Claim(str(found["filename"]), int(str(found["size"])), str(found["checksum"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def hide(self, image_id: str) -> None:
        """Move a slide out of every reader's sight, in one step; raises SlideNotFoundError."""
        self._move(self.folder(image_id), self.deleted_folder(image_id))

    def unhide(self, image_id: str) -> None:
        """Bring a hidden slide back, in one step; raises SlideNotFoundError."""
        self._move(self.deleted_folder(image_id), self.folder(image_id))

    def _move(self, old: Path, new: Path) -> None:
        nfs.look(old.parent, new.parent)  # another machine may have moved it back a moment ago
        try:
            old.rename(new)
        except FileNotFoundError as error:
            if new.exists():
                return  # a killed run got this far
            raise SlideNotFoundError("no files are stored for this slide") from error
        atomic_write.flush(old.parent)
        atomic_write.flush(new.parent)

    def purge(self, image_id: str) -> Mapping[str, int]:
        """Remove a hidden slide's files for good and give their names and sizes in bytes.

        Its claim stays, so that no other slide gets its ID.
        """
        folder = self.deleted_folder(image_id)
        if not folder.exists():
            raise SlideNotFoundError("only a deleted slide can be purged")
        # The original first, or what stands for it: half a slide must not be brought back.
        first = {SLIDE, NOTE}
        going = sorted((p for p in folder.iterdir() if p.name != CLAIM), key=lambda p: p.name not in first)
        removed = {path.name: path.lstat().st_size for path in going}
        for path in going:
            path.unlink(missing_ok=True)
        atomic_write.flush(folder)
        return removed

    def sweep(self) -> None:
        """Remove what killed runs left behind: temporary files and unfinished claims."""
        taken, slides, deleted = (self.root / name for name in ("taken", "slides", "deleted"))
        indexes = (self.root / "numbers", self.root / "shapes")
        swept = (*indexes, *taken.iterdir(), *slides.iterdir(), *deleted.iterdir())
        for folder in (self.root / "incoming", *swept):
            if folder.is_dir() and not folder.name.endswith(atomic_write.PART_SUFFIX):
                atomic_write.sweep(folder)
        for folder in taken.iterdir():
            if atomic_write.is_stale(folder):  # a run may be about to take a file into it
                self.leave(folder.name)
        for unfinished in slides.glob(f".*{atomic_write.PART_SUFFIX}"):
            if atomic_write.is_stale(unfinished):  # another process may be claiming at this moment
                _remove(unfinished, ignore_errors=True)


def _check_size(incoming: Path, size: int) -> None:
    if nfs.has_size(incoming, size):
        return
    if (found := nfs.size_of(incoming)) is None:
        raise FileMissingError("the file has not arrived: is it still in the scanner's folder?")
    raise TransferError(f"{found} of {size} bytes are here: the transfer is not complete")


def store_original(source: Path, target: Path) -> None:
    """Move an original to its final place by rename, read-only from then on; done already is done."""
    try:
        if not source.is_symlink():
            with suppress(
                PermissionError
            ):  # on EFS it may be another user's file; to rename it needs the folder
                source.chmod(0o444)
        source.rename(target)
    except FileNotFoundError as error:
        if target.exists():
            return
        raise FileMissingError("the transferred file is missing") from error
    if not target.is_symlink():
        atomic_write.flush(target)
    atomic_write.flush(target.parent)
    atomic_write.flush(source.parent)


def _remove(folder: Path, *, ignore_errors: bool = False) -> None:
    import shutil  # noqa: PLC0415  cold start: brings every kind of archive, and a tile removes nothing

    shutil.rmtree(folder, ignore_errors=ignore_errors)
