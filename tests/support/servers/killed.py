"""A slide taken through its life, each step in a process of its own that is killed at a random moment."""

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from vsv.lifecycle import job_runner, requests
from vsv.records.models import JobKind, JobRecord, JobState, SlideRecord, Status
from vsv.services import Services
from vsv.timestamps import now_utc
from vsv.workflow.transitions import Decider, change

from tests.support.paths import ROOT
from vsv_local.composition import standalone

ADMIN = Decider("Eve", is_admin=True)
_PROGRAM = "import sys; from tests.support.servers.killed import main; main(*sys.argv[1:])"


@dataclass(frozen=True)
class Transition:
    """One step: how it is begun, its job if it has one, and whether record and files show that it is complete."""

    begin: Callable[[Services, str, str], JobRecord | SlideRecord]
    kind: JobKind | None
    is_complete: Callable[[Services, SlideRecord], bool]


def _is_here(services: Services, record: SlideRecord) -> bool:
    return record.original is None and services.files.slide(record.image_id).exists()


# A published name is never used twice, so it is an argument.
TRANSITIONS: Mapping[str, Transition] = {
    "publish": Transition(
        lambda services, image_id, name: requests.publish(services, image_id, name, ADMIN),
        JobKind.PUBLISH,
        lambda services, record: (
            record.status is Status.PUBLISHED
            and record.published_as is not None
            and services.files.slide(record.published_as).exists()
            and services.published.find(f"{record.published_as}.svs") is not None
        ),
    ),
    "withdraw": Transition(
        lambda services, image_id, _name: requests.withdraw(services, image_id, ADMIN),
        JobKind.WITHDRAW,
        lambda services, record: (
            (record.status, record.published_as) == (Status.GOOD, None) and _is_here(services, record)
        ),
    ),
    "archive": Transition(
        lambda services, image_id, _name: requests.archive(services, image_id, ADMIN),
        JobKind.ARCHIVE,
        lambda services, record: (
            (record.status, record.original) == (Status.ARCHIVED, "ARCHIVED")
            and not services.files.slide(record.image_id).exists()
        ),
    ),
    "restore": Transition(
        lambda services, image_id, _name: requests.restore(services, image_id, ADMIN),
        JobKind.RESTORE,
        lambda services, record: record.status is Status.GOOD and _is_here(services, record),
    ),
    "send": Transition(
        lambda services, image_id, _name: change(services, image_id, {"status": Status.SENT}, ADMIN),
        JobKind.SEND,
        lambda _services, record: (record.status, record.delivery) == (Status.SENT, "DELIVERED"),
    ),
    "delete": Transition(
        lambda services, image_id, _name: change(services, image_id, {"status": Status.DELETED}, ADMIN),
        None,
        lambda services, record: (
            record.status is Status.DELETED and not services.files.folder(record.image_id).exists()
        ),
    ),
    "undelete": Transition(
        lambda services, image_id, _name: change(services, image_id, {"status": Status.NEW}, ADMIN),
        None,
        lambda services, record: record.status is Status.NEW and _is_here(services, record),
    ),
    "purge": Transition(
        lambda services, image_id, _name: requests.purge(services, image_id, image_id, ADMIN),
        JobKind.PURGE,
        lambda _services, record: record.original == "PURGED",
    ),
    "mark": Transition(
        lambda services, image_id, _name: change(services, image_id, {"status": Status.GOOD}, ADMIN),
        None,
        lambda _services, record: record.status is Status.GOOD,
    ),
}
# The steps in their order: each begins with the slide as the one before has left it.
LIFE = ("mark", "publish", "withdraw", "archive", "restore", "send", "delete", "undelete")


def main(data: str, image_id: str, step: str, name: str) -> None:
    """Do one step; run as the process that is killed."""
    with standalone(Path(data)) as (services, _intake):
        _begin(services, image_id, step, name)


def _begin(services: Services, image_id: str, step: str, name: str) -> None:
    transition = TRANSITIONS[step]
    transition.begin(services, image_id, name)
    if transition.kind is not None:
        job = services.jobs.get(image_id, transition.kind)
        assert job is not None
        job_runner.run(services, job)


@dataclass
class Drill:
    """One slide of a data folder, with the checksum of its original."""

    data: Path
    image_id: str
    sha256: str
    chance: random.Random
    # Duration of each step when it is not killed, in seconds: it is killed at a moment within.
    lengths: dict[str, float] = field(default_factory=dict)
    killed: int = 0

    @contextmanager
    def opened(self) -> Iterator[Services]:
        with standalone(self.data) as (services, _intake):
            yield services

    def go(self, step: str, name: str, kills: int) -> None:
        """Take the slide a step on: killed some times, checked each time, then completed."""
        for _ in range(kills):
            self.killed += self.kill(step, name)
            self.check()
        self._complete(step, name)
        self.check()

    def kill(self, step: str, name: str) -> bool:
        """Begin a step in a process of its own and kill it; return whether it was killed before its end."""
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", _PROGRAM, str(self.data), self.image_id, step, name],
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "functions")])},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _wait_for_records(process, self.data)
        # The random moment of the kill, not a wait for something.
        time.sleep(self.chance.uniform(0, self.lengths.get(step, 0.3)))
        process.send_signal(signal.SIGKILL)
        return process.wait(60) == -signal.SIGKILL

    def check(self) -> None:
        """Check that the original is complete somewhere, and where the record says."""
        with self.opened() as services:
            record, places = self._record(services), self._places(services)
            assert places, "the original is whole nowhere"
            if record.original is None:
                assert {"here", "deleted"} & places, "the record says that the original is here"
            if record.original == "ARCHIVED":
                assert "archived" in places, "the record says that the original is archived"
            if record.status is Status.SENT:
                assert record.delivery == "DELIVERED"
            if record.status is Status.PUBLISHED:
                assert record.published_as is not None
                assert services.published.find(f"{record.published_as}.svs") is not None

    def _places(self, services: Services) -> set[str]:
        files = {
            "here": services.files.slide(self.image_id),
            "deleted": services.files.deleted_folder(self.image_id) / "slide.svs",
        }
        found = {place for place, path in files.items() if _sha256(path) == self.sha256}
        stored = services.archive.find(f"{self.image_id}/slide.svs")
        if stored is not None and stored.sha256 == self.sha256:
            found.add("archived")
        return found

    def _complete(self, step: str, name: str) -> None:
        """Complete a step as a restarted server and its user do: run the waiting job, or request the step again."""
        transition, began = TRANSITIONS[step], time.monotonic()
        with self.opened() as services:
            job = services.jobs.get(self.image_id, transition.kind) if transition.kind is not None else None
            if job is not None and job.state is JobState.WAITING:
                job = job_runner.run(services, services.jobs.advance(job, {"next_at": now_utc()}))
                assert job.state is JobState.DONE, f"{step}: {job.error}"
            if not transition.is_complete(services, self._record(services)):
                began = time.monotonic()
                _begin(services, self.image_id, step, name)
                self.lengths[step] = max(0.02, time.monotonic() - began)
            record = self._record(services)
            assert transition.is_complete(services, record), f"{step}: {record}"

    def _record(self, services: Services) -> SlideRecord:
        record = services.slides.get(self.image_id)
        assert record is not None
        return record


def _wait_for_records(process: subprocess.Popen[bytes], data: Path) -> None:
    """Wait until a process has opened the records: before that a kill tests nothing."""
    database, until = str((data / "records.sqlite").resolve()), time.monotonic() + 30
    folder = Path(f"/proc/{process.pid}/fd")
    while time.monotonic() < until and process.poll() is None:
        try:
            if any(str(one.readlink()) == database for one in folder.iterdir()):
                return
        except OSError:
            continue  # the file was closed in the meantime
        time.sleep(0.001)


def _sha256(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None
