"""Fixtures that several test modules share."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.paths import REAL_SLIDE
from tests.support.servers.registry import Registry, serving
from tests.support.servers.running import Site, running_site

# No deadline, since a busy machine is slow; the same examples everywhere, so that a failure can be repeated.
settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")

# A shell's background jobs ignore SIGINT, and so would the servers that tests start and stop with it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def real_slide() -> Path:
    """Return the path of the real slide, which is not in a clone; tests on it are skipped without it."""
    if not REAL_SLIDE.exists():
        pytest.skip("the real slide CMU-1-Small-Region.svs is not here")
    return REAL_SLIDE


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Start an empty installation for one test, without retries of failed imports, which would only take time."""
    monkeypatch.setattr("vsv_local.ingest.import_runner.RETRY_DELAYS_S", ())
    with running_site(tmp_path) as running:
        yield running


@pytest.fixture
def registry() -> Iterator[Registry]:
    """Start a registry that accepts every request."""
    with serving() as registry:
        yield registry
