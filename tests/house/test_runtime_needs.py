"""The product must run with requirements.txt alone: what only AWS, checks and tests need must not creep in."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from vsv import runtime
from vsv.delivery import destinations, transports
from vsv.errors import SettingsError
from vsv.records.models import Status

from tests.support.paths import ROOT
from tests.support.servers.running import running_site
from tests.support.slides.small import slide_bytes
from vsv_local.cli.main import main

SAYS = "install virtual-slide-viewer[aws]"
EXTRAS = ("requirements-aws.txt", "requirements-dev.txt")
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


def test_import_of_sample_slide_needs_no_package_of_an_extra(tmp_path: Path) -> None:
    lines = [line for file in EXTRAS for line in (ROOT / file).read_text().splitlines()]
    names = [match[0].replace("-", "_") for line in lines if (match := re.match(r"[a-z][\w-]*", line))]
    assert {"pytest", "tifffile", "imagecodecs", "boto3", "botocore", "aws_xray_sdk", "cryptography"} <= set(
        names
    )
    command = [sys.executable, "-c", FIRST_RUN, ",".join(names), str(tmp_path)]
    subprocess.run(command, check=True, cwd=ROOT, timeout=120)


def test_serve_script_refuses_file_or_missing_folder_before_installing(tmp_path: Path) -> None:
    slide = tmp_path / "one slide.svs"
    slide.touch()
    for given, says in ((slide, "is a file: name the folder"), (tmp_path / "none", "There is no folder")):
        result = subprocess.run([ROOT / "scripts/serve", given], capture_output=True, text=True, check=False)
        assert (result.returncode, result.stdout) == (1, "")
        assert says in result.stderr


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="only Linux lists its threads")
def test_import_of_numpy_starts_no_threads() -> None:
    asked = "import vsv.slides.pixels, os; print(len(os.listdir('/proc/self/task')))"
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    environment["PYTHONPATH"] = str(ROOT / "functions")
    told = subprocess.run([sys.executable, "-c", asked], env=environment, check=True, capture_output=True)
    assert int(told.stdout) == 1


@pytest.mark.parametrize(
    "ask",
    [
        lambda: runtime.make_object_store("s3://bucket/originals"),
        lambda: destinations.destinations_in("arn:aws:secretsmanager:eu-west-1:1:secret:registry"),
        lambda: transports.deliver(destinations.Destination("lake", bucket="s3://lake"), "key", b"{}"),
    ],
    ids=["a vault's bucket", "a secret", "a destination's bucket"],
)
def test_service_that_needs_boto3_without_boto3_says_what_to_install(
    ask: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(SettingsError, match=re.escape(SAYS)):
        ask()


def test_omero_import_from_aws_without_boto3_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    ended = CliRunner().invoke(
        main, ["omero-import", str(tmp_path / "omero"), "--aws", "--data", str(tmp_path)]
    )
    assert (ended.exit_code, SAYS in ended.output) == (1, True)
    assert not (tmp_path / "omero").exists()


def test_archive_to_a_bucket_without_boto3_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_site(tmp_path) as running:
        running.bring("a.svs", slide_bytes())
        (record,) = running.records()
        running.services.slides.update(record.image_id, {"status": Status.GOOD}, by="test")
    monkeypatch.setitem(sys.modules, "boto3", None)
    monkeypatch.setenv("VSV_ARCHIVE", "s3://bucket/originals")
    ended = CliRunner().invoke(main, ["archive", record.image_id, "--data", str(tmp_path / "data")])
    assert (ended.exit_code, SAYS in ended.output) == (1, True)
