"""Content that was purged: its import is refused, unless a person imports the file again on purpose."""

from dataclasses import replace

from vsv.records.models import ImportRecord
from vsv.services import Services
from vsv.storage.tombstones import Tombstone, read_tombstone, write_tombstone

AGAIN = (
    'To import it again on purpose: "Import again" in the list of imports, vsv import --again FILE, or retryImport '
    "with again: true"
)


def purged(services: Services, checksum: str | None) -> Tombstone | None:
    """Return the tombstone of a purged slide's content; None where it is no purged slide's, or was lifted."""
    tombstone = read_tombstone(services.files.root, checksum) if checksum is not None else None
    return None if tombstone is None or tombstone.lifted else tombstone


def reason_to_refuse(services: Services, run: ImportRecord, checksum: str) -> str | None:
    """Return why a run's content is not imported; None where it is no purged slide's, or is imported on purpose.

    An import on purpose lifts the tombstone: until the new slide is purged, its file is known like any other.
    """
    tombstone = purged(services, checksum)
    if tombstone is None:
        return None
    if run.again:
        write_tombstone(services.files.root, checksum, replace(tombstone, lifted=True))
        return None
    return refusal(tombstone)


def refusal(tombstone: Tombstone) -> str:
    """Return the message that refuses a purged slide's file."""
    day = f" on {tombstone.at[:16].replace('T', ' ')} UTC" if tombstone.at else ""
    person = f" by {tombstone.by}" if tombstone.by else ""
    return f"This slide was purged{day}{person}, so its file is not imported by itself. {AGAIN}."
