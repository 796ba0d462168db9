"""What a wheel is made of; it is built from a source distribution, which is built from a tree without git's history.

``scripts/package`` installs the wheel and tries it: tests/installed.
"""

import json
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from vsv_local import web_assets

TOP_LEVEL = {
    "extract_metadata", "import_slide", "inspect_file", "lambda_support", "render_pyramid", "review_slides",
    "serve_image", "serve_label", "vsv", "vsv_local",
}  # fmt: skip
SOURCES = ("functions", "vsv_local", "web", *(path.name for path in ROOT.glob("requirements*.txt")))
FILES = ("schema.graphql", "pyproject.toml", "hatch_build.py", "README.md", "LICENSE", ".gitignore")
WEB = "vsv_local/packaged/web"
LIBRARIES = {path.relative_to(web_assets.WEB).as_posix() for path in web_assets.LIBRARIES.values()}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy what a distribution is built from, with stand-ins for the libraries that npm would fetch."""
    folder = tmp_path_factory.mktemp("tree")
    unwanted = shutil.ignore_patterns("node_modules", "__pycache__")
    for name in (*SOURCES, *FILES):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=unwanted)
        else:
            shutil.copy(ROOT / name, folder / name)
    for library in LIBRARIES:
        (folder / "web" / library).parent.mkdir(parents=True)
        (folder / "web" / library).write_text("library")
    modules = folder / "web/node_modules"
    _describe(modules / "openseadragon", "LICENSE.txt")
    _describe(modules / "oidc-client-ts", "LICENSE", "jwt-decode")
    _describe(modules / "jwt-decode", "LICENCE.md")
    _describe(modules / "typescript", "LICENSE")
    return folder


def _describe(package: Path, licence: str, *needs: str) -> None:
    package.mkdir(exist_ok=True)
    (package / "README.md").touch()
    (package / licence).write_text(f"licence of {package.name}")
    (package / "package.json").write_text(json.dumps({"dependencies": dict.fromkeys(needs, "^1")}))


def _build(kind: str, tree: Path, target: Path) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "--target", kind, "--directory", str(target)]
    subprocess.run(command, cwd=tree, check=True, capture_output=True, text=True)
    (built,) = target.iterdir()
    return built


@pytest.fixture(scope="module")
def wheel(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[zipfile.ZipFile]:
    """Build a wheel from the source distribution of the tree, and from nothing else."""
    folder = tmp_path_factory.mktemp("built")
    with tarfile.open(_build("sdist", tree, folder / "sdist")) as source:
        source.extractall(folder / "unpacked", filter="data")
    (unpacked,) = (folder / "unpacked").iterdir()
    with zipfile.ZipFile(_build("wheel", unpacked, folder / "wheel")) as built:
        yield built


def _packaged(wheel: zipfile.ZipFile) -> set[str]:
    return {name for name in wheel.namelist() if ".dist-info/" not in name}


def _information(wheel: zipfile.ZipFile) -> Message:
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    return message_from_bytes(wheel.read(name))


def _required(metadata: Message, extra: str | None) -> set[str]:
    """Return the requirements of an extra, or those of every installation, in small letters without spaces."""
    found = [re.sub(r"[\s'\"]", "", line).lower() for line in metadata.get_all("Requires-Dist", [])]
    if extra is None:
        return {line for line in found if "extra==" not in line}
    return {line.partition(";")[0] for line in found if f"extra=={extra}" in line}


def _pinned(name: str) -> set[str]:
    lines = (line.partition("#")[0] for line in (ROOT / name).read_text().splitlines())
    return {re.sub(r"[\s'\"]", "", line).lower() for line in lines if "==" in line}


def test_wheel_contains_each_module_of_the_product(wheel: zipfile.ZipFile) -> None:
    places = [ROOT / "vsv_local", *(ROOT / "functions" / name for name in TOP_LEVEL - {"vsv_local"})]
    modules = {path.relative_to(place.parent).as_posix() for place in places for path in place.rglob("*.py")}
    assert {"vsv/runtime.py", "vsv/deidentification/publishing.py", "vsv_local/cli/main.py"} <= modules
    assert {name for name in _packaged(wheel) if name.endswith(".py")} == modules


def test_wheel_has_exactly_the_expected_top_level_names(wheel: zipfile.ZipFile) -> None:
    assert {name.partition("/")[0] for name in _packaged(wheel)} == TOP_LEVEL


def test_wheel_contains_the_page_as_served_and_the_schema(wheel: zipfile.ZipFile) -> None:
    own = {web_assets.find(address) for address in web_assets.addresses()} - set(
        web_assets.LIBRARIES.values()
    )
    page = {path.relative_to(web_assets.WEB).as_posix() for path in own if path is not None}
    assert {"index.html", "main.js", "style/base.css"} <= page
    data = {name for name in _packaged(wheel) if not name.endswith(".py") and "/node_modules/" not in name}
    assert data == {
        "vsv_local/packaged/schema.graphql",
        f"{WEB}/package.json",
        *(f"{WEB}/{name}" for name in page),
    }
    assert wheel.read("vsv_local/packaged/schema.graphql") == (ROOT / "schema.graphql").read_bytes()


def test_wheel_contains_page_libraries_with_their_licences(
    wheel: zipfile.ZipFile,
) -> None:
    folder = f"{WEB}/node_modules"
    libraries = {name for name in _packaged(wheel) if name.startswith(f"{folder}/")}
    packages = ("openseadragon", "oidc-client-ts", "jwt-decode")
    assert libraries == {
        *(f"{WEB}/{library}" for library in LIBRARIES),
        *(f"{folder}/{name}/package.json" for name in packages),
        f"{folder}/openseadragon/LICENSE.txt",
        f"{folder}/oidc-client-ts/LICENSE",
        f"{folder}/jwt-decode/LICENCE.md",
    }
    assert wheel.read(f"{folder}/jwt-decode/LICENCE.md") == b"licence of jwt-decode"


def test_wheel_states_its_licences_and_contains_its_own(wheel: zipfile.ZipFile) -> None:
    metadata = _information(wheel)
    assert metadata["License-Expression"] == "MIT AND BSD-3-Clause AND Apache-2.0"
    (licence,) = (name for name in wheel.namelist() if name.endswith(".dist-info/licenses/LICENSE"))
    assert wheel.read(licence) == (ROOT / "LICENSE").read_bytes()


def test_wheel_requires_exactly_the_pins_of_the_requirements_files(wheel: zipfile.ZipFile) -> None:
    metadata = _information(wheel)
    assert _required(metadata, None) == _pinned("requirements.txt")
    assert _required(metadata, "aws") == _pinned("requirements-aws.txt")
    assert _required(metadata, "dev") == _pinned("requirements-dev.txt") | _pinned("requirements-aws.txt")
    assert {pin.partition("==")[0] for pin in _pinned("requirements-aws.txt")} >= {"boto3", "aws-xray-sdk"}


def test_requirements_files_pin_each_package_once() -> None:
    lines = [
        line.partition("==")[0]
        for name in ("requirements.txt", "requirements-aws.txt", "requirements-dev.txt")
        for line in (ROOT / name).read_text().splitlines()
        if "==" in line
    ]
    assert sorted(lines) == sorted(set(lines))


def test_build_backend_is_pinned_equally_in_project_and_dev_requirements() -> None:
    (pinned,) = (pin for pin in _pinned("requirements-dev.txt") if pin.startswith("hatchling"))
    assert f'requires = ["{pinned}"]' in (ROOT / "pyproject.toml").read_text()


@pytest.mark.parametrize("kind", ["sdist", "wheel"])
def test_build_without_page_libraries_says_what_to_run(kind: str, tree: Path, tmp_path: Path) -> None:
    shutil.copytree(tree, tmp_path / "tree", ignore=shutil.ignore_patterns("node_modules"))
    with pytest.raises(subprocess.CalledProcessError) as failed:
        _build(kind, tmp_path / "tree", tmp_path / "built")
    assert "run scripts/web first" in failed.value.stderr + failed.value.stdout
