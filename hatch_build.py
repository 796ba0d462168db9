"""What the build adds to pyproject.toml: the requirements, and what a wheel holds besides ``vsv`` and ``vsv_local``.

The wheel also gets the packages under ``functions/`` that those two import, the page with its two libraries, and
the GraphQL schema. Nothing of it is listed: imports are followed as for a function on AWS
(functions/package_function.py), and the page is what the standalone server serves (vsv_local/web_assets.py).
"""

import ast
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

EXTRAS = ("aws", "dev")
PACKAGED = "vsv_local/packaged"  # where vsv_local/assets.py looks
LICENCES = ("LICEN[CS]E*", "NOTICE*")


class Requirements(MetadataHookInterface):
    """Reads the dependencies and the extras from requirements files, so that each pin stands in one place."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the dependencies and the extras."""
        root = Path(self.root)
        needed = list(_pins(root / "requirements.txt"))
        files = {extra: root / f"requirements-{extra}.txt" for extra in EXTRAS}
        metadata["dependencies"] = needed
        metadata["optional-dependencies"] = {
            extra: [pin for pin in _pins(file) if pin not in needed] for extra, file in files.items()
        }


def _pins(requirements: Path) -> Iterator[str]:
    """Return the requirements of a file without their comments, those of the files that it refers to included."""
    for line in requirements.read_text(encoding="utf-8").splitlines():
        pin = line.partition("#")[0].strip()
        if pin.startswith("-r "):
            yield from _pins(requirements.with_name(pin.removeprefix("-r ").strip()))
        elif pin:
            yield pin


class Contents(BuildHookInterface[BuilderConfig]):
    """Adds files to the wheel, and to the source distribution what the wheel needs and git ignores."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the files; raises FileNotFoundError where the page's libraries are not installed."""
        root = Path(self.root)
        if version == "editable":
            return
        # What is imported here lies in the folder that is built.
        sys.path[:0] = [str(root), str(root / "functions")]
        if self.target_name == "sdist":
            build_data["artifacts"] += [f"/{path.relative_to(root).as_posix()}" for path in _libraries(root)]
        else:
            build_data["force_include"].update({str(file): name for file, name in _added(root)})


def _added(root: Path) -> Iterator[tuple[Path, str]]:
    """Return the files that the wheel gets besides ``vsv`` and ``vsv_local``, each with its name there."""
    for package in _function_packages(root):
        yield from ((path, path.relative_to(root / "functions").as_posix()) for path in package.rglob("*.py"))
    for path in (root / "schema.graphql", *_page(root), *_libraries(root)):
        yield path, f"{PACKAGED}/{path.relative_to(root).as_posix()}"


def _function_packages(root: Path) -> list[Path]:
    """Return the packages under ``functions/`` that ``vsv_local`` and ``vsv`` import, and those that these import."""
    from package_function import imported  # noqa: PLC0415  on the path only while a distribution is built

    product = [root / "vsv_local", root / "functions/vsv"]
    reached, waiting = set(), list(product)
    while waiting:
        package = waiting.pop()
        reached.add(package)
        sources = (path.read_text(encoding="utf-8") for path in package.rglob("*.py"))
        names = {name.partition(".")[0] for source in sources for name in imported(ast.parse(source))}
        needed = {root / "functions" / name for name in names} - reached
        waiting += [folder for folder in needed if (folder / "__init__.py").is_file()]
    return sorted(reached.difference(product))


def _page(root: Path) -> list[Path]:
    """Return the page's own files, and the one that names the versions of its libraries."""
    from vsv_local import web_assets  # noqa: PLC0415  on the path only while a distribution is built

    own = [path for address in web_assets.addresses() if (path := web_assets.find(address)) is not None]
    return [root / "web/package.json", *(path for path in own if path not in web_assets.LIBRARIES.values())]


def _libraries(root: Path) -> list[Path]:
    """Return the files of the page's libraries, with the licences of each package that was built into them."""
    from vsv_local import web_assets  # noqa: PLC0415  on the path only while a distribution is built

    if not web_assets.libraries_installed():
        raise FileNotFoundError(
            "the page's libraries are not in web/node_modules: run scripts/web first (it needs npm)"
        )
    files = list(web_assets.LIBRARIES.values())
    waiting = [root / "web"]
    while waiting:
        described = json.loads((waiting.pop() / "package.json").read_text(encoding="utf-8"))
        folders = [root / "web/node_modules" / name for name in described.get("dependencies", {})]
        for folder in folders:
            files += [folder / "package.json", *(file for each in LICENCES for file in folder.glob(each))]
        waiting += folders
    return sorted(set(files))
