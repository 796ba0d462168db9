"""The rooms of the code: a package imports only from those below it, and modules stay small."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.support.paths import ROOT

FUNCTIONS = ROOT / "functions"
# From the top down; packages on one line do not import each other.
VSV = (
    {"runtime"},
    {"lifecycle"},
    {"deidentification"},
    {"ingest", "delivery"},
    {"workflow", "pyramids"},
    {"rendering"},
    {"slides"},
    {"aws"},
    {"storage"},
    {"records"},
    {"formats", "barcodes"},
    {"services", "settings", "timestamps", "nonblocking", "roles", "metrics"},
    {"identifiers"},
    {"errors"},
)
VSV_LOCAL = (
    {"cli"},
    {"server"},
    {"graphql", "export", "sample"},
    {"bulk", "backup"},
    {"composition"},
    {"ingest", "stores"},
    {"all_settings", "web_assets"},
    {"assets"},
)
# What may import what at the top: handlers and the standalone installation stand above the domain.
TOP = ({"vsv_local"}, {"handlers"}, {"lambda_support"}, {"vsv"})
MAX_PACKAGES, MAX_TOP_MODULES, MAX_LINES, MAX_FUNCTION_LINES = 14, 9, 300, 30


@dataclass(frozen=True)
class Import:
    """One import of a module of this project; ``for_types``: for type checkers alone."""

    module: str
    imported: str
    for_types: bool


@cache
def modules() -> dict[str, Path]:
    found = {}
    for base in (FUNCTIONS, ROOT):
        for path in base.rglob("*.py") if base == FUNCTIONS else (ROOT / "vsv_local").rglob("*.py"):
            parts = path.relative_to(base).with_suffix("").parts
            found[".".join(part for part in parts if part != "__init__")] = path
    return found


def imports_of(module: str) -> Iterator[Import]:
    waiting: list[tuple[ast.AST, bool]] = [(ast.parse(modules()[module].read_text(encoding="utf-8")), False)]
    while waiting:
        node, for_types = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            waiting += [(child, True) for child in node.body] + [(child, for_types) for child in node.orelse]
            continue
        if isinstance(node, ast.Import):
            yield from (Import(module, name.name, for_types) for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            for name in node.names:
                whole = f"{node.module}.{name.name}"
                yield Import(module, whole if whole in modules() else node.module, for_types)
        waiting += [(child, for_types) for child in ast.iter_child_nodes(node)]


@cache
def every_import() -> tuple[Import, ...]:
    return tuple(one for module in modules() for one in imports_of(module))


def room(module: str, package: str) -> str | None:
    """Return the room of a module inside a package, None for others."""
    parts = module.split(".")
    return parts[1] if parts[0] == package and len(parts) > 1 else None


def top(module: str) -> str | None:
    name = module.partition(".")[0]
    if name in {"vsv", "vsv_local", "lambda_support"}:
        return name
    return "handlers" if (FUNCTIONS / name / "handler.py").is_file() else None


def upward(
    floors: tuple[set[str], ...], pairs: Iterator[tuple[str | None, str | None, Import]]
) -> list[Import]:
    rank = {name: floor for floor, names in enumerate(floors) for name in names}
    return [
        found
        for here, there, found in pairs
        if here is not None and there is not None and here != there and rank[here] >= rank[there]
    ]


@pytest.mark.parametrize(("package", "floors"), [("vsv", VSV), ("vsv_local", VSV_LOCAL)])
def test_package_imports_only_from_rooms_below_it(package: str, floors: tuple[set[str], ...]) -> None:
    pairs = (
        (room(found.module, package), room(found.imported, package), found)
        for found in every_import()
        # Types do not load anything: services knows those of every room.
        if not (found.for_types and found.module == "vsv.services")
    )
    assert upward(floors, pairs) == []


def test_domain_imports_no_handlers_and_no_standalone_modules() -> None:
    pairs = ((top(found.module), top(found.imported), found) for found in every_import())
    assert upward(TOP, pairs) == []


@pytest.mark.parametrize(("package", "floors"), [("vsv", VSV), ("vsv_local", VSV_LOCAL)])
def test_each_room_is_listed_with_its_layer(package: str, floors: tuple[set[str], ...]) -> None:
    rooms = {name for module in modules() if (name := room(module, package)) is not None}
    assert rooms == set.union(*floors)


def test_handler_imports_no_other_handler() -> None:
    functions = {path.parent.name for path in FUNCTIONS.glob("*/handler.py")}
    wrong = [
        found
        for found in every_import()
        if (here := found.module.partition(".")[0]) in functions
        and (there := found.imported.partition(".")[0]) in functions
        and here != there
    ]
    assert wrong == []


def test_modules_import_without_circles() -> None:
    arrows: dict[str, set[str]] = {module: set() for module in modules()}
    for found in every_import():
        if not found.for_types and found.imported in arrows and found.imported != found.module:
            arrows[found.module].add(found.imported)
    TopologicalSorter(arrows).prepare()  # raises CycleError, which names the modules


def test_boto3_is_imported_by_aws_adapters_alone() -> None:
    libraries = {"boto3", "botocore", "s3transfer"}
    wrong = {
        found.module
        for found in every_import()
        if found.imported.partition(".")[0] in libraries
        and found.module.startswith(("vsv.", "vsv_local.", "lambda_support."))
        and not found.module.startswith("vsv.aws.")
    }
    assert wrong <= {"vsv_local.export.page_publisher"}, "the publisher of the page is a tool for AWS"


def test_domain_imports_no_http_and_no_lambda_libraries() -> None:
    libraries = {"aws_lambda_powertools", "click", "uvicorn", "ariadne", "graphql"}
    wrong = [
        found
        for found in every_import()
        if found.module.startswith("vsv.") and found.imported.partition(".")[0] in libraries
    ]
    assert wrong == []


def test_domain_stays_within_limits_of_packages_and_top_level_modules() -> None:
    packages = [path for path in (FUNCTIONS / "vsv").iterdir() if (path / "__init__.py").is_file()]
    at_top = [path for path in (FUNCTIONS / "vsv").glob("*.py") if path.name != "__init__.py"]
    assert len(packages) <= MAX_PACKAGES
    assert len(at_top) <= MAX_TOP_MODULES


@pytest.mark.parametrize("module", sorted(modules()))
def test_module_and_its_functions_stay_within_line_limits(module: str) -> None:
    source = modules()[module].read_text(encoding="utf-8")
    lines = len(source.splitlines())
    assert lines <= MAX_LINES
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0]
            start = node.body[1].lineno if len(node.body) > 1 and _is_docstring(first) else first.lineno
            assert (node.end_lineno or 0) - start + 1 <= MAX_FUNCTION_LINES, node.name


def _is_docstring(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def test_package_init_files_contain_a_docstring_alone() -> None:
    """A cold start imports what it uses. ``vsv`` itself sets what numpy must know before it is imported."""
    for path in (*FUNCTIONS.rglob("__init__.py"), *(ROOT / "vsv_local").rglob("__init__.py")):
        if path == FUNCTIONS / "vsv/__init__.py":
            continue
        body = ast.parse(path.read_text(encoding="utf-8")).body
        assert len(body) == 1, path
        assert _is_docstring(body[0]), path


def test_programs_in_strings_import_modules_that_exist() -> None:
    """Benchmarks and tests run programs that are strings, which no type checker reads."""
    wrong = []
    for path in (*(ROOT / "benchmarks").rglob("*.py"), *(ROOT / "tests").rglob("*.py")):
        for name in re.findall(
            r"from ((?:vsv|vsv_local|tests)[\w.]*) import", path.read_text(encoding="utf-8")
        ):
            places = [base.joinpath(*name.split(".")) for base in (FUNCTIONS, ROOT)]
            if not any(place.is_dir() or place.with_suffix(".py").is_file() for place in places):
                wrong.append(f"{path.relative_to(ROOT)}: {name}")
    assert wrong == []
