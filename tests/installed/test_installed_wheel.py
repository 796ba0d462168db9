"""``pip install`` of the wheel into an empty environment outside the checkout: what comes along, and that it runs."""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from vsv_local import web_assets

DEADLINE_S = 120
TOP_LEVEL = {
    "extract_metadata", "import_slide", "inspect_file", "lambda_support", "render_pyramid", "review_slides",
    "serve_image", "serve_label", "virtual_slide_viewer-0.1.0.dist-info", "vsv", "vsv_local",
}  # fmt: skip
# Prints the files that the wheel brought, its command set aside, and the names of all that is installed.
INSTALLED = """
import json
from importlib.metadata import distributions, files
brought = [str(path) for path in files("virtual-slide-viewer") if ".." not in path.parts]
print(json.dumps([brought, [each.metadata["Name"].lower() for each in distributions()]]))
"""
WHERE = """
import serve_image.handler, vsv, vsv_local.cli.main
print(serve_image.__file__, vsv.__file__, vsv_local.__file__)
"""


@dataclass(frozen=True)
class Installed:
    """An environment that has the wheel; its programs run in an empty folder, without this checkout's settings."""

    environment: Path
    folder: Path

    @property
    def variables(self) -> dict[str, str]:
        """Return the environment variables without those of Python, of pytest and of the product."""
        return {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("VSV_", "PYTHON", "PYTEST", "VIRTUAL_ENV"))
        }

    def run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment to its end."""
        command = [str(self.environment / "bin" / program), *arguments]
        return subprocess.run(
            command, cwd=self.folder, env=self.variables, capture_output=True, text=True, check=False
        )


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Install the wheel into an environment that has nothing else, not even pip."""
    (wheel,) = Path(os.environ["VSV_DIST"]).glob("*.whl")
    folder = tmp_path_factory.mktemp("installed")
    environment = folder / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", environment / "bin/python"]
    subprocess.run([*pip, "install", "--quiet", wheel], check=True, cwd=folder)
    (folder / "elsewhere").mkdir()
    return Installed(environment, folder / "elsewhere")


@pytest.fixture(scope="session")
def address(installed: Installed) -> Iterator[str]:
    """Serve the sample slide with the installed command; the server's address."""
    command = [installed.environment / "bin/vsv", "serve", "--sample", "--port", "0", "--workers", "1"]
    with (installed.folder / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [*command, "--data", installed.folder / "data"],
            cwd=installed.folder,
            env={**installed.variables, "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    assert server.stdout is not None
    with server, server.stdout:
        try:
            found = next((line for line in server.stdout if "http://127.0.0.1:" in line), None)
            assert found, (installed.folder / "server.log").read_text()
            address = "http://127.0.0.1:" + found.split("127.0.0.1:")[1].split("/")[0]
            eventually(lambda: answers(address))
            yield address
        finally:
            server.terminate()
    assert server.returncode == 0


def ask(url: str, document: object = None) -> tuple[int, str, bytes]:
    """Return status, media type and body of what is answered; ``document`` is posted as JSON."""
    body = None if document is None else json.dumps(document).encode()
    request = urllib.request.Request(url, body, {"content-type": "application/json"} if body else {})
    try:
        with urllib.request.urlopen(request, timeout=DEADLINE_S) as answer:
            return answer.status, answer.headers["content-type"], answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["content-type"], error.read()


def answers(address: str) -> bool:
    """Return whether the server accepts connections yet."""
    try:
        return ask(f"{address}/slides")[0] == 200
    except urllib.error.URLError:
        return False


def eventually(look: Callable[[], bool]) -> None:
    """Wait until something is so; only a server that hangs takes as long as the deadline."""
    until = time.monotonic() + DEADLINE_S
    while not look():
        assert time.monotonic() < until
        time.sleep(0.1)


def imported(address: str) -> str:
    """Wait until the sample slide is imported; its ImageID."""

    def slides() -> list[dict[str, str]]:
        found: list[dict[str, str]] = json.loads(ask(f"{address}/slides")[2])["items"]
        return found

    eventually(lambda: bool(slides()))
    (slide,) = slides()
    return slide["ImageID"]


def test_command_runs_from_any_folder(installed: Installed) -> None:
    helped = installed.run("vsv", "--help")
    assert (helped.returncode, helped.stderr) == (0, "")
    assert "serve" in helped.stdout
    assert installed.run("vsv", "--version").stdout == "vsv, version 0.1.0\n"


def test_modules_are_loaded_from_the_environment_not_the_checkout(installed: Installed) -> None:
    found = installed.run("python", "-c", WHERE)
    assert found.stdout.split(), found.stderr
    for path in found.stdout.split():
        assert Path(path).is_relative_to(installed.environment)
        assert not Path(path).is_relative_to(ROOT)


def test_wheel_installs_expected_top_level_names_and_licence(installed: Installed) -> None:
    brought, _names = json.loads(installed.run("python", "-c", INSTALLED).stdout)
    assert {path.partition("/")[0] for path in brought} == TOP_LEVEL
    assert "virtual_slide_viewer-0.1.0.dist-info/licenses/LICENSE" in brought


def test_installation_without_extras_contains_no_aws_packages(installed: Installed) -> None:
    _brought, names = json.loads(installed.run("python", "-c", INSTALLED).stdout)
    assert {"virtual-slide-viewer", "pillow", "uvicorn"} <= set(names)
    assert not {"boto3", "botocore", "s3transfer", "aws-xray-sdk", "cryptography", "wrapt", "pytest"} & set(
        names
    )


def test_command_that_needs_boto3_says_what_to_install(installed: Installed) -> None:
    ended = installed.run("vsv", "omero-import", "omero", "--aws", "--data", "data")
    assert ended.returncode == 1
    assert "install virtual-slide-viewer[aws]" in ended.stderr


def test_server_answers_tiles_of_the_sample_slide(address: str) -> None:
    image_id = imported(address)
    for level in (0, 9):
        status, kind, body = ask(f"{address}/DeepZoom/{image_id}_files/{level}/0_0.jpeg")
        assert (status, kind, body[:2], body[-2:]) == (200, "image/jpeg", b"\xff\xd8", b"\xff\xd9")


def test_server_serves_the_whole_page_with_its_libraries(address: str) -> None:
    paths = ["/", *web_assets.addresses()]
    assert {"/index.html", "/main.js", *web_assets.LIBRARIES} <= set(paths)
    for path in paths:
        file = web_assets.find(path)
        assert file is not None
        assert ask(address + path) == (200, web_assets.content_type(file), file.read_bytes())


def test_server_answers_graphql(address: str) -> None:
    image_id = imported(address)
    status, _kind, body = ask(f"{address}/graphql", {"query": "{ listSlides { items { ImageID } } }"})
    assert (status, json.loads(body)) == (200, {"data": {"listSlides": {"items": [{"ImageID": image_id}]}}})
