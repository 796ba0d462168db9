"""Mutants of functions' bodies, made by cosmic-ray's operators, under names that outlast moves and renaming.

A mutant's key is a checksum of its function's shape (the syntax tree without names, docstrings and texts), of the
operator and of its how manieth place in the function. The sample is the mutants with the smallest keys: the same code
in another module, under other names, gives the same sample.
"""

import ast
import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import parso
from cosmic_ray.ast import ast_nodes
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator, operator_names

# Other names, no decorators: these say little of tests. "/" mostly joins paths, where any other operator raises.
_SKIPPED = ("VariableInserter", "VariableReplacer", "RemoveDecorator", "NoOp", "BinaryOperator_Div_")
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_NAMED = {"name", "id", "arg", "attr", "module", "asname"}
_Place = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change to one function; ``key`` is the same wherever the function stands."""

    key: str
    path: Path
    function: str
    operator: str
    occurrence: int
    line: int

    def code(self) -> str:
        """Return the module's source with this change."""
        changed = mutate_code(self.path.read_text(), get_operator(self.operator)(), self.occurrence)
        assert changed is not None, self
        return str(changed)

    def described(self) -> str:
        """Return the changed line, before and after."""
        before, after = self.path.read_text().splitlines(), self.code().splitlines()
        pairs = (
            f"{old.strip()}  =>  {new.strip()}" for old, new in zip(before, after, strict=False) if old != new
        )
        return next(pairs, "a line removed")


@dataclass(frozen=True, slots=True)
class _Body:
    """A function's body: where it stands, its shape, and the annotations in it, which are no behaviour."""

    name: str
    shape: str
    start: _Place
    end: _Place
    annotations: tuple[tuple[_Place, _Place], ...]

    def holds(self, place: _Place) -> bool:
        inside = self.start <= place < self.end
        return inside and not any(start <= place < end for start, end in self.annotations)


def mutants(path: Path, seed: int) -> list[Mutant]:
    """Return one mutant for each kind of change and place in a module's functions, smallest key first."""
    source = path.read_text()
    bodies = _bodies(source)
    before: Counter[tuple[_Place, str]] = Counter()
    best: dict[tuple[str, _Place], Mutant] = {}
    for operator, occurrence, place in _changes(source):
        body = next((body for body in bodies if body.holds(place)), None)
        if body is None:
            continue
        nth = before[body.start, operator]
        before[body.start, operator] += 1
        key = hashlib.sha256(f"{seed} {body.shape} {operator} {nth}".encode()).hexdigest()[:16]
        found = Mutant(key, path, body.name, operator, occurrence, place[0])
        site = operator.split("_")[0], place
        best[site] = min(best.get(site, found), found, key=lambda mutant: mutant.key)
    return sorted(best.values(), key=lambda mutant: mutant.key)


def _changes(source: str) -> Iterator[tuple[str, int, _Place]]:
    """Yield every change that an operator can make: the operator, the number of the change, its line and column."""
    nodes = list(ast_nodes(parso.parse(source)))
    for name in sorted(operator_names()):
        if any(skipped in name for skipped in _SKIPPED):
            continue
        operator = get_operator(name)()
        places = (start for node in nodes for start, _end in operator.mutation_positions(node))
        for occurrence, place in enumerate(places):
            yield name, occurrence, place


def _bodies(source: str) -> list[_Body]:
    """Return the bodies of all functions, inner ones first."""
    tree = ast.parse(source)
    bodies = [_body(node) for node in ast.walk(tree) if isinstance(node, _FUNCTIONS)]
    return sorted(bodies, key=lambda body: body.start, reverse=True)


def _body(function: ast.FunctionDef | ast.AsyncFunctionDef) -> _Body:
    statements = function.body[1:] if ast.get_docstring(function) is not None else function.body
    inner = statements or function.body[-1:]
    annotations = [
        note
        for node in ast.walk(function)
        for note in (getattr(node, "annotation", None), getattr(node, "returns", None))
        if note is not None
    ]
    return _Body(
        function.name,
        ";".join(_shape(statement) for statement in statements),
        (inner[0].lineno, inner[0].col_offset) if statements else _end(function),
        _end(function),
        tuple(((note.lineno, note.col_offset), _end(note)) for note in annotations),
    )


def _end(node: ast.stmt | ast.expr) -> _Place:
    return node.end_lineno or node.lineno, node.end_col_offset or 0


def _shape(node: ast.AST) -> str:
    """Return the syntax below a node without names and texts."""
    if isinstance(node, ast.Constant):
        return "text" if isinstance(node.value, str | bytes) else repr(node.value)
    parts = []
    for field, value in ast.iter_fields(node):
        if field in _NAMED and not isinstance(value, ast.AST):
            continue
        values = value if isinstance(value, list) else [value]
        parts += [_shape(part) for part in values if isinstance(part, ast.AST)]
    return f"{type(node).__name__}({','.join(parts)})"
