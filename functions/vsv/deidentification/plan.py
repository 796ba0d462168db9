"""Plan of a publication, stored in the original's folder: after a crash the job continues by its plan."""

import json
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from vsv.deidentification.policy import MAX_BYTES
from vsv.errors import AlreadyExistsError, BadRequestError, ConflictError, UnavailableError
from vsv.records.models import SlideRecord
from vsv.services import Services
from vsv.storage import atomic_write, nfs
from vsv.storage.slide_files import CLAIM, Claim, SlideFiles
from vsv.storage.stored_set import is_set_checksum
from vsv.timestamps import now_utc

NOTE, POLICY_FILE = "publishing.json", "publishing.toml"
STAGE = "publishing"


@dataclass(frozen=True, slots=True)
class Plan:
    """A publication of a slide.

    ``policy`` is the text of the policy file. ``token`` marks the claim of the name as this publication's: the copy
    itself reveals nothing of its original. ``sha256`` and ``size`` are the copy's, once the copy was made and the PHI
    scan found no leak.
    """

    name: str
    policy: str
    when: str
    token: str
    sha256: str = ""
    size: int = 0

    @property
    def claim(self) -> Claim:
        """Claim that marks the name as this publication's."""
        return Claim(self.token, self.size, self.sha256)


def new_plan(name: str, policy: str) -> Plan:
    """Return the plan of a new publication under a name."""
    return Plan(name, policy, now_utc(), secrets.token_hex(16))


def note_path(files: SlideFiles, image_id: str) -> Path:
    """Return the present path of a slide's plan: a deletion, possible at any time, changes the slide's folder."""
    is_hidden = files.is_hidden(image_id)
    return (files.deleted_folder(image_id) if is_hidden else files.folder(image_id)) / NOTE


def stage_folder(files: SlideFiles, image_id: str) -> Path:
    """Return the folder in which a slide's copy is made, hidden from all readers."""
    return files.root / STAGE / files.folder(image_id).name


def read_plan(files: SlideFiles, image_id: str) -> Plan | None:
    """Return the plan of a slide's publication, begun or completed; None without a plan; raise UnavailableError."""
    try:
        return Plan(**json.loads(note_path(files, image_id).read_bytes()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise UnavailableError("the note of what this slide is published as is damaged") from error


def write_plan(files: SlideFiles, image_id: str, plan: Plan) -> Plan:
    """Write a plan to the slide's folder; return the plan."""
    atomic_write.write(note_path(files, image_id), json.dumps(asdict(plan)).encode())
    return plan


def is_ours(files: SlideFiles, plan: Plan) -> bool:
    """Return whether the plan's name was claimed for the plan, also where the copy was hidden since."""
    folders = files.folder(plan.name), files.deleted_folder(plan.name)
    return bool(plan.sha256) and any(_read_claim(folder) == asdict(plan.claim) for folder in folders)


def _read_claim(folder: Path) -> Any:
    nfs.revalidate(folder.parent, folder)
    try:
        return json.loads((folder / CLAIM).read_bytes())
    except (OSError, ValueError):
        return None


def check_free(services: Services, name: str) -> None:
    """Raise AlreadyExistsError where a name belongs, or has belonged, to a slide."""
    if services.files.is_hidden(name):
        raise AlreadyExistsError(
            f"{name} was the name of a slide that was withdrawn or deleted: choose another"
        )
    if nfs.exists_uncached(services.files.folder(name)) or services.slides.get(name) is not None:
        raise AlreadyExistsError(f"{name} is the name of another slide: choose another")


def check_is_one_file(record: SlideRecord) -> None:
    """Raise ConflictError for a slide of several files: their texts and pictures cannot be de-identified."""
    if is_set_checksum(record.checksum):
        raise ConflictError(
            "This slide has several files (MRXS, VMS or VMU): they cannot be de-identified, nor be published."
        )


def policy_text(services: Services, requested: str | None) -> str:
    """Return the requested policy's text, else the data folder's; empty for the default; raise BadRequestError."""
    if requested:
        return requested
    try:
        return (services.files.root / POLICY_FILE).read_bytes()[: MAX_BYTES + 1].decode()
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError as error:
        raise BadRequestError("the publishing policy is not a text of UTF-8") from error
