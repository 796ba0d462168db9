"""Run a command within bounds of time and memory, in a process group of its own, and tell how it ended."""

import os
import resource
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass

_LAST_WORDS = 300


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one file may cost: seconds of time, MB of memory, and MB of each file that is read or written."""

    seconds: float = 300.0
    memory_mb: int = 8192
    size_mb: int = 8192


@dataclass(frozen=True, slots=True)
class End:
    """How a command ended: its output, its seconds, and what went wrong, None where nothing did."""

    output: str
    seconds: float
    trouble: str | None = None


def run(command: Sequence[str], bounds: Bounds, accepted: frozenset[int] = frozenset((0,))) -> End:
    """Run a command to its end or to its bounds; ``accepted`` are the statuses that are no trouble."""
    start = time.monotonic()
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
        preexec_fn=lambda: _limit(bounds),  # noqa: PLW1509  no threads run here
    )
    try:
        output, words = process.communicate(timeout=bounds.seconds)
        trouble = None if process.returncode in accepted else _crash(process.returncode, words)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        trouble = f"not finished after {bounds.seconds:g} s"
    return End(output, time.monotonic() - start, trouble)


def _limit(bounds: Bounds) -> None:
    memory, size = bounds.memory_mb << 20, bounds.size_mb << 20
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _crash(status: int, words: str) -> str:
    if status < 0:
        return f"crash: {signal.Signals(-status).name}"
    last = words.strip().splitlines()[-1:] or ["without a word"]
    return f"crash: status {status}, {last[0][:_LAST_WORDS]}"
