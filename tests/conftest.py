"""Fixtures that several test modules share."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.paths import REAL_SLIDE
from tests.support.servers.registry import Registry, serving
from tests.support.servers.running import Site, running_site

# A busy machine is slow, and that is no failure; the same examples everywhere, so that a failure can be repeated.
settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")

# In a shell's background Ctrl+C is ignored by the tests, and by each server that they start and stop by it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def real_slide() -> Path:
    """Give the real slide, which a user's clone does not have: every test on it is an extra case."""
    if not REAL_SLIDE.exists():
        pytest.skip("the real slide CMU-1-Small-Region.svs is not here")
    return REAL_SLIDE


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Be an empty installation for one test; what fails is not tried again, which would only take time."""
    monkeypatch.setattr("vsv_local.ingest.import_runner.RETRY_DELAYS_S", ())
    with running_site(tmp_path) as running:
        yield running


@pytest.fixture
def registry() -> Iterator[Registry]:
    """Give a registry that takes what it is sent."""
    with serving() as registry:
        yield registry
