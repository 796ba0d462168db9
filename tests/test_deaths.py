"""A file that ends the process each time it is worked on must not keep the others out for ever."""

from typing import Any

import pytest
from running import Site
from vsv.errors import UnavailableError
from vsv.ingest.receive import retry
from vsv.records.models import ImportState

from vsv_local.ingest import import_runner


def test_a_step_is_counted_as_a_death_until_it_has_returned(
    services: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    inspect, during = import_runner.inspect_file, []

    def look(event: dict[str, Any], context: Any) -> dict[str, Any]:
        during.append(services.services.imports.get("a.svs").deaths)
        return inspect(event, context)

    monkeypatch.setattr(import_runner, "inspect_file", look)
    assert services.bring("a.svs") == 200
    assert during == [1]
    assert services.services.imports.get("a.svs").deaths == 0


def test_a_file_that_was_too_deadly_is_left_alone_until_somebody_retries(
    services: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(import_runner, "inspect_file", _refuse)
        assert services.bring("a.svs") == 202
        patched.setattr(import_runner, "MAX_DEATHS", 0)
        assert services.bring("a.svs") == 422
    run = services.services.imports.get("a.svs")
    assert run.state is ImportState.FAILED
    assert "not tried again" in run.error
    retry(services.services, "a.svs")
    services.finish()
    assert services.state("a.svs") is ImportState.READY


def _refuse(_event: dict[str, Any], _context: Any) -> None:
    raise UnavailableError("the disk is away")
