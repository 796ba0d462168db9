"""Fixtures that several test modules share."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from running import Site, site

from tests.registry import Registry, serving

# A busy machine is slow, and that is no failure; the same examples everywhere, so that a failure can be repeated.
settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")

# In a shell's background Ctrl+C is ignored by the tests, and by each server that they start and stop by it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

REAL_SLIDE = Path(__file__).resolve().parents[2] / "shared/data/CMU-1-Small-Region.svs"


@pytest.fixture(scope="session")
def real_slide() -> Path:
    """Give the real slide, which a user's clone does not have: every test on it is an extra case."""
    if not REAL_SLIDE.exists():
        pytest.skip("the real slide CMU-1-Small-Region.svs is not here")
    return REAL_SLIDE


@pytest.fixture
def services(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """Be an empty installation for one test; what fails is not tried again, which would only take time."""
    monkeypatch.setattr("vsv_local.ingest.import_runner.RETRY_DELAYS_S", ())
    with site(tmp_path) as running:
        yield running


@pytest.fixture
def registry() -> Iterator[Registry]:
    """Give a registry that takes what it is sent."""
    with serving() as registry:
        yield registry
