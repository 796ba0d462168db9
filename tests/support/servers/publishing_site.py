"""Installations whose slides are published in tests, and a process that dies while it publishes one.

python publishing_site.py DATA IMAGE_ID KIND NAME EVENT
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vsv.deidentification.publishing import publish_step, withdraw_step
from vsv.ingest.id_pattern import parse_ids
from vsv.pyramids.renderer import render_pyramid
from vsv.records.models import JobKind, JobRecord, JobState, SlideRecord, Status, job_id
from vsv.services import Services
from vsv.storage.slide_files import Claim
from vsv.timestamps import now_utc

from vsv_local.composition import standalone

# Audit events of changes to the disk, at which a process may die.
_CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link", "os.chmod", "os.truncate"}
BARCODE = "S12-34567-A1-B"


@contextmanager
def publishing(data: Path) -> Iterator[Services]:
    """Yield an installation that publishes into a folder of its data folder."""
    with standalone(data) as (services, _intake):
        yield services


def store(services: Services, image_id: str, content: bytes, **fields: Any) -> SlideRecord:
    """Store a slide as an import leaves it."""
    services.files.claim(image_id, Claim("a.svs", len(content), "0" * 64))
    services.files.slide(image_id).write_bytes(content)
    slide = services.slide_cache.slide(image_id)
    render_pyramid(slide, services.files.pyramid(image_id), jobs=1)
    services.slide_cache.forget(image_id)
    told: dict[str, Any] = {
        "slide_id": BARCODE, "case_id": parse_ids(BARCODE).case, "barcode": BARCODE,
        "scan_date": "2009-12-29T09:59:15", "reviewer": "Dr. Quincy", "note": "seen by Dr. Kildare",
        "status": Status.GOOD,
    }  # fmt: skip
    record = SlideRecord(
        image_id=image_id,
        filename="S12-34567-A1.svs",
        width=slide.grid.width_px,
        height=slide.grid.height_px,
        file_size=len(content),
        last_modified=now_utc(),
        **(told | fields),
    )
    services.slides.put_new(record)
    return record


def job(image_id: str, kind: JobKind, **detail: str) -> JobRecord:
    """Return a job as a step gets it."""
    now = now_utc()
    return JobRecord(
        job_id=job_id(image_id, kind),
        kind=kind,
        image_id=image_id,
        run_id="run",
        state=JobState.WAITING,
        by="Eve",
        next_at=now,
        detail=detail,
        requested_at=now,
        updated_at=now,
    )


def publish(services: Services, image_id: str, name: str, policy: str = "") -> Any:
    """Run the step."""
    detail = {"name": name} | ({"policy": policy} if policy else {})
    return publish_step(services, job(image_id, JobKind.PUBLISH, **detail))


def withdraw(services: Services, image_id: str) -> Any:
    """Run the step."""
    return withdraw_step(services, job(image_id, JobKind.WITHDRAW))


def _die_at(event: int) -> None:
    """Make this process kill itself, without cleaning up, just before its n-th change to the disk."""
    left = event

    def hook(name: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        writes = name == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if (name in _CHANGES or writes) and "sqlite" not in str(arguments[0]):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), 9)

    sys.addaudithook(hook)


def _main() -> None:
    data, image_id, kind, name, event = sys.argv[1:]
    with publishing(Path(data)) as services:
        _die_at(int(event))
        publish(services, image_id, name) if kind == JobKind.PUBLISH else withdraw(services, image_id)


if __name__ == "__main__":
    _main()
