"""Every built artifact: whole, for its architecture, within Lambda's limits, and importable with its layers alone."""

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.lambda_runtime.built import BUILT, LAYERS, PYTHON, Function, functions, layer_folder

# "Lambda quotas", AWS Lambda developer guide: function and layers together, unzipped.
MAX_UNZIPPED_BYTES = 250 * 1000 * 1000
# A function is code of this project alone: more is a package that went astray.
MAX_FUNCTION_BYTES = 2_500_000
MACHINES = {
    "aarch64": 183,
    "x86_64": 62,
}  # e_machine of ELF headers. Source: System V ABI, EM_AARCH64 and EM_X86_64
EVERY = pytest.mark.parametrize("built", functions(), ids=lambda built: built.logical_id)
PACKAGES = [f"{name}Layer" for name in LAYERS]


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@EVERY
def test_function_with_layers_fits_into_lambda_size_limit(built: Function) -> None:
    own = size(built.arm64)
    assert 0 < own < MAX_FUNCTION_BYTES
    assert own + sum(size(layer) for layer in built.layers_of("aarch64")) < MAX_UNZIPPED_BYTES


@EVERY
def test_both_architectures_have_the_same_code(built: Function) -> None:
    def sources(folder: Path) -> dict[str, bytes]:
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.py")}

    assert sources(built.arm64) == sources(built.x86_64)


@EVERY
def test_each_module_is_compiled_and_other_files_are_absent(built: Function) -> None:
    for path in built.arm64.rglob("*.py"):
        (compiled,) = path.parent.glob(f"__pycache__/{path.stem}.cpython-313.pyc")
        # PEP 552: flags 1 are a hash that is not checked, so that no source is read or hashed at a cold start.
        assert compiled.read_bytes()[4:8] == b"\1\0\0\0"
        assert str(BUILT).encode() not in compiled.read_bytes()
    assert {path.suffix for path in built.arm64.rglob("*") if path.is_file()} == {".py", ".pyc"}


def test_tile_function_contains_only_modules_that_serve_slides() -> None:
    (tiles,) = (built for built in functions() if built.logical_id == "ServeImageFunction")
    held = {path.relative_to(tiles.arm64).as_posix() for path in tiles.arm64.rglob("*.py")}
    assert "vsv/slides/readers.py" in held
    assert not [
        path
        for path in held
        if path.startswith(("vsv/ingest/", "vsv/barcodes/", "vsv/lifecycle/", "vsv/pyramids/"))
    ]
    assert not held & {
        "lambda_support/observability.py",
        "vsv/aws/step_functions.py",
        "vsv/aws/stream_import_starter.py",
    }
    # Most of it is text: docstrings. Modules that read channels and deep samples are loaded for such slides alone.
    assert size(tiles.arm64) < 1_500_000
    assert tiles.layers == ("ImagingLayer", "ToolsLayer")


@pytest.mark.parametrize("architecture", MACHINES)
@pytest.mark.parametrize("layer", PACKAGES)
def test_layer_contains_complete_packages_for_its_architecture(layer: str, architecture: str) -> None:
    folder = layer_folder(layer, architecture)
    assert {path.name for path in folder.iterdir()} <= {"python", "lib"}
    assert not list(folder.rglob("*.data"))
    libraries = [path for path in folder.rglob("*") if path.is_file() and path.read_bytes()[:4] == b"\x7fELF"]
    assert libraries
    for path in libraries:
        assert int.from_bytes(path.read_bytes()[18:20], "little") == MACHINES[architecture], path


@pytest.mark.parametrize("layer", PACKAGES)
def test_layers_of_both_architectures_contain_the_same_files(layer: str) -> None:
    """Names alone: those of libraries hold the machine, and a hash of what is in them."""

    def files(architecture: str) -> set[str]:
        folder = layer_folder(layer, architecture)
        paths = (str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
        named = (re.sub("|".join(MACHINES), "MACHINE", path) for path in paths if ".dist-info/" not in path)
        return {re.sub(r"-[0-9a-f]{8}\b", "-HASH", path) for path in named}

    only_here = {path.rpartition("/")[2].partition("-")[0] for path in files("x86_64") ^ files("aarch64")}
    assert only_here <= {"libquadmath"}  # gcc's, for a format that aarch64 has by itself


@pytest.mark.parametrize("layer", PACKAGES)
def test_layer_needs_at_most_the_glibc_of_lambda(layer: str) -> None:
    """Amazon Linux 2023 has 2.34, whatever this machine has."""
    for path in layer_folder(layer, "aarch64").rglob("*"):
        if path.is_file() and (content := path.read_bytes())[:4] == b"\x7fELF":
            wanted = re.findall(rb"\0GLIBC_(\d+)\.(\d+)", content)
            assert max(((int(a), int(b)) for a, b in wanted), default=(0, 0)) <= (2, 34), path


def test_layers_have_no_file_in_common() -> None:
    """Lambda unpacks all layers into one folder: the last would win."""
    seen: set[Path] = set()
    for layer in PACKAGES:
        folder = layer_folder(layer, "aarch64")
        files = {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
        assert not files & seen
        seen |= files


@cache
def imports_of(path: Path) -> frozenset[str]:
    """Return the top-level names that a module of ours imports, anywhere in its code."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
    return frozenset(found - sys.stdlib_module_names)


@EVERY
def test_each_import_exists_in_function_or_layers(built: Function) -> None:
    places = [built.arm64, *(layer / "python" for layer in built.layers_of("aarch64"))]
    wanted = {name for path in built.arm64.rglob("*.py") for name in imports_of(path)}
    missing = [
        name
        for name in wanted
        if not any((p / f"{name}.py").exists() or (p / name / "__init__.py").exists() for p in places)
        and not any(list(p.glob(f"{name}.*.so")) for p in places)
    ]
    assert missing == []


@EVERY
def test_each_module_is_importable_with_its_layers(built: Function) -> None:
    layers = built.layers_of("x86_64")
    modules = [
        ".".join(path.relative_to(built.x86_64).with_suffix("").parts).removesuffix(".__init__")
        for path in built.x86_64.rglob("*.py")
    ]
    code = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)"
    environment = {
        "PATH": "/usr/bin:/bin",
        "LD_LIBRARY_PATH": ":".join(str(layer / "lib") for layer in layers),
        "PYTHONPATH": ":".join([str(built.x86_64), *(str(layer / "python") for layer in layers)]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "AWS_DEFAULT_REGION": "eu-central-1",
    }
    subprocess.run([PYTHON, "-c", code, *modules], check=True, env=environment, timeout=60)
