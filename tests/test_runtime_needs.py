"""The product must run with requirements.txt alone: what only checks and tests need must not creep in."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from running import ROOT

FIRST_RUN = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in set(sys.argv[1].split(",")):
            raise ModuleNotFoundError(f"{name} is not a runtime requirement", name=name)

sys.meta_path.insert(0, Refuse())
from pathlib import Path
from vsv_local.cli.main import main
from vsv_local.sample.slide import write_sample_slide
folder = Path(sys.argv[2])
write_sample_slide(folder / "sample.svs")
main(["import", str(folder / "sample.svs"), "--data", str(folder / "data")])
"""


def test_a_first_run_needs_no_development_package(tmp_path: Path) -> None:
    lines = (ROOT / "requirements-dev.txt").read_text().splitlines()
    names = [match[0].replace("-", "_") for line in lines if (match := re.match(r"[a-z][\w-]*", line))]
    assert {"pytest", "tifffile", "imagecodecs"} <= set(names)
    command = [sys.executable, "-c", FIRST_RUN, ",".join(names), str(tmp_path)]
    subprocess.run(command, check=True, cwd=ROOT, timeout=120)


def test_a_slide_in_a_folders_place_is_told_before_anything_is_installed(tmp_path: Path) -> None:
    slide = tmp_path / "one slide.svs"
    slide.touch()
    for given, says in ((slide, "is a file: name the folder"), (tmp_path / "none", "There is no folder")):
        result = subprocess.run([ROOT / "scripts/serve", given], capture_output=True, text=True, check=False)
        assert (result.returncode, result.stdout) == (1, "")
        assert says in result.stderr


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="only Linux lists its threads")
def test_numpy_starts_no_threads_of_its_own() -> None:
    asked = "import vsv.slides.pixels, os; print(len(os.listdir('/proc/self/task')))"
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    environment["PYTHONPATH"] = str(ROOT / "functions")
    told = subprocess.run([sys.executable, "-c", asked], env=environment, check=True, capture_output=True)
    assert int(told.stdout) == 1
