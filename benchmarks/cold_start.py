"""Time the tile function's cold start: a fresh process imports its handler and answers its first tile.

    .venv/bin/python -m benchmarks.cold_start [--python PYTHON3.13] [--runs 21]

The function is packed as the build packs it, once compiled and once not, and its first tile is one of the rendered
levels. For comparison, the time of other imports is printed. ``--python`` is another Python to run it with; the
packages are then those of its own site-packages, and missing ones are left out. Each figure is from a process of its
own; the runs of all cases take turns, so that a busy moment affects all cases equally, and the last column, the least
time on a CPU, is steady even on a busy machine. At the end come the slowest modules of the import by ``-X
importtime``.
"""

import argparse
import importlib
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from vsv.rendering.tiles import MIME_TYPES

from benchmarks.imported import imported
from benchmarks.measured import Cost, run
from vsv_local.composition import standalone
from vsv_local.sample.slide import write_sample_slide
from vsv_local.server.api_gateway_events import http_event

FUNCTIONS = Path(__file__).resolve().parents[1] / "functions"
IMPORT = "import serve_image.handler"
TILE = """
import json, os
from serve_image.handler import lambda_handler
answer = lambda_handler(json.loads(os.environ["EVENT"]), None)
assert answer["statusCode"] == 200 and answer["headers"]["content-type"] == os.environ["TYPE"], answer
"""
PEERS = {
    "Pillow": "from PIL import Image",
    "OpenSlide": "import openslide",
    "numpy": "import numpy",
    "powertools' logger and metrics": (
        "from aws_lambda_powertools.logging import Logger; from aws_lambda_powertools.metrics import Metrics"
    ),
    "powertools' event handler": "from aws_lambda_powertools.event_handler import AppSyncResolver",
    "boto3": "import boto3",
}
TOP = 15


def main() -> None:
    """Print the tables."""
    options = _options()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = _environment(folder)
        compiled, plain = folder / "compiled", folder / "plain"
        _pack(options.python, compiled, plain)
        cases = {
            "the interpreter alone": ([], "pass"),
            "import, compiled": ([compiled], IMPORT),
            "import and first tile, compiled": ([compiled], TILE),
            "import and first tile, not compiled": ([plain], TILE),
            **{f"import of {name}": ([], code) for name, code in PEERS.items()},
        }
        cases = {name: case for name, case in cases.items() if case[0] or _is_there(options.python, case[1])}
        _print(options.python, options.runs, cases, environment)
        _print_dearest(options.python, compiled, environment)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--python", default=sys.executable, help="the Python to run, python3.13 as on Lambda")
    parser.add_argument("--runs", type=int, default=21)
    return parser.parse_args()


def _environment(folder: Path) -> dict[str, str]:
    """Import a slide; return the environment of a function: the data folder, and an event."""
    write_sample_slide(folder / "sample.svs")
    data = folder / "data"
    image_id = imported(data, folder / "sample.svs")
    with standalone(data) as (services, _intake):
        slide = services.slide_cache.slide(image_id)
        level_dz = next(dz for dz in range(slide.max_level, -1, -1) if dz not in slide.native)
    event = http_event("GET", f"/DeepZoom/{image_id}_files/{level_dz}/0_0.jpeg", "", ())
    return {
        "PATH": os.environ["PATH"],
        "VSV_DATA": str(data),
        "EVENT": json.dumps(event),
        "TYPE": MIME_TYPES["jpeg"],
    }


def _pack(python: str, compiled: Path, plain: Path) -> None:
    sys.path.append(str(FUNCTIONS))  # the packaging script is no part of the product
    packer = importlib.import_module("package_function")
    for path in packer.modules_of("serve_image").values():
        for folder in (compiled, plain):
            target = folder / path.relative_to(FUNCTIONS)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    subprocess.run(
        [python, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", str(compiled)], check=True
    )


def _command(python: str, folders: list[Path], code: str, *options: str) -> list[str]:
    """Return a command without site-packages' own start-up files, of which Lambda has none."""
    packages = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        check=True, capture_output=True, text=True,
    ).stdout.strip()  # fmt: skip
    places = [*map(str, folders), packages]
    return [python, "-I", "-S", *options, "-c", f"import sys; sys.path[:0] = {places!r}\n{code}"]


def _is_there(python: str, code: str) -> bool:
    """Return whether a peer is installed, after importing it once, which also compiles its modules."""
    ran = subprocess.run(_command(python, [], code), capture_output=True, check=False)
    if b"ModuleNotFoundError" in ran.stderr:
        return False
    ran.check_returncode()
    return True


def _print(
    python: str, runs: int, cases: Mapping[str, tuple[list[Path], str]], environment: Mapping[str, str]
) -> None:
    commands = {name: _command(python, *case, "-B") for name, case in cases.items()}
    costs: dict[str, list[Cost]] = {name: [] for name in cases}
    for _ in range(runs):
        for name, command in commands.items():
            costs[name].append(run(command, environment))
    version = subprocess.run([python, "-V"], check=True, capture_output=True, text=True).stdout.strip()
    print(
        f"{platform.machine()}, {os.cpu_count()} hardware threads, {version}, {runs} runs; ms beyond the interpreter"
    )
    print(f"{'':44}{'median':>8}{'best':>8}{'CPU':>8}")
    bare = (0.0, 0.0, 0.0)
    for name, found in costs.items():
        row = _summary(found)
        print(f"{name:44}" + "".join(f"{own - other:8.1f}" for own, other in zip(row, bare, strict=True)))
        bare = _summary(costs["the interpreter alone"])


def _summary(costs: list[Cost]) -> tuple[float, float, float]:
    """Return the median and the least time, and the least time on a CPU, in milliseconds."""
    walls = [cost.wall_s * 1000 for cost in costs]
    return statistics.median(walls), min(walls), min(cost.cpu_s for cost in costs) * 1000


def _print_dearest(python: str, folder: Path, environment: Mapping[str, str]) -> None:
    command = _command(python, [folder], IMPORT, "-X", "importtime")
    told = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stderr
    rows = [line.removeprefix("import time:").split("|") for line in told.splitlines()[1:]]
    # The rows after the interpreter's own imports.
    begin = next(i for i, row in enumerate(rows) if row[2].strip() == "site") + 1 if "| site" in told else 0
    print(f"\n{'-X importtime: module':44}{'own ms':>8}{'with its own':>14}")
    for own, both, name in sorted(rows[begin:], key=lambda row: -int(row[0]))[:TOP]:
        print(f"{name.strip():44}{int(own) / 1000:8.1f}{int(both) / 1000:14.1f}")


if __name__ == "__main__":
    main()
