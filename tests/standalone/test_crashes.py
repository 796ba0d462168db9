"""A file that ends the process each time it is worked on must not keep the others out for ever."""

from typing import Any

import pytest
from vsv.errors import UnavailableError
from vsv.ingest.receive import retry
from vsv.records.models import ImportState

from tests.support.servers.running import Site
from vsv_local.ingest import import_runner


def test_step_counts_as_a_crash_until_the_step_has_returned(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    inspect, during = import_runner.inspect_file, []

    def look(event: dict[str, Any], context: Any) -> dict[str, Any]:
        during.append(site.services.imports.get("a.svs").consecutive_crashes)
        return inspect(event, context)

    monkeypatch.setattr(import_runner, "inspect_file", look)
    assert site.bring("a.svs") == 200
    assert during == [1]
    assert site.services.imports.get("a.svs").consecutive_crashes == 0


def test_file_that_crashed_too_often_is_not_imported_until_a_retry(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(import_runner, "inspect_file", _refuse)
        assert site.bring("a.svs") == 202
        patched.setattr(import_runner, "MAX_CONSECUTIVE_CRASHES", 0)
        assert site.bring("a.svs") == 422
    run = site.services.imports.get("a.svs")
    assert run.state is ImportState.FAILED
    assert "not tried again" in run.error
    retry(site.services, "a.svs")
    site.finish()
    assert site.state("a.svs") is ImportState.READY


def _refuse(_event: dict[str, Any], _context: Any) -> None:
    raise UnavailableError("the disk is away")
