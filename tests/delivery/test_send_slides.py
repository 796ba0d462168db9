"""The function that sends slides: those that are due, to whoever the destinations name, while there is time."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from send_slides import handler
from vsv.delivery import transports
from vsv.delivery.destinations import MOST
from vsv.delivery.transports import CONNECT_S, WHOLE_S
from vsv.records.models import JobKind, JobRecord, JobState, Status
from vsv.services import Services
from vsv.workflow import job_queue
from vsv.workflow.transitions import Decider, change

from tests.lifecycle.test_manage_files import DONE, Context
from tests.support.aws.cloudformation import functions
from tests.support.servers.registry import Registry, serving, status
from tests.support.stores.store_records import slide
from vsv_local.composition import standalone

ANN = Decider("Ann", is_admin=False)


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    monkeypatch.setattr(transports, "SILENCE_S", 0.3)
    with serving() as registry:
        yield registry


@pytest.fixture
def services(tmp_path: Path, registry: Registry) -> Iterator[Services]:
    data = tmp_path / "data"
    data.mkdir()
    (data / "destinations.json").write_text(json.dumps([{"name": "registry", "url": registry.url}]))
    with standalone(data) as (services, _intake):
        for image_id in ("1", "2"):
            services.slides.put_new(slide(image_id, status=Status.GOOD))
            change(services, image_id, {"status": Status.SENT}, ANN)
        yield services


def sending(services: Services, image_id: str = "1") -> JobRecord:
    found = services.jobs.get(image_id, JobKind.SEND)
    assert found
    return found


def state_of(services: Services, image_id: str = "1") -> tuple[Status, str | None]:
    found = services.slides.get(image_id)
    assert found
    return found.status, found.delivery


@pytest.mark.parametrize("event", [{}, {"Records": [None, {"dynamodb": "x"}]}, {"look": "deleted"}])
def test_handler_sends_due_slides_for_any_event(services: Services, registry: Registry, event: Any) -> None:
    assert handler.lambda_handler(event, Context()) == DONE
    assert [document["slide"]["ImageID"] for _, _, document in registry.asked] == ["1", "2"]
    assert {state_of(services, image_id) for image_id in ("1", "2")} == {(Status.SENT, "DELIVERED")}
    handler.lambda_handler(event, Context())
    assert len(registry.asked) == 2


def test_slide_is_sent_only_after_destination_accepts(services: Services, registry: Registry) -> None:
    registry.answers[:] = [status(503), status(200)]
    assert handler.lambda_handler({}, Context()) == DONE
    assert state_of(services, "1") == (Status.GOOD, "WAITING")
    assert (sending(services).state, sending(services).attempts) == (JobState.WAITING, 1)
    assert state_of(services, "2") == (Status.SENT, "DELIVERED")


def test_handler_does_not_run_file_jobs(services: Services) -> None:
    job_queue.request(services, "1", JobKind.PURGE, "Eve")
    handler.lambda_handler({}, Context())
    left = services.jobs.get("1", JobKind.PURGE)
    assert left
    assert (left.state, left.attempts) == (JobState.WAITING, 0)


def test_handler_starts_no_delivery_that_may_exceed_its_timeout(
    services: Services, registry: Registry
) -> None:
    assert handler.lambda_handler({}, Context(handler.NEEDS_MS)) == DONE
    assert registry.asked == []
    (function,) = (one for one in functions() if one.name == "SendSlidesFunction")
    assert MOST * (CONNECT_S + WHOLE_S) * 1000 < handler.NEEDS_MS < function.properties["Timeout"] * 1000
