"""The page's rooms: a folder of web/ imports from those before it, and no modules import each other in a circle."""

import functools
import graphlib
import re

import pytest

from tests.support.paths import ROOT

WEB = ROOT / "web"
# Left to right: a room imports from itself and from the rooms before it. main.js may import from all.
# The room is "slide" because /slides/{ImageID} is an address of the server.
ROOMS = ["shared", "login", "server", "slide", "editing", "jobs", "imports", "list", "image", "viewer"]
MOST_MODULES = 14  # in one room: with more, look for another room
# Types count as well: "@import" is how JSDoc names them.
IMPORTED = re.compile(r"""(?:\bfrom|\bimport)\s*\(?\s*"(\.{1,2}/[^"]+)\"""")


@functools.cache
def modules() -> dict[str, set[str]]:
    """Return each module of the page with the modules that it imports, as paths below web/."""
    paths = [*WEB.glob("*.js"), *(path for room in ROOMS for path in (WEB / room).glob("*.js"))]
    return {
        path.relative_to(WEB).as_posix(): {
            (path.parent / name).resolve().relative_to(WEB).as_posix()
            for name in IMPORTED.findall(path.read_text(encoding="utf-8"))
        }
        for path in paths
    }


def room_of(module: str) -> int:
    room, slash, _ = module.partition("/")
    return ROOMS.index(room) if slash else len(ROOMS)


def test_page_folders_are_the_known_rooms() -> None:
    folders = {path.parent.name for path in WEB.glob("*/*.js")} - {"node_modules"}
    assert folders == set(ROOMS)


def test_page_modules_are_found_with_their_imports() -> None:
    found = modules()
    assert "viewer/keyboard.js" in found["main.js"]
    assert "image/viewport.js" in found["viewer/link.js"]  # a type
    assert all(found[name] for name in found if name.startswith("list/") and name != "list/sorting.js")


@pytest.mark.parametrize("module", sorted(modules()))
def test_page_module_imports_only_from_its_room_and_earlier_rooms(module: str) -> None:
    assert [name for name in modules()[module] if room_of(name) > room_of(module)] == []


def test_page_modules_import_without_circles() -> None:
    graph = {name: {one for one in found if one.endswith(".js")} for name, found in modules().items()}
    graphlib.TopologicalSorter(graph).prepare()  # raises CycleError, which names the circle


@pytest.mark.parametrize("room", ROOMS)
def test_page_room_stays_within_its_limit_of_modules(room: str) -> None:
    assert 0 < len(list((WEB / room).glob("*.js"))) <= MOST_MODULES
