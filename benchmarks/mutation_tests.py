"""Which test files are run against a module's mutants: those given, those of an earlier run, or by who imports it."""

import ast
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

MOST = 5
_SLOW = {"browser", "lambda_runtime", "recovery"}  # whole systems, which take minutes


class Tests:
    """The test files of a tree, by module. ``given`` are texts such as ``vsv.tiff=test_tiff.py,test_scan.py``."""

    def __init__(self, root: Path, given: Sequence[str], earlier: Mapping[str, Sequence[str]]) -> None:
        self._root = root
        self._given = {module: names.split(",") for module, names in (one.split("=") for one in given)}
        self._earlier = earlier

    def of(self, module: str, key: str) -> list[str]:
        """Return the test files of a mutant, as paths below the tree."""
        names = self._given.get(module) or self._earlier.get(key, ())
        known = [path for name in names for path in self._named(Path(name).name)]
        return list(dict.fromkeys(known)) if names and len(known) == len(names) else self._importing(module)

    def _named(self, name: str) -> list[str]:
        return [str(path) for path in self._files if path.name == name][:1]

    @cached_property
    def _files(self) -> list[Path]:
        found = (path.relative_to(self._root) for path in sorted((self._root / "tests").rglob("test_*.py")))
        return [path for path in found if not _SLOW & set(path.parts)]

    def _importing(self, module: str) -> list[str]:
        """Return the test files nearest to a module: those that import it, else those that import its importers."""
        reached, wave = {module}, {module}
        while wave:
            if found := [path for path in self._files if self._imports(path) & wave]:
                found.sort(key=lambda path: len(self._imports(path)))
                return [str(path) for path in found[:MOST]]
            wave = {name for name, imports in self._graph.items() if imports & wave} - reached
            reached |= wave
        return []

    def _imports(self, test: Path) -> set[str]:
        return imported(self._root / test)

    @cached_property
    def _graph(self) -> dict[str, set[str]]:
        below = self._root / "functions"
        return {
            ".".join(path.relative_to(below).with_suffix("").parts): imported(path)
            for path in below.rglob("*.py")
        }


def imported(path: Path) -> set[str]:
    """Return the dotted names that a file imports, whether they are modules or what is in them."""
    return set(_names(ast.walk(ast.parse(path.read_text()))))


def _names(nodes: Iterable[ast.AST]) -> Iterable[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
