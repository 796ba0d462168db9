"""Marks in the archive that say which installation an original belongs to.

Two installations may share one archive by mistake, or on purpose for different slides. An ImageID comes from the
scanner, so both may have a slide of the same one: without marks either could take the other's copy for its own, and
purge it. So an installation marks a key before it stores an original there, and leaves everything alone that carries
another's mark. Archives from before this version carry none: such an original is adopted where its content is the
record's and the slide's history says that this installation archived it.
"""

import secrets

from vsv.errors import ConflictError
from vsv.ingest.stored_slides import is_sha256
from vsv.records.models import JobKind, SlideRecord
from vsv.services import Services
from vsv.storage import owner_files
from vsv.storage.archive_marker import Archived, read_note
from vsv.storage.object_store import Stored
from vsv.storage.slide_files import SLIDE

# The file in the data folder that holds the installation's mark. It is made once, and backed up with the folder.
INSTALLATION = "installation"
_FOREIGN = (
    "The archive's original under this ImageID is marked as another installation's: it was left as it is. Give each"
    " installation an archive of its own (VSV_ARCHIVE), then try again; the guide to archiving says more under Marks."
)
_UNMARKED = (
    "The archive's original under this ImageID carries no mark, and nothing says that this installation stored it: it"
    " was left as it is. The guide to archiving says under Marks how to mark it, if it is this installation's."
)


def key_of(image_id: str) -> str:
    """Return the key of a slide's original in the archive; unique, because an ImageID is never reused."""
    return f"{image_id}/{SLIDE}"


def mark_of(services: Services) -> str:
    """Return the installation's mark, made at the first call."""
    return owner_files.claim(services.files.root / INSTALLATION, secrets.token_hex(16))


def is_ours(services: Services, image_id: str) -> bool:
    """Return whether an archived original carries this installation's mark; raise ConflictError for another's."""
    owner = services.archive.owner(key_of(image_id))
    if owner not in {None, mark_of(services)}:
        raise ConflictError(_FOREIGN)
    return owner is not None


def claim(services: Services, image_id: str) -> None:
    """Mark an archived original, stored already or not, as this installation's; raise ConflictError for another's."""
    if services.archive.claim(key_of(image_id), mark_of(services)) != mark_of(services):
        raise ConflictError(_FOREIGN)


def claim_for_archiving(services: Services, before: SlideRecord, content: Stored) -> None:
    """Mark the key that an original of this content is about to be stored under.

    ``before`` is the record before this job changed it. Another content is left to the store, which refuses it.
    Raises ConflictError for an original of the same content that may be another installation's.
    """
    if is_ours(services, before.image_id):
        return
    stored = services.archive.find(key_of(before.image_id))
    if stored == content and not _was_archived_here(services, before):
        raise ConflictError(_UNMARKED)
    if stored in {None, content}:
        claim(services, before.image_id)


def claim_for_purging(services: Services, record: SlideRecord) -> None:
    """Make sure that a purge removes this installation's original alone; raise ConflictError where it might not."""
    if not services.settings.archive or is_ours(services, record.image_id):
        return
    stored = services.archive.find(key_of(record.image_id))
    if stored is None:
        return
    known = _known_checksums(services, record)
    if (
        stored.size != record.file_size
        or known != {stored.sha256}
        or not _was_archived_here(services, record)
    ):
        raise ConflictError(_UNMARKED)
    claim(services, record.image_id)


def _known_checksums(services: Services, record: SlideRecord) -> set[str]:
    job, note = services.jobs.get(record.image_id, JobKind.ARCHIVE), _read_note(services, record.image_id)
    texts = record.checksum, note.sha256 if note else None, (job.result or {}).get("sha256") if job else None
    return {text.lower() for text in texts if text is not None and is_sha256(text)}


def _was_archived_here(services: Services, record: SlideRecord) -> bool:
    """Return whether this installation's records say that it moved the slide's original to the archive."""
    if record.original in {"ARCHIVED", "RESTORING"} or _read_note(services, record.image_id) is not None:
        return True
    token = None
    while True:
        page = services.slides.history(record.image_id, 100, token)
        if any(change.field == "Original" and change.new == "ARCHIVED" for change in page.items):
            return True
        if (token := page.next_token) is None:
            return False


def _read_note(services: Services, image_id: str) -> Archived | None:
    files = services.files
    return read_note(files.folder(image_id)) or read_note(files.deleted_folder(image_id))
