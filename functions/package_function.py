"""Copies a function's folder, and the modules of this project that it imports, to where its package is made.

    python3 package_function.py ServeImageFunction FOLDER

What is needed is read from the imports themselves, those inside functions included, so that nothing is forgotten
and a package holds nothing else. Where there is a ``python3.13`` the modules are compiled too: Lambda
cannot write ``.pyc`` files and would compile at every cold start.
"""

import ast
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
PYTHON_VERSION = "3.13"
# What functions that show slides leave out: ``vsv.runtime`` would import these when it is asked for a record, a
# number, an archive, a destination or to start an import, and ``vsv.slides.slide`` when it opens a slide. Images need
# records for IIIF's manifests and for imgData; labels are files that lie ready, and need none of it. The two
# functions that run jobs leave out each other's steps, which ``vsv.lifecycle.job_registry`` would import.
LEFT_OUT = {
    "manage_files": ("vsv.delivery.sending", "vsv.delivery.destinations"),
    "send_slides": (
        "vsv.lifecycle.archiving", "vsv.deidentification", "vsv.deidentification.steps", "vsv.lifecycle.purging",
        "vsv.storage.object_store",
    ),
    "serve_image": (
        "vsv.aws.stream_import_starter", "vsv.aws.dynamodb.jobs",
        "vsv.delivery.destinations", "vsv.storage.object_store",
    ),
    "serve_label": (
        "vsv.aws.dynamodb.records", "vsv.aws.dynamodb.jobs", "vsv.aws.stream_import_starter",
        "vsv.delivery.destinations", "vsv.storage.object_store", "vsv.storage.numeric_ids",
        "vsv.slides.openslide_reader", "vsv.slides.image_reader", "vsv.formats.openjpeg",
    ),
}  # fmt: skip


def folder_of(logical_id: str) -> str:
    """Give the folder of a function by its name in the template: ServeImageFunction is serve_image."""
    words = re.findall(r"[A-Z][a-z0-9]*", logical_id.removesuffix("Function"))
    return "_".join(word.lower() for word in words)


def modules_of(function: str, root: Path = HERE) -> dict[str, Path]:
    """Give the modules that a function's handler needs, by name, with their files under ``root``.

    Raises FileNotFoundError where there is no such function.
    """
    left_out = LEFT_OUT.get(function, ())
    found: dict[str, Path] = {}
    waiting = [f"{function}.handler"]
    while waiting:
        name = waiting.pop()
        path = _file_of(name, root)
        if name in found or name in left_out or path is None:
            continue
        found[name] = path
        waiting += [*_parents(name), *imported(path.read_text(encoding="utf-8"))]
    if f"{function}.handler" not in found:
        raise FileNotFoundError(f"there is no function {function}: no {function}/handler.py")
    return dict(sorted(found.items()))


def _parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts))]


def _file_of(name: str, root: Path) -> Path | None:
    """Find a module or package of this project; None for all others."""
    path = root.joinpath(*name.split("."))
    places = (path.with_suffix(".py"), path / "__init__.py")
    return next((place for place in places if place.is_file()), None)


def imported(source: str) -> Iterator[str]:
    """Give the names that a module imports, wherever in it; of ``from a import b`` both a and a.b.

    Imports for type checkers alone are left out. A relative import is refused: there are none in this project.
    """
    waiting: list[ast.AST] = [ast.parse(source)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.module is None or node.level:
                raise ValueError("relative imports are not followed")
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            waiting += node.orelse
        else:
            waiting += ast.iter_child_nodes(node)


def package(function: str, folder: Path) -> None:
    """Copy a function's modules, compile them if that can be done here, and print the size."""
    for path in modules_of(function).values():
        target = folder / path.relative_to(HERE)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    _compile(folder)
    files = [path for path in folder.rglob("*") if path.is_file()]
    print(f"function {function}: {len(files)} files, {sum(p.stat().st_size for p in files) / 1e3:.0f} KB")


def _compile(folder: Path) -> None:
    """Compile for ``/var/task``, where the package will be; unchecked: nothing there ever changes."""
    python = _python()
    if python is None:
        print(f"python{PYTHON_VERSION} was not found: modules are not compiled, and cold starts take longer.")
        return
    command = [python, "-m", "compileall", "-q", "-j", "1", "--invalidation-mode", "unchecked-hash"]
    command += ["-s", str(folder), "-p", "/var/task", str(folder)]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": "0"})


def _python() -> str | None:
    """Find a Python of Lambda's version that runs: pyenv may put one on the PATH that does not."""
    name = f"python{PYTHON_VERSION}"
    found = [shutil.which(name), *Path.home().glob(f".pyenv/versions/{PYTHON_VERSION}*/bin/{name}")]
    return next((str(each) for each in found if each and _runs(str(each))), None)


def _runs(python: str) -> bool:
    return subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0


if __name__ == "__main__":
    package(folder_of(sys.argv[1]), Path(sys.argv[2]).resolve())
