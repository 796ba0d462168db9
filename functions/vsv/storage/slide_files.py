"""Slide files: the layout of the data folder, on EFS or on one machine, and the steps that move files in it."""

import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from vsv.errors import (
    AlreadyExistsError,
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
SLIDE, CLAIM = ORIGINAL, "import.json"
# The file whose modification time is when the slide was last opened.
OPENED, OPENED_SECONDS = "opened", 3600.0
FOLDERS = ("incoming", "taken", "slides", "deleted")
# The message for errors of the operating system.
DISK = "the data folder cannot be used now: is the disk full, read only or gone?"


@dataclass(frozen=True, slots=True)
class Claim:
    """The file version that an ImageID belongs to. A claim is never removed, so that no ID is assigned twice."""

    filename: str
    size: int
    checksum: str


@dataclass(frozen=True, slots=True)
class SlideFiles:
    """The data folder. Every name from outside is validated before it becomes part of a path."""

    root: Path

    def prepare(self) -> None:
        """Create the missing ones of the folders that must exist."""
        missing = [path for name in FOLDERS if not (path := self.root / name).is_dir()]
        for path in missing:
            path.mkdir(parents=True, exist_ok=True)
        if missing:
            atomic_write.flush(self.root)

    def incoming(self, filename: str) -> Path:
        """Return the path that a transfer writes to."""
        return self.root / "incoming" / checked_filename(filename)

    def taken(self, filename: str, run_id: str) -> Path:
        """Return the path of a run's own file, which no transfer writes to. OpenSlide needs the suffix."""
        folder = self.root / "taken" / checked_filename(filename)
        return folder / (checked_run_id(run_id) + Path(filename).suffix.lower())

    def has_taken(self, filename: str, run_id: str) -> bool:
        """Return whether a run has taken its file."""
        return nfs.exists_uncached(self.taken(filename, run_id))

    def take(self, filename: str, run_id: str, size: int) -> Path:
        """Move an incoming file of that size, or the folder of its set, to the run's own path; return that path.

        A transfer may write to an incoming file again at any time, but not to a taken file. Files that earlier runs
        of this filename have left are removed. Idempotent. Raise FileMissingError; raise TransferError for another
        size: then the file stays in place, where the next transfer compares it with the scanner's file.
        """
        from vsv.storage import set_folder  # noqa: PLC0415  cold start

        path, incoming = self.taken(filename, run_id), self.incoming(filename)
        if not path.is_symlink() and not nfs.exists_uncached(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            _check_size(set_folder.opened(incoming) if incoming.is_dir() else incoming, size)
            try:
                incoming.rename(path)
            except FileNotFoundError as error:
                raise FileMissingError("the file was removed while it was being checked") from error
            atomic_write.flush(path.parent)
            atomic_write.flush(incoming.parent)
        for other in path.parent.iterdir():
            if other != path:
                set_folder.remove(other)
        return path

    def set_aside(self, filename: str, run_id: str) -> None:
        """Let a run take its file again; until then the taken file, maybe the only copy, has another name."""
        path = self.taken(filename, run_id)
        with suppress(FileNotFoundError):
            path.rename(path.with_name(f"{path.stem}.unfinished"))

    def remove_taken_folder(self, filename: str) -> None:
        """Remove the folder of the files taken by runs of this filename, where the folder is empty."""
        with suppress(OSError):
            (self.root / "taken" / checked_filename(filename)).rmdir()

    def folder(self, image_id: str) -> Path:
        """Return a slide's folder."""
        return self.root / "slides" / checked_image_id(image_id)

    def deleted_folder(self, image_id: str) -> Path:
        """Return the folder of a deleted slide, hidden from all readers."""
        return self.root / "deleted" / checked_image_id(image_id)

    def slide(self, image_id: str) -> Path:
        """Return the path of the imported original, a file that does not exist while the original is archived."""
        return self.folder(image_id) / SLIDE

    def pyramid(self, image_id: str) -> Path:
        """Return the path of the rendered levels."""
        return self.folder(image_id) / "pyramid.tif"

    def associated(self, image_id: str, name: str) -> Path:
        """Return the path of the label, thumbnail or macro."""
        return self.folder(image_id) / f"{name}.jpeg"

    def read_associated(self, image_id: str, name: str) -> bytes:
        """Read the label, thumbnail or macro; raise SlideNotFoundError, ImageNotFoundError or FileMissingError."""
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
        """Return the owner file of a numeric ID; see ``numeric_ids``."""
        return self.root / "numbers" / str(number)

    def mask_owner(self, shape_id: int) -> Path:
        """Return the owner file of a mask's shape ID; see ``rendering.masks``."""
        return self.root / "shapes" / str(shape_id)

    def mask(self, image_id: str, shape_id: int) -> Path:
        """Return the path of a mask: in the slide's folder, to be hidden, restored and purged with the slide."""
        return self.folder(image_id) / f"mask-{shape_id}.png"

    def stored_size(self, image_id: str) -> int | None:
        """Return the size of the original, stored or archived, of a served or deleted slide; None without one."""
        for folder in (self.folder(image_id), self.deleted_folder(image_id)):
            if (size := original_size(folder)) is not None:
                return size
        return None

    def is_served(self, image_id: str) -> bool:
        """Return whether a slide can be shown, whether or not its original is archived."""
        return (self.folder(image_id) / SLIDE).exists() or (self.folder(image_id) / NOTE).exists()

    def note_opened(self, image_id: str) -> None:
        """Record that a slide was opened, at most once an hour; do nothing where the file cannot be written."""
        path, now = self.folder(image_id) / OPENED, time.time()
        with suppress(OSError):
            if not path.exists():
                path.touch()
            elif not 0 <= now - path.stat().st_mtime < OPENED_SECONDS:
                os.utime(path)

    def last_opened(self, image_id: str) -> float | None:
        """Return when a slide was last opened, in seconds since the epoch; None where that was not recorded."""
        try:
            return (self.folder(image_id) / OPENED).stat().st_mtime
        except OSError:
            return None

    def is_hidden(self, image_id: str) -> bool:
        """Return whether a slide was deleted: its files, or after a purge its claim, are in the hidden folder."""
        return self.deleted_folder(image_id).exists()

    def in_place(self, image_id: str) -> bool:
        """Return whether the original is a link to the scanner's file."""
        folders = self.folder(image_id), self.deleted_folder(image_id)
        return any((folder / SLIDE).is_symlink() for folder in folders)

    def claim(self, image_id: str, claim: Claim) -> None:
        """Claim an ImageID for a file version, atomically; raise AlreadyExistsError where another one has claimed it.

        Idempotent for the same file version: a killed step can be run again.
        """
        if self.is_hidden(image_id):
            raise AlreadyExistsError("this ImageID belonged to a slide that was deleted")
        folder = self.folder(image_id)
        unfinished = self.root / "slides" / f".{os.urandom(8).hex()}{atomic_write.PART_SUFFIX}"
        unfinished.mkdir()
        atomic_write.write(unfinished / CLAIM, json.dumps(asdict(claim)).encode())
        try:
            # A folder replaces an empty folder or none; a slide's folder is never empty.
            unfinished.rename(folder)
        except OSError as error:
            _remove(unfinished, ignore_errors=True)
            if not folder.exists():
                raise  # an error of the disk, not a conflict with another slide
            if self._read_claim(folder) != claim:
                raise AlreadyExistsError("this ImageID belongs to another slide") from error
            return
        if self.is_hidden(image_id):  # deleted between the check above and the rename
            _remove(folder)
            raise AlreadyExistsError("this ImageID belonged to a slide that was deleted")
        atomic_write.flush(self.root / "slides")

    def claim_again(self, image_id: str, claim: Claim) -> None:
        """Replace the claim of an ImageID, for a file that was half-written when it claimed the ID."""
        atomic_write.write(self.folder(image_id) / CLAIM, json.dumps(asdict(claim)).encode())

    def is_claimed_by_another(self, image_id: str, checksum: str | None) -> bool:
        """Return whether an ImageID was claimed for other content."""
        claims = map(self._read_claim, (self.folder(image_id), self.deleted_folder(image_id)))
        return any(claim is not None and claim.checksum != checksum for claim in claims)

    def _read_claim(self, folder: Path) -> Claim | None:
        try:
            fields: Mapping[str, object] = json.loads((folder / CLAIM).read_bytes())
            return Claim(str(fields["filename"]), int(str(fields["size"])), str(fields["checksum"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def hide(self, image_id: str) -> None:
        """Hide a slide from all readers, atomically; raise SlideNotFoundError where it has no files."""
        self._move(self.folder(image_id), self.deleted_folder(image_id))

    def unhide(self, image_id: str) -> None:
        """Restore a hidden slide, atomically; raise SlideNotFoundError where it has no files."""
        self._move(self.deleted_folder(image_id), self.folder(image_id))

    def _move(self, old: Path, new: Path) -> None:
        nfs.revalidate(old.parent, new.parent)  # another machine may have moved the folder back a moment ago
        try:
            old.rename(new)
        except FileNotFoundError as error:
            if new.exists():
                return  # a killed run had already moved the folder
            raise SlideNotFoundError("no files are stored for this slide") from error
        atomic_write.flush(old.parent)
        atomic_write.flush(new.parent)

    def purge(self, image_id: str) -> Mapping[str, int]:
        """Remove a hidden slide's files permanently; return their names and sizes in bytes.

        The claim stays, so that no other slide gets the ID.
        """
        from vsv.storage import set_folder  # noqa: PLC0415  cold start

        folder = self.deleted_folder(image_id)
        if not folder.exists():
            raise SlideNotFoundError("only a deleted slide can be purged")
        # The original, or its archive marker, is removed first: a partly removed slide must not be restored.
        removed_first = {SLIDE, NOTE}
        files = sorted(
            (p for p in folder.iterdir() if p.name != CLAIM), key=lambda p: p.name not in removed_first
        )
        removed = {path.name: set_folder.size_of(path) for path in files}
        for path in files:
            if path.name == set_folder.SET:
                set_folder.remove_files(path)
            else:
                path.unlink(missing_ok=True)
        atomic_write.flush(folder)
        return removed

    def sweep(self) -> None:
        """Remove what killed runs have left: temporary files and unfinished claims."""
        taken, slides, deleted = (self.root / name for name in ("taken", "slides", "deleted"))
        indexes = (self.root / "numbers", self.root / "shapes", self.root / "purged")
        swept = (*indexes, *taken.iterdir(), *slides.iterdir(), *deleted.iterdir())
        for folder in (self.root / "incoming", *swept):
            if folder.is_dir() and not folder.name.endswith(atomic_write.PART_SUFFIX):
                atomic_write.sweep(folder)
        for folder in taken.iterdir():
            if atomic_write.is_stale(folder):  # a run may be about to move a file into the folder
                self.remove_taken_folder(folder.name)
        sets = (self.root / "incoming").glob(f"*{atomic_write.PART_SUFFIX}")
        for unfinished in (*slides.glob(f".*{atomic_write.PART_SUFFIX}"), *filter(Path.is_dir, sets)):
            if atomic_write.is_stale(unfinished):  # another process may be writing this claim or set
                _remove(unfinished, ignore_errors=True)


def _check_size(incoming: Path, size: int) -> None:
    if nfs.has_size(incoming, size):
        return
    if (actual := nfs.size_of(incoming)) is None:
        raise FileMissingError("the file has not arrived: is it still in the scanner's folder?")
    raise TransferError(f"{actual} of {size} bytes are here: the transfer is not complete")


def _remove(folder: Path, *, ignore_errors: bool = False) -> None:
    import shutil  # noqa: PLC0415  cold start: imports all archive formats, and a tile removes nothing

    shutil.rmtree(folder, ignore_errors=ignore_errors)
