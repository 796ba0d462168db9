"""The guides' links, anchors and names of files, modules and tests: all lead to something that is there."""

import importlib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.servers.documents import Page, pages

ROOMS = (
    "benchmarks",
    "docs",
    "functions",
    "layers",
    "scripts",
    "stacks",
    "statemachines",
    "tests",
    "web",
    "vsv_local",
)
SOURCE = r"(?:py|js|css|ps1|yaml|graphql|sh|service|timer)"
GUIDES = [page for page in pages() if page.path.name != "CHANGELOG.md"]


@cache
def tree() -> frozenset[str]:
    """Return the paths of all files and folders of the project, as guides write them."""
    return frozenset({path.name for path in ROOT.iterdir()} | set(_below(*(ROOT / room for room in ROOMS))))


def _below(*folders: Path) -> Iterator[str]:
    for folder in folders:
        for path in folder.iterdir():
            if path.name not in {"node_modules", "__pycache__"}:
                yield str(path.relative_to(ROOT))
                if path.is_dir():
                    yield from _below(path)


@cache
def names_in_tests() -> str:
    return "\n".join(path.read_text() for path in sorted((ROOT / "tests").rglob("*.py")))


@pytest.mark.parametrize("page", pages(), ids=str)
def test_link_target_file_and_heading_exist(page: Page) -> None:
    for link in page.links:
        name, _, anchor = link.partition("#")
        target = (page.path.parent / name).resolve() if name else page.path
        assert target.exists(), link
        if anchor:
            assert anchor in Page(target).anchors, link


@pytest.mark.parametrize("page", GUIDES, ids=str)
def test_source_path_in_guide_exists(page: Page) -> None:
    for span in page.spans:
        path = span.split()[0].partition("::")[0].rstrip("/")
        is_source = re.fullmatch(rf"[\w./-]+\.{SOURCE}", path) and not path.startswith("/")
        if is_source or path.startswith(tuple(f"{room}/" for room in ROOMS)):
            assert any(one == path or one.endswith(f"/{path}") for one in tree()), span


@pytest.mark.parametrize("page", GUIDES, ids=str)
def test_module_in_guide_is_importable(page: Page) -> None:
    for span in page.spans:
        if found := re.match(r"((?:vsv|vsv_local)(?:\.[a-z_0-9]+)+)\b", span):
            module, _, name = found[1].rpartition(".")
            try:
                importlib.import_module(found[1])
            except ModuleNotFoundError:
                assert hasattr(importlib.import_module(module), name), span


@pytest.mark.parametrize("page", GUIDES, ids=str)
def test_test_name_in_guide_exists(page: Page) -> None:
    for span in page.spans:
        for name in re.findall(r"(?:^|::)(test_[a-z0-9_]+|Test[A-Z]\w+)$", span):
            assert re.search(rf"^ *(def|class|async def) {name}\b", names_in_tests(), re.MULTILINE), span


@pytest.mark.parametrize("page", GUIDES, ids=str)
def test_benchmark_in_guide_exists(page: Page) -> None:
    for name in re.findall(r"-m\s+benchmarks\.(\w+)", page.text):
        assert (ROOT / f"benchmarks/{name}.py").exists(), name


def test_guide_named_in_source_file_exists() -> None:
    sources = [ROOT / one for one in tree() if re.search(rf"\.({SOURCE}|toml)$", one)]
    named = {
        (path, guide)
        for path in sources
        for guide in re.findall(r"\bdocs/[\w/-]+\.md", path.read_text("utf-8"))
    }
    assert len(named) > 20
    assert {(path, guide) for path, guide in named if not (ROOT / guide).exists()} == set()


def test_map_links_each_page() -> None:
    """Decisions and runbooks are many: the contents lists of their folders stand for them."""
    index = Page(ROOT / "docs/README.md")
    targets = {(index.path.parent / link.partition("#")[0]).resolve() for link in index.links}
    listed = {
        page.path
        for page in pages()
        if page.path.parent in {ROOT / "docs", ROOT / "docs/operating"} and page.path != index.path
    }
    folders = {page.path for page in pages() if page.path.name == "README.md"} - {
        index.path,
        ROOT / "README.md",
    }
    assert targets >= listed | folders


@pytest.mark.parametrize("folder", ["decisions", "operating"])
def test_contents_list_links_each_page_of_its_folder(folder: str) -> None:
    contents = Page(ROOT / "docs" / folder / "README.md")
    targets = {(contents.path.parent / link.partition("#")[0]).resolve() for link in contents.links}
    assert targets >= set(contents.path.parent.rglob("*.md")) - {contents.path}


@pytest.mark.parametrize("page", sorted((ROOT / "docs/decisions").glob("*.md")), ids=lambda path: path.stem)
def test_each_decision_has_a_date(page: Path) -> None:
    if page.name == "README.md":
        return
    for decision in re.split(r"^(?=- \*\*)", page.read_text(), flags=re.MULTILINE)[1:]:
        assert re.search(r"\(20\d\d-\d\d-\d\d\)", decision), decision
