"""Every step of a slide's life killed with SIGKILL at random moments. VSV_KILL_RUNS asks for more kills.

``scripts/kill-drill`` runs 200 of them.
"""

import hashlib
import json
import os
import random
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from vsv.lifecycle import job_runner, requests
from vsv.records.models import JobKind, JobState, Status

from tests.support.servers.killed import ADMIN, LIFE, Drill
from tests.support.slides.small import put, slide_bytes
from tests.support.stores.store_records import slide
from vsv_local.cli.main import main
from vsv_local.composition import standalone

RUNS = int(os.environ.get("VSV_KILL_RUNS", "9"))
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc for the moment to kill")


def imported(folder: Path) -> Drill:
    """Import a slide that is large enough for its steps to take a moment."""
    content, data = slide_bytes(side=3000), folder / "data"
    data.mkdir()
    drop = folder / "registry"
    drop.mkdir()
    (data / "destinations.json").write_text(json.dumps([{"name": "drop", "folder": str(drop)}]))
    result = CliRunner().invoke(
        main, ["import", str(put(folder / "scanner", "a.svs", content)), "--data", str(data)]
    )
    assert result.exit_code == 0, result.output
    with standalone(data) as (services, _intake):
        (record,) = services.slides.list_all().items
    seed = int(os.environ.get("VSV_KILL_SEED", "20261121"))
    return Drill(data, record.image_id, hashlib.sha256(content).hexdigest(), random.Random(seed))


def test_lifecycle_steps_killed_at_random_moments_complete_and_lose_no_original(tmp_path: Path) -> None:
    drill = imported(tmp_path)
    for step in LIFE:  # once in peace, to know how long each takes
        drill.go(step, "STUDY-0", kills=0)
    begun, turn = 0, 0
    while begun < RUNS:
        turn += 1
        for step in LIFE:
            kills = 0 if step == "mark" or begun >= RUNS else 1
            drill.go(step, f"STUDY-{turn}", kills)
            begun += kills
    assert drill.killed > 0
    print(f"{begun} runs, {drill.killed} killed before their end")  # noqa: T201  the drill's figure
    delivered = {json.loads(path.read_bytes())["deliveryId"] for path in (tmp_path / "registry").iterdir()}
    assert len(delivered) >= turn


def test_purge_killed_at_random_moments_leaves_no_partial_slide_to_undelete(tmp_path: Path) -> None:
    drill = imported(tmp_path)
    for number in range(max(2, RUNS // 8)):
        image_id = f"P{number}"
        with drill.opened() as services:
            services.slides.put_new(slide(image_id, status=Status.DELETED))
            folder = services.files.deleted_folder(image_id)
            folder.mkdir()
            for name in ("import.json", "slide.svs", "pyramid.tif", *(f"mask-{n}.png" for n in range(300))):
                (folder / name).write_bytes(b"x" * 1000)
            job = requests.purge(services, image_id, image_id, ADMIN)
        purging = replace(drill, image_id=image_id)
        purging.kill("purge", "")
        with drill.opened() as services:
            left = {path.name for path in folder.iterdir()}
            assert "slide.svs" in left or services.files.stored_size(image_id) is None
            assert "import.json" in left
            due = services.jobs.get(image_id, JobKind.PURGE)
            assert due
            assert due.run_id == job.run_id
            ended = job_runner.run(services, due) if due.state is JobState.WAITING else due
            assert ended.state is JobState.DONE
            assert [path.name for path in folder.iterdir()] == ["import.json"]
            record = services.slides.get(image_id)
            assert record
            assert (record.status, record.original) == (Status.DELETED, "PURGED")
