"""Measure vsv serve and other tile servers by the same recorded session on the same slide, with wrk on this machine.

    .venv/bin/python -m benchmarks.serve [--width 24000] [--seconds 5] [--rounds 3] [--slide FILE]
        [--part session|native]

Needs wrk; peers that are not installed are left out, with a hint how to install them. Each server gets requests over
16 connections that stay open, in the order of the recorded session (benchmarks/session.py), first for all tiles, then
only for tiles of full resolution. The best of the rounds is printed. CPU is that of the server's processes, from
/proc; PSS counts memory that they share once.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vsv.services import Services

from benchmarks.big_slide import REAL_SLIDE, write_big_slide
from benchmarks.imported import imported
from benchmarks.peers import BARE, OURS, PEERS, Case, Peer, running
from benchmarks.session import tiles, views
from vsv_local.composition import standalone
from vsv_local.sample.slide import write_sample_slide

CONNECTIONS = 16
_WARMING_SECONDS = 2
_SCRIPT = """
wrk.headers["Host"] = "127.0.0.1"
local paths, at = {}, 0
for line in io.lines("%s") do paths[#paths + 1] = wrk.format("GET", line) end
request = function() at = at %% #paths + 1; return paths[at] end
done = function(summary, latency)
  local wrong = summary.errors.status + summary.errors.read + summary.errors.connect + summary.errors.timeout
  io.write(string.format('{"tiles": %%d, "us": %%d, "p50": %%f, "p99": %%f, "bytes": %%d, "wrong": %%d}\\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), summary.bytes, wrong))
end
"""


@dataclass(frozen=True)
class Figures:
    """One server's result: tiles a second, ms of latency, CPU ms a tile, MiB of memory, KiB a tile, wrong answers."""

    rate: float
    p50_ms: float
    p99_ms: float
    cpu_ms: float
    pss_mib: float
    rss_mib: float
    tile_kib: float
    wrong: int


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--width", type=int, default=24000, help="pixels of the slide that is made")
    parser.add_argument("--slide", type=Path, help="a slide to serve in its place")
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--part", choices=("session", "native"), help="one of the two tables alone")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        sys.exit("wrk is missing: apt-get install wrk lighttpd iipimage-server libvips-tools")
    with tempfile.TemporaryDirectory() as folder:
        case = _prepared(Path(folder), options.slide, options.width)
        asked = tiles(case.grid, views())
        found = _present((BARE, OURS, *PEERS))
        print(f"{case.grid.width_px}×{case.grid.height_px} pixels, {CONNECTIONS} connections", end="; ")
        print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
        native = [address for address in asked if address[0] == case.grid.max_level]
        parts = {"session": ("recorded session", asked), "native": ("native tiles of it", native)}
        for name, addresses in [parts[options.part]] if options.part else parts.values():
            print(f"\n{name}: {len(addresses)} tiles, again and again")
            _head()
            rows = []
            for peer in found:
                rows.append((peer, _measured(peer, case, addresses, options.seconds, options.rounds)))
                _row(*rows[-1])
            _compare(rows)


def _prepared(folder: Path, slide: Path | None, width_px: int) -> Case:
    """Make the slide and import it."""
    path = slide or folder / "slide.svs"
    if slide is None and REAL_SLIDE.exists():
        write_big_slide(path, width_px=width_px, height_px=width_px * 7 // 10)
    elif slide is None:
        write_sample_slide(path)
    image_id = imported(folder / "data", path.absolute(), in_place=True)
    with standalone(folder / "data") as (services, _intake):
        return _case(services, path, image_id, folder)


def _case(services: Services, path: Path, image_id: str, folder: Path) -> Case:
    opened = services.slide_cache.slide(image_id)
    tile = folder / "tile.jpeg"
    tile.write_bytes(opened.levels[opened.max_level].jpeg(1, 1))
    return Case(path, opened.grid, tile, folder / "data", image_id, folder)


def _present(peers: Sequence[Peer]) -> list[Peer]:
    for peer in peers:
        if (how := peer.missing()) is not None:
            print(f"{peer.name} is left out: {how}")
    return [peer for peer in peers if peer.missing() is None]


def _measured(
    peer: Peer, case: Case, addresses: Sequence[tuple[int, int, int]], seconds: int, rounds: int
) -> Figures:
    listed, script = case.folder / "paths.txt", case.folder / "session.lua"
    listed.write_text("".join(f"{peer.path(case, address)}\n" for address in addresses))
    script.write_text(_SCRIPT % listed)
    with running(peer, case) as (port, pids):
        _wrk(port, script, _WARMING_SECONDS)
        return max((_round(port, script, seconds, pids) for _ in range(rounds)), key=lambda one: one.rate)


def _round(port: int, script: Path, seconds: int, pids: Sequence[int]) -> Figures:
    before = _cpu_s(pids)
    told = _wrk(port, script, seconds)
    cpu_s, count = _cpu_s(pids) - before, max(1, told["tiles"])
    pss, rss = (sum(_memory_mib(pid, name) for pid in _with_children(pids)) for name in ("Pss", "Rss"))
    rate, p50_ms, p99_ms = count / told["us"] * 1e6, told["p50"] / 1000, told["p99"] / 1000
    tile_kib = told["bytes"] / count / 1024
    return Figures(rate, p50_ms, p99_ms, cpu_s / count * 1000, pss, rss, tile_kib, int(told["wrong"]))


def _wrk(port: int, script: Path, seconds: int) -> dict[str, float]:
    options = ("-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(script))
    told = subprocess.run(
        ["wrk", *options, f"http://127.0.0.1:{port}"], check=True, capture_output=True, text=True
    )
    found: dict[str, float] = json.loads(told.stdout.splitlines()[-1])
    return found


def _with_children(pids: Sequence[int]) -> Iterator[int]:
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(path.read_text().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue  # the process has just ended
    found = list(pids)
    for pid in found:
        yield pid
        found.extend(child for child, parent in parents.items() if parent == pid)


def _cpu_s(pids: Sequence[int]) -> float:
    ticks = 0
    for pid in _with_children(pids):
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _memory_mib(pid: int, name: str) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / 1024


def _head() -> None:
    heads = ("tiles/s", "p50 ms", "p99 ms", "CPU ms", "PSS MiB", "RSS MiB", "KiB/tile", "wrong")
    print(f"{'':30}" + "".join(f"{head:>10}" for head in heads), flush=True)


def _row(peer: Peer, f: Figures) -> None:
    times = f"{f.rate:10.0f}{f.p50_ms:10.2f}{f.p99_ms:10.2f}{f.cpu_ms:10.3f}"
    sizes = f"{f.pss_mib:10.0f}{f.rss_mib:10.0f}{f.tile_kib:10.1f}{f.wrong:10}"
    print(f"{peer.name:30}{times}{sizes}", flush=True)


def _compare(rows: list[tuple[Peer, Figures]]) -> None:
    ours = next(f.rate for peer, f in rows if peer is OURS)
    others = [(f.rate, peer.name) for peer, f in rows if peer in PEERS]
    if others:
        rate, name = max(others)
        print(f"vsv serve answers {ours / rate:.1f} times as many as {name}")


if __name__ == "__main__":
    main()
