"""How many changes to the code the tests notice: a seeded, bounded sample of mutants for each room.

``python -m benchmarks.mutation formats=vsv.formats ingest=vsv.ingest storage=vsv.storage --tree COPY`` changes the
modules of a copy of the tree in place and puts them back. It needs a Python with requirements-peers.txt; the
tests are run by the copy's own ``.venv/bin/python``. ``--save FILE`` writes which mutants were drawn and what became
of them; ``--sample FILE`` runs the same ones, wherever their functions have been moved (see ``mutants``).
``benchmarks/mutation_sample.json`` is what was drawn of the tree before the rooms.
"""

import argparse
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import zip_longest
from pathlib import Path

from benchmarks.mutants import Mutant, mutants
from benchmarks.mutation_tests import Tests

TIMEOUT_S = 120
SLOW_S = 4.0  # a test that takes longer is left out
_DURATION = re.compile(r"(\d+\.\d+)s call +\S")
KILLED, SURVIVED, TIMED_OUT = "killed", "survived", "timed out"


@dataclass(frozen=True, slots=True)
class Drawn:
    """A mutant in the sample, with the room and the module that it belongs to."""

    room: str
    module: str
    mutant: Mutant


@dataclass
class Result:
    """What became of a mutant; in JSON this is the sample for a later run."""

    key: str
    room: str
    module: str
    function: str
    place: str
    change: str
    tests: list[str]
    fate: str = ""


@dataclass
class Tree:
    """A copy of the project whose modules are changed, one at a time."""

    root: Path
    python: Path
    usable: dict[str, list[str] | None] = field(default_factory=dict)

    def modules(self, package: str) -> list[tuple[str, Path]]:
        """Return the name and file of a module, or of every module in a package."""
        found = self.root.joinpath("functions", *package.split("."))
        paths = sorted(found.rglob("*.py")) if found.is_dir() else [found.with_suffix(".py")]
        below = self.root / "functions"
        named = [(".".join(path.relative_to(below).with_suffix("").parts), path) for path in paths]
        return [(name, path) for name, path in named if not name.endswith("__init__")]

    def run(self, tests: Sequence[str]) -> str:
        """Run test files until a test fails; return what became of the mutant."""
        return self._pytest(
            "-x", "-q", *(argument for test in tests for argument in self.usable[test] or ())
        )[0]

    def fitting(self, tests: Sequence[str]) -> list[str]:
        """Return those test files that pass on the unchanged code, in little time: only they can show a change.

        Tests that take long are left out, so that a mutant costs seconds.
        """
        for test in tests:
            if test not in self.usable:
                fate, output = self._pytest("-q", "--durations=0", test)
                slow = [line.split(" ", 2)[-1].strip() for line in output.splitlines() if _is_slow(line)]
                left_out = [argument for name in slow for argument in ("--deselect", name)]
                self.usable[test] = [test, *left_out] if fate == SURVIVED else None
                print(f"{test}: {fate} unchanged, {len(slow)} slow tests left out", flush=True)
        return [test for test in tests if self.usable[test]]

    def _pytest(self, *arguments: str) -> tuple[str, str]:
        command = [str(self.python), "-m", "pytest", "-n", "0", "-p", "no:cacheprovider", *arguments]
        # Two mutants of one length in one second would look the same to the cache of compiled modules.
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "500"}
        with subprocess.Popen(
            command,
            cwd=self.root,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            text=True,
        ) as process:
            try:
                output, _ = process.communicate(timeout=TIMEOUT_S)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                return TIMED_OUT, ""
        return SURVIVED if process.returncode == 0 else KILLED, output

    @contextmanager
    def changed(self, mutant: Mutant) -> Iterator[None]:
        """Have the mutant in its module's place for the length of a block."""
        original, times = mutant.path.read_bytes(), mutant.path.stat()
        try:
            mutant.path.write_text(mutant.code())
            yield
        finally:
            mutant.path.write_bytes(original)
            os.utime(mutant.path, ns=(times.st_atime_ns, times.st_mtime_ns))


def draw(tree: Tree, rooms: Sequence[str], seed: int, count: int) -> list[Drawn]:
    """Return ``count`` mutants of each module, module by module in turn, so that a run cut short is balanced."""
    samples = []
    for room, module, path in _modules(tree, rooms):
        samples.append([Drawn(room, module, mutant) for mutant in mutants(path, seed)[:count]])
    return [drawn for turn in zip_longest(*samples) for drawn in turn if drawn is not None]


def draw_again(tree: Tree, rooms: Sequence[str], seed: int, sample: Sequence[Result]) -> list[Drawn]:
    """Return the mutants of an earlier sample that the code still has, in that sample's order."""
    found: dict[str, list[Drawn]] = defaultdict(list)
    for room, module, path in _modules(tree, rooms):
        for mutant in mutants(path, seed):
            found[mutant.key].append(Drawn(room, module, mutant))
    drawn = []
    for earlier in sample:
        # Functions of the same shape share keys: the one of the same name is meant, else the next.
        same = sorted(found[earlier.key], key=lambda one: one.mutant.function != earlier.function)
        if not same:
            print(f"gone: {earlier.place} {earlier.change}", flush=True)
            continue
        drawn.append(same[0])
        found[earlier.key].remove(same[0])
    return drawn


def _modules(tree: Tree, rooms: Sequence[str]) -> Iterator[tuple[str, str, Path]]:
    for given in rooms:
        room, packages = given.split("=")
        for package in packages.split(","):
            for module, path in tree.modules(package):
                yield room, module, path


def try_mutant(tree: Tree, drawn: Drawn, tests: Sequence[str]) -> Result:
    """Run the tests on a mutant; where no test file can show the change, it survives."""
    mutant = drawn.mutant
    place = f"{mutant.path.relative_to(tree.root)}:{mutant.line}"
    result = Result(
        mutant.key, drawn.room, drawn.module, mutant.function, place, mutant.described(), list(tests)
    )
    fitting = tree.fitting(tests)
    if not fitting:
        result.fate = SURVIVED
        return result
    with tree.changed(mutant):
        result.fate = tree.run(fitting)
    return result


def report(results: Sequence[Result]) -> None:
    """Print, for each room, how many mutants there were and which of them no test noticed."""
    for room in sorted({result.room for result in results}):
        own = [result for result in results if result.room == room]
        survivors = [result for result in own if result.fate == SURVIVED]
        late = sum(result.fate == TIMED_OUT for result in own)
        killed = len(own) - len(survivors)
        share = f"{100 * killed / len(own):.0f} %"
        print(
            f"{room}: {len(own)} mutants, {killed} killed ({late} by time), {len(survivors)} survived ({share})"
        )
        for result in survivors:
            print(f"  {result.place} in {result.function}: {result.change}")


def _is_slow(line: str) -> bool:
    """Return whether a line of pytest's list of durations, such as ``12.34s call tests/…``, is of a slow test."""
    found = _DURATION.match(line)
    return found is not None and float(found[1]) > SLOW_S


def _spent_s() -> float:
    """Return the processor time of the test runs so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main(arguments: Sequence[str]) -> None:
    """Draw, run and report."""
    options = _options(arguments)
    tree = Tree(options.tree.resolve(), options.tree.resolve() / ".venv/bin/python")
    earlier = [Result(**one) for one in json.loads(options.sample.read_text())] if options.sample else []
    drawn = (
        draw_again(tree, options.rooms, options.seed, earlier)
        if earlier
        else draw(tree, options.rooms, options.seed, options.count)
    )
    tests = Tests(tree.root, options.tests, {one.key: one.tests for one in earlier})
    results: list[Result] = []
    until = time.monotonic() + options.clock * 60
    for one in drawn:
        if _spent_s() > options.minutes * 60 or time.monotonic() > until:
            print(
                f"out of time: {len(drawn) - len(results)} of {len(drawn)} mutants were not run", flush=True
            )
            break
        results.append(try_mutant(tree, one, tests.of(one.module, one.mutant.key)))
        print(f"{results[-1].fate:9} {results[-1].place} {results[-1].change}", flush=True)
    report(results)
    print(f"{_spent_s() / 60:.1f} minutes of processor time, seed {options.seed}")
    if options.save:
        lines = ",\n".join(json.dumps(asdict(one), ensure_ascii=False) for one in results)
        options.save.write_text(f"[\n{lines}\n]\n", encoding="utf-8")


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser("benchmarks.mutation", description=__doc__)
    parser.add_argument("rooms", nargs="+", help="room=module,package,…")
    parser.add_argument("--tree", type=Path, default=Path.cwd(), help="the copy of the project")
    parser.add_argument("--seed", type=int, default=11)
    parser.add_argument("--count", type=int, default=10, help="mutants a module")
    parser.add_argument("--minutes", type=float, default=25, help="of processor time")
    parser.add_argument("--clock", type=float, default=120, help="minutes by the clock")
    parser.add_argument("--tests", nargs="*", default=[], help="module=test_a.py,test_b.py; else by imports")
    parser.add_argument("--save", type=Path)
    parser.add_argument("--sample", type=Path)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
