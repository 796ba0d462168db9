"""The guides' commands and examples: each runs here, or stands with its reason in the table of those that cannot."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import boto3
import click
import pytest
from click.testing import CliRunner
from moto import mock_aws
from PIL import Image

from tests.support.paths import ROOT
from tests.support.servers.documents import Block, Page, pages
from tests.support.servers.running import Server, server
from vsv_local.cli.main import main
from vsv_local.sample.slide import write_sample_slide

SAMPLE = "2000001"
SLIDES = (SAMPLE, "1004486", "1004487")
ADDRESS = "http://127.0.0.1:8080"
NO_ACCOUNT = "needs an AWS account"
ADMINISTRATOR = "changes the scanner workstation's system as root"
OMERO = "needs an OMERO server"
CHECKOUT = "installs a checkout's dependencies or serves for ever; the script's existence is tested"
SHELL = "changes only the shell that it is typed in"
# What cannot run here, by the command's first word: the reason.
NOT_RUN = {
    "aws": NO_ACCOUNT,
    ".venv-aws/bin/sam": NO_ACCOUNT,
    "sudo": ADMINISTRATOR,
    "sudoedit": ADMINISTRATOR,
    "journalctl": ADMINISTRATOR,
    "systemctl": ADMINISTRATOR,
    "omero": OMERO,
    "scripts/serve": CHECKOUT,
    "scripts/setup": CHECKOUT,
    "scripts/test": CHECKOUT,
    "export": SHELL,
    "umask": SHELL,
    "cd": SHELL,
}
# What runs here: `vsv` in this process, the others in a shell; `vsv serve` is only parsed, since it does not end.
RUN = frozenset({"vsv", "curl", "openssl", "python3", "shred"})
# What stands in a guide for a value of the reader's: an expression, and what is put in its place.
PLACEHOLDERS = (
    (r"\bPATH…", "scans"),
    (r"\bIMAGEID\b", SLIDES[1]),
    (r"\bNAME\b", "STUDY-1"),
    (r"\b(DIR|FOLDER)\b", "folder"),
    (r"(?<= )/(scans|archive/2025|mnt/other-disk/vsv|tmp/drill|tmp/november|somewhere/omero)\b", r"\1"),
    (r"--at 2026-11-29\b", "--at 2"),
)


@dataclass(frozen=True)
class World:
    """A data folder with slides, the files that guides name beside it, and a server on a copy of it."""

    folder: Path
    server: Server

    @contextmanager
    def copied(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """Work in a copy of the folder, as a reader does in the checkout; a copy that is there is used as it is."""
        if not folder.exists():
            shutil.copytree(self.folder, folder, symlinks=True)
        with monkeypatch.context() as patch:
            patch.chdir(folder)
            patch.setenv("VSV_DATA", str(folder / "data"))
            patch.setenv("CURL_HOME", str(folder))
            yield


def write_files(folder: Path) -> None:
    """Write what the guides name: scans, the files of their commands, and a data folder with slides."""
    for name in ("scans", "archive/2025", "mnt/other-disk", "registry"):
        (folder / name).mkdir(parents=True)
    sample = folder / "sample.svs"
    write_sample_slide(sample)
    for image_id in SLIDES[1:]:
        scan = sample.read_bytes().replace(SAMPLE.encode(), image_id.encode())
        (folder / f"scans/{image_id}.svs").write_bytes(scan)
    shutil.copy(folder / "scans/1004486.svs", folder / "12345.svs")
    (folder / "study7.toml").write_text('dates = "shift"\n')
    (folder / "password.txt").write_text("no password")
    (folder / "original.svs").symlink_to("data/slides/1004486/slide.svs")
    (folder / "published.svs").symlink_to("data/published/STUDY-7-0001.svs")
    (folder / ".curlrc").write_text("fail\nsilent\nshow-error\n")
    arguments = ["import", str(sample), str(folder / "scans"), "--data", str(folder / "data")]
    assert CliRunner().invoke(main, arguments).exit_code == 0


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("world")
    write_files(folder)
    served = tmp_path_factory.mktemp("served") / "data"
    shutil.copytree(folder / "data", served)
    with server(served) as running:
        mark_good(running)
        shutil.copytree(served, folder / "data", dirs_exist_ok=True)
        destinations = [{"name": "registry", "folder": str(folder / "registry")}]
        (folder / "data/destinations.json").write_text(json.dumps(destinations))
        yield World(folder, running)


def mark_good(running: Server) -> None:
    """Mark the slides as a technician does: only good slides are published and sent."""
    for image_id in SLIDES[1:]:
        query = f'mutation {{ updateSlide(input: {{ImageID: "{image_id}", Status: "GOOD"}}) {{ Status }} }}'
        headers = {"content-type": "application/json"}
        answer = running.ask("/graphql", "POST", headers, json.dumps({"query": query}).encode())
        assert "errors" not in json.loads(answer.body), answer.body


BLOCKS = [block for page in pages() for block in page.blocks]
SHELL_BLOCKS = [block for block in BLOCKS if block.language == "sh"]
PROGRAMS = [block for block in BLOCKS if block.language == "python"]


def first_word(command: str) -> str:
    return command.split(maxsplit=1)[0]


@pytest.mark.parametrize("block", SHELL_BLOCKS, ids=str)
def test_command_in_guide_is_run_or_listed_with_its_reason(block: Block) -> None:
    assert block.commands
    for command in block.commands:
        word = first_word(command)
        assert (word in RUN) != (word in NOT_RUN), f"{command!r} is neither run nor in the table of reasons"
        if word.startswith("scripts/"):
            assert os.access(ROOT / word, os.X_OK)


def test_each_listed_command_is_used_in_a_guide() -> None:
    used = {first_word(command) for block in SHELL_BLOCKS for command in block.commands}
    assert used >= NOT_RUN.keys() | RUN


@pytest.mark.parametrize("page", [one for one in pages() if {*one.blocks} & {*SHELL_BLOCKS}], ids=str)
def test_commands_of_guide_succeed_in_order(
    page: Page, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, block in enumerate(one for one in page.blocks if one.language == "sh"):
        shared = tmp_path / "page"
        for place, command in enumerate(block.commands):
            # Commands on one placeholder are alternatives: each finds the slide as it was.
            alone = "IMAGEID" in block.text and page.path.name == "README.md"
            with world.copied(tmp_path / f"{number}-{place}" if alone else shared, monkeypatch):
                run(command, world.server)


def run(command: str, running: Server) -> None:
    """Run a command in the current folder as its reader would; those that cannot run are passed over."""
    word = first_word(command)
    if word in NOT_RUN:
        return
    for pattern, value in PLACEHOLDERS:
        command = re.sub(pattern, value, command)
    Path("folder").mkdir(exist_ok=True)
    if word == "vsv":
        run_vsv(shlex.split(command)[1:])
        return
    if shutil.which(word) is None:
        pytest.skip(f"{word} is not installed")
    command = command.replace(ADDRESS, f"http://127.0.0.1:{running.port}")
    ended = subprocess.run(["bash", "-ceu", command], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, (command, ended.stderr)
    if word == "curl":
        check_answer(command, ended.stdout)


def run_vsv(arguments: list[str]) -> None:
    """Run `vsv`; parse the options of a server, which would not end."""
    if arguments[0] == "serve":
        # With its parent: click keeps a command's help option as its first context named it.
        parent = click.Context(main, **main.context_settings)
        main.commands["serve"].make_context("serve", arguments[1:], parent=parent).close()
        return
    result = CliRunner().invoke(main, arguments, input="y\n", catch_exceptions=False)
    assert result.exit_code == 0, (arguments, result.output)


def check_answer(command: str, printed: str) -> None:
    """Check that `curl` wrote an image of the format that its file's name says, or printed a document."""
    if name := re.search(r"-o (\S+)", command):
        formats = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}
        with Image.open(name[1]) as image:
            assert image.format == formats[Path(name[1]).suffix], command
    elif command.endswith(".dzi"):
        assert printed.startswith("<?xml"), command
    else:
        document = json.loads(printed)
        assert document and (not isinstance(document, dict) or "errors" not in document), printed


@pytest.mark.parametrize("program", [one for one in PROGRAMS if "boto3" not in one.text], ids=str)
def test_program_in_guide_prints_the_stated_output(
    program: Block, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = program.text.replace(ADDRESS, f"http://127.0.0.1:{world.server.port}")
    path = os.pathsep.join((str(ROOT / "functions"), str(ROOT)))
    with world.copied(tmp_path / "program", monkeypatch):
        ended = subprocess.run(
            [sys.executable, "-c", text],
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
    assert ended.returncode == 0, ended.stderr
    expected = BLOCKS[BLOCKS.index(program) + 1]
    assert (expected.page, expected.language) == (program.page, "text")
    assert ended.stdout == expected.text


@pytest.mark.parametrize("program", [one for one in PROGRAMS if "boto3" in one.text], ids=str)
def test_table_restore_program_copies_the_items(program: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    item = {"ImageID": {"S": "1"}, "Version": {"N": "2"}}
    with mock_aws():
        client = boto3.client("dynamodb")
        for table in re.findall(r'TableName="([\w-]+)"', program.text):
            client.create_table(
                TableName=table,
                KeySchema=[{"AttributeName": "ImageID", "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": "ImageID", "AttributeType": "S"}],
                BillingMode="PAY_PER_REQUEST",
            )
        client.put_item(TableName="restored-slides", Item=item)
        exec(compile(program.text, str(program), "exec"), {})
        assert client.scan(TableName="the-table-in-use")["Items"] == [item]


@pytest.mark.parametrize("page", pages(), ids=str)
def test_vsv_commands_in_sentences_have_the_named_options(page: Page) -> None:
    for span in page.spans:
        if not re.match(r"vsv [a-z]", span):
            continue
        name, *words = span.split()[1:]
        assert name in main.commands, span
        known = {option for one in main.commands[name].params for option in one.opts}
        used = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert used <= {*known, "--help"}, span


def test_each_vsv_command_is_in_a_guide() -> None:
    text = "\n".join(page.text for page in pages())
    assert isinstance(main, click.Group)
    assert {name for name in main.commands if not re.search(rf"\bvsv {name}\b", text)} == set()
