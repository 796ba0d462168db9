"""Archiving and restoring killed at random moments, and before each flush. VSV_KILL_ROUNDS asks for more rounds."""

import hashlib
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from vsv.ingest.steps import render
from vsv.lifecycle import archiving, job_runner, requests
from vsv.pyramids.self_contained import check_complete
from vsv.records.models import JobKind, JobState, Status
from vsv.services import Services
from vsv.storage import atomic_write
from vsv.storage.archive_marker import read_note
from vsv.storage.object_store import Stored
from vsv.workflow import job_queue
from vsv.workflow.transitions import change

from tests.support.paths import ROOT
from tests.support.servers.archive_site import ADMIN, answers, brought, record
from tests.support.servers.running import Site, running_site
from tests.support.slides.small import slide_bytes

ROUNDS = int(os.environ.get("VSV_KILL_ROUNDS", "6"))
CONTENT = slide_bytes(side=3000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
ID = "1004486"
KINDS = (JobKind.ARCHIVE, JobKind.RESTORE)

# Archives and restores in turn, until it is killed.
ENDLESS = """
import sys
from pathlib import Path
from vsv.lifecycle import job_runner, requests
from vsv.workflow.transitions import Decider
from vsv_local.composition import standalone
with standalone(Path(sys.argv[1])) as (services, _intake):
    print("begun", flush=True)
    while True:
        is_here = services.slides.get(sys.argv[2]).original is None
        ask = requests.archive if is_here else requests.restore
        job = ask(services, sys.argv[2], Decider("vsv", is_admin=True))
        assert job_runner.run(services, job).error is None
"""


def check_safe(services: Services) -> None:
    """Check what must be true at every moment: the original is whole somewhere, and the slide is shown."""
    original = services.files.slide(ID)
    is_there = services.archive.find(archiving.key_of(ID)) == Stored(len(CONTENT), SHA256)
    assert original.exists() or is_there
    if original.exists():
        assert original.read_bytes() == CONTENT
    if is_there:
        assert (services.files.root / "archive" / ID / "slide.svs").read_bytes() == CONTENT
    assert services.files.stored_size(ID) == len(CONTENT)
    assert services.slide_cache.slide(ID).levels.keys() == set(range(13))
    found = record(services, ID)
    assert found.original is not None or original.exists()
    assert found.original != "ARCHIVED" or read_note(services.files.folder(ID)) is not None


def check_ended(services: Services) -> None:
    """Finish what is waiting, and check that record and files say the same."""
    for job in job_queue.slide_jobs(services, ID):
        if job.kind in KINDS and job.state is JobState.WAITING:
            assert job_runner.run(services, job).state is JobState.DONE
    found, is_here = record(services, ID), services.files.slide(ID).exists()
    assert found.original == (None if is_here else "ARCHIVED")
    assert found.status is (Status.GOOD if is_here else Status.ARCHIVED)
    assert (read_note(services.files.folder(ID)) is None) == is_here
    if not is_here:
        check_complete(services.files.pyramid(ID))


def prepared(site: Site) -> None:
    brought(site, CONTENT)
    change(site.services, ID, {"status": Status.GOOD}, ADMIN)


def test_archiving_killed_at_random_moments_completes_and_keeps_the_original_whole(tmp_path: Path) -> None:
    chance = random.Random(20261121)
    with running_site(tmp_path) as site:
        prepared(site)
        before = answers(site.services, ID)
    for _ in range(ROUNDS):
        _killed(tmp_path / "data", chance.uniform(0, 0.6))
        with running_site(tmp_path) as site:
            check_safe(site.services)
            check_ended(site.services)
            check_safe(site.services)
    with running_site(tmp_path) as site:
        assert answers(site.services, ID) == before
        assert list((tmp_path / "data/slides" / ID).glob("*.svs.*")) == []


def _killed(data: Path, after_s: float) -> None:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'functions'}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-c", ENDLESS, str(data), ID]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout is not None
            assert running.stdout.readline() == "begun\n"
            time.sleep(after_s)  # the moment that is tested, not a wait for something
        finally:
            running.kill()


class KilledError(BaseException):
    """Nothing is done after this but what a block's end does."""


@pytest.mark.parametrize("kind", KINDS)
def test_archiving_and_restore_killed_before_each_flush_complete_when_run_again(
    site: Site, monkeypatch: pytest.MonkeyPatch, kind: JobKind
) -> None:
    prepared(site)
    moments = 0
    while _is_killed(site.services, monkeypatch, kind, moments):
        check_safe(site.services)
        check_ended(site.services)
        moments += 1
        site.services.files.pyramid(ID).unlink(missing_ok=True)  # so that it is completed each time
        _begin_again(site.services, kind)
    check_safe(site.services)
    check_ended(site.services)
    assert moments >= (2 if kind is JobKind.RESTORE else 4)


def _is_killed(services: Services, monkeypatch: pytest.MonkeyPatch, kind: JobKind, moment: int) -> bool:
    """Run a job until its flushes are used up; tell whether they were."""
    if kind is JobKind.RESTORE:
        job_runner.run(services, requests.archive(services, ID, ADMIN))
    flush, left = atomic_write.flush, iter(range(moment))

    def flush_or_die(path: Path) -> None:
        if next(left, None) is None:
            raise KilledError
        flush(path)

    job = (requests.restore if kind is JobKind.RESTORE else requests.archive)(services, ID, ADMIN)
    with monkeypatch.context() as patched:
        patched.setattr(atomic_write, "flush", flush_or_die)
        try:
            job_runner.run(services, job)
        except KilledError:
            return True
    return False


def _begin_again(services: Services, kind: JobKind) -> None:
    if kind is JobKind.ARCHIVE:
        job_runner.run(services, requests.restore(services, ID, ADMIN))
    services.slide_cache.forget(ID)
    render(services, ID, lambda _done, _all: None, jobs=1)
    services.archive.remove(archiving.key_of(ID))
