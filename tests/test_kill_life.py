"""Every step of a slide's life killed with SIGKILL at random moments. VSV_KILL_RUNS asks for more kills.

``scripts/kill-drill`` runs 200 of them.
"""

import hashlib
import json
import os
import random
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from small_slides import put, slide_bytes

from local.cli import main
from local.standalone import standalone
from tests.killed import TRANSITIONS, Drill

RUNS = int(os.environ.get("VSV_KILL_RUNS", "9"))
# From a scan to the next: each step finds the slide as the one before has left it.
LIFE = ("mark", "publish", "withdraw", "archive", "restore", "send", "delete", "undelete")

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
    with standalone(data) as (here, _intake):
        (record,) = here.slides.list_all().items
    seed = int(os.environ.get("VSV_KILL_SEED", "20261121"))
    return Drill(data, record.image_id, hashlib.sha256(content).hexdigest(), random.Random(seed))


def test_killed_at_any_moment_every_step_completes_and_no_original_is_lost(tmp_path: Path) -> None:
    assert set(LIFE) == set(TRANSITIONS)
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
    print(f"{begun} runs, {drill.killed} killed before their end")
    delivered = {json.loads(path.read_bytes())["deliveryId"] for path in (tmp_path / "registry").iterdir()}
    assert len(delivered) >= turn
