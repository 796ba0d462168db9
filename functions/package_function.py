"""Copy a function's folder, and the modules of this project that it imports, to where its package is made.

    python3 package_function.py ServeImageFunction FOLDER

The modules are found by reading the imports, those inside functions included, so that none is forgotten and a package
holds nothing else; no module is named here but those of ``BY_REQUEST``. Where there is a ``python3.13`` the modules
are compiled too: Lambda cannot write ``.pyc`` files and would compile at every cold start.
"""

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

HERE = Path(__file__).resolve().parent
PYTHON_VERSION = "3.13"
# Modules that join all others, in functions that each import one service or step: ``make_slides`` imports the slide
# records. A package takes only the functions that its own modules name: ``services.slides`` in any module, or
# ``JobKind.SEND`` in the function's own folder.
BY_REQUEST = {"vsv.runtime": "make_", "vsv.lifecycle.job_registry": "step_"}


def folder_of(logical_id: str) -> str:
    """Return the folder of a function by its name in the template: ServeImageFunction is serve_image."""
    words = re.findall(r"[A-Z][a-z0-9]*", logical_id.removesuffix("Function"))
    return "_".join(word.lower() for word in words)


def modules_of(function: str, root: Path = HERE) -> dict[str, Path]:
    """Return the modules that a function's handler needs, by name, with their files under ``root``.

    Raise FileNotFoundError where there is no such function.
    """
    modules: dict[str, Path] = {}
    pending = {f"{function}.handler"}
    while pending:
        _follow(pending, modules, root)
        pending = set(_requested(function, modules)) - modules.keys()
        pending = {name for name in pending if _file_of(name, root)}
    if f"{function}.handler" not in modules:
        raise FileNotFoundError(f"there is no function {function}: no {function}/handler.py")
    return dict(sorted(modules.items()))


def _follow(names: Iterable[str], modules: dict[str, Path], root: Path) -> None:
    """Add these modules, and all that they import, to ``modules``."""
    pending = list(names)
    while pending:
        name = pending.pop()
        path = _file_of(name, root)
        if name in modules or path is None:
            continue
        modules[name] = path
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if name in BY_REQUEST:
            tree.body = [node for node in tree.body if not isinstance(node, ast.FunctionDef)]
        pending += [*_parents(name), *imported(tree)]


def _requested(function: str, modules: Mapping[str, Path]) -> Iterator[str]:
    """Yield the imports of those functions in ``BY_REQUEST``'s modules whose services or jobs this package names."""
    services, kinds = set[str](), set[str]()
    for name, path in modules.items():
        services |= _attributes(path, _is_services)
        if name.startswith(f"{function}."):
            kinds |= _attributes(path, lambda base: base == "JobKind")
    for module in BY_REQUEST.keys() & modules.keys():
        names = {f"{BY_REQUEST[module]}{name.lower()}" for name in services | kinds}
        for node in _called(ast.parse(modules[module].read_text(encoding="utf-8")), names):
            yield from imported(node)


def _is_services(base: str) -> bool:
    return base == "current()" or base.endswith("services")


def _attributes(path: Path, is_wanted: Callable[[str], bool]) -> set[str]:
    """Return the names of the attributes that a module reads of objects whose expression ``is_wanted``."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return {
        node.attr for node in nodes if isinstance(node, ast.Attribute) and is_wanted(ast.unparse(node.value))
    }


def _called(tree: ast.Module, names: set[str]) -> list[ast.FunctionDef]:
    """Return the functions of these names, and those of the same module that they call."""
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    reached, pending = dict[str, ast.FunctionDef](), names & functions.keys()
    while pending:
        name = pending.pop()
        reached[name] = functions[name]
        called = {node.id for node in ast.walk(functions[name]) if isinstance(node, ast.Name)}
        pending |= (called & functions.keys()) - reached.keys()
    return list(reached.values())


def _parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts))]


def _file_of(name: str, root: Path) -> Path | None:
    """Return the file of a module or package of this project; None for all others."""
    path = root.joinpath(*name.split("."))
    places = (path.with_suffix(".py"), path / "__init__.py")
    return next((place for place in places if place.is_file()), None)


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield the names that a module or function imports, at any depth; for ``from a import b`` both a and a.b.

    Imports for type checkers alone are left out. Raises ValueError for a relative import, which this project never
    uses.
    """
    pending = [tree]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.module is None or node.level:
                raise ValueError("relative imports are not followed")
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            pending += node.orelse
        else:
            pending += ast.iter_child_nodes(node)


def package(function: str, folder: Path) -> None:
    """Copy a function's modules, compile them if this machine can, and print the size."""
    for path in modules_of(function).values():
        target = folder / path.relative_to(HERE)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    _compile(folder)
    files = [path for path in folder.rglob("*") if path.is_file()]
    print(f"function {function}: {len(files)} files, {sum(p.stat().st_size for p in files) / 1e3:.0f} KB")


def _compile(folder: Path) -> None:
    """Compile for ``/var/task``, where the package will be; unchecked, because files there never change."""
    python = _python()
    if python is None:
        print(f"python{PYTHON_VERSION} was not found: modules are not compiled, and cold starts take longer.")
        return
    command = [python, "-m", "compileall", "-q", "-j", "1", "--invalidation-mode", "unchecked-hash"]
    command += ["-s", str(folder), "-p", "/var/task", str(folder)]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": "0"})


def _python() -> str | None:
    """Return a working Python of Lambda's version, or None: pyenv may put one on the PATH that does not run."""
    name = f"python{PYTHON_VERSION}"
    candidates = [shutil.which(name), *Path.home().glob(f".pyenv/versions/{PYTHON_VERSION}*/bin/{name}")]
    return next((str(candidate) for candidate in candidates if candidate and _runs(str(candidate))), None)


def _runs(python: str) -> bool:
    return subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0


if __name__ == "__main__":
    package(folder_of(sys.argv[1]), Path(sys.argv[2]).resolve())
