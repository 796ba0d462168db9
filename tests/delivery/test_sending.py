"""Slides are sent at least once, under one key, and are SENT only when every destination has said so."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import boto3
import pytest
from vsv.delivery import transports
from vsv.delivery.destinations import Destination, destinations_in, read_destinations
from vsv.delivery.transports import deliver
from vsv.errors import SettingsError, UnavailableError
from vsv.lifecycle import daily_schedule, job_runner
from vsv.records.models import JobKind, JobRecord, JobState, SlideRecord, Status
from vsv.services import Services
from vsv.timestamps import now_utc
from vsv.workflow.transitions import Decider, change

from tests.support.aws.dynamo_tables import mocked_dynamodb
from tests.support.paths import ROOT
from tests.support.servers.registry import Registry, break_off, drip, hang, serving, status
from tests.support.servers.running import DEADLINE_S, wait_until
from tests.support.stores.store_records import FULL_SLIDE, slide
from vsv_local.composition import standalone

ANN = Decider("Ann", is_admin=False)
TO_SEND = {"status": Status.SENT}


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    monkeypatch.setattr(transports, "SILENCE_S", 0.3)
    monkeypatch.setattr(transports, "WHOLE_S", 0.6)
    with serving() as registry:
        yield registry


@pytest.fixture
def services(tmp_path: Path, registry: Registry) -> Iterator[Services]:
    data = tmp_path / "data"
    data.mkdir()
    write_destinations(
        data, {"name": "registry", "url": registry.url, "headers": {"authorization": "Bearer s3cret"}}
    )
    with standalone(data) as (services, _intake):
        services.slides.put_new(
            slide("1", slide_id="S26-1-A", case_id="S26-1", status=Status.GOOD, note="private")
        )
        yield services


def write_destinations(data: Path, *destinations: dict[str, Any]) -> None:
    (data / "destinations.json").write_text(json.dumps(destinations))


def record(services: Services) -> SlideRecord:
    found = services.slides.get("1")
    assert found
    return found


def job(services: Services) -> JobRecord:
    found = services.jobs.get("1", JobKind.SEND)
    assert found
    return found


def run(services: Services) -> JobRecord:
    services.jobs.advance(job(services), {"next_at": now_utc()})
    (done,) = job_runner.run_due(services, [JobKind.SEND], lambda: True)
    return done


class TestSuccessfulDelivery:
    def test_slide_is_sent_only_after_registry_accepts(self, services: Services, registry: Registry) -> None:
        marked = change(services, "1", TO_SEND, ANN)
        assert (marked.status, marked.delivery) == (Status.GOOD, "WAITING")
        assert registry.asked == []
        assert run(services).state is JobState.DONE
        assert (record(services).status, record(services).delivery) == (Status.SENT, "DELIVERED")
        ((path, headers, document),) = registry.asked
        assert (path, headers["authorization"]) == ("/slides", "Bearer s3cret")
        assert headers["idempotency-key"] == document["deliveryId"]
        assert document["schema"] == "virtual-slide-viewer/slide/1"
        assert document["requestedBy"] == "Ann"
        assert document["slide"]["SlideID"] == "S26-1-A"
        assert "private" not in json.dumps(document)

    def test_history_records_each_step(self, services: Services) -> None:
        change(services, "1", TO_SEND, ANN)
        run(services)
        steps = [
            (c.by, c.field, c.old, c.new) for c in services.slides.history("1").items if c.field != "ImageID"
        ]
        assert ("Ann", "Delivery", None, "WAITING") in steps
        assert ("Ann", "Delivery", "WAITING", "DELIVERED") in steps
        assert ("Ann", "Status", "GOOD", "SENT") in steps

    def test_slide_is_sent_at_once_without_destinations(self, services: Services) -> None:
        alone = replace(services, settings=replace(services.settings, destinations=""))
        assert change(alone, "1", TO_SEND, ANN).status is Status.SENT
        assert services.jobs.get("1", JobKind.SEND) is None

    def test_repeated_request_is_delivered_once(self, services: Services, registry: Registry) -> None:
        for _ in range(2):
            change(services, "1", TO_SEND, ANN)
        run(services)
        assert len(registry.asked) == 1

    def test_every_destination_receives_the_document(
        self, services: Services, registry: Registry, tmp_path: Path
    ) -> None:
        drop = tmp_path / "drop"
        drop.mkdir()
        write_destinations(
            tmp_path / "data", {"name": "a", "url": registry.url}, {"name": "b", "folder": str(drop)}
        )
        change(services, "1", TO_SEND, ANN)
        result = run(services).result
        assert result
        assert set(result) == {"taken by a", "taken by b"}
        (dropped,) = drop.iterdir()
        assert json.loads(dropped.read_bytes()) == registry.asked[0][2]
        assert dropped.name == f"{registry.keys[0]}.json"


class TestFailedDelivery:
    @pytest.mark.parametrize(
        "answer", [status(500), status(503), status(429), hang, drip, break_off], ids=lambda a: a.__name__
    )
    def test_temporary_failure_is_retried_with_the_same_document_and_key(
        self, services: Services, registry: Registry, answer: Any
    ) -> None:
        registry.answers[:] = [answer, status(201)]
        change(services, "1", TO_SEND, ANN)
        waiting = run(services)
        assert (waiting.state, waiting.attempts) == (JobState.WAITING, 1)
        assert "registry" in str(waiting.error)
        assert "s3cret" not in str(waiting.error)
        assert (record(services).status, record(services).delivery) == (Status.GOOD, "WAITING")
        services.slides.update("1", {"note": "edited meanwhile"}, by="Eve")
        assert run(services).state is JobState.DONE
        assert record(services).status is Status.SENT
        assert registry.asked[0][2] == registry.asked[1][2]
        assert len(set(registry.keys)) == 1

    @pytest.mark.parametrize("answer", [status(400), status(401), status(422), status(302, location="/else")])
    def test_permanent_refusal_fails_until_requested_again(
        self, services: Services, registry: Registry, answer: Any
    ) -> None:
        registry.answers[:] = [answer, status(200)]
        change(services, "1", TO_SEND, ANN)
        assert run(services).state is JobState.FAILED
        assert (record(services).status, record(services).delivery) == (Status.GOOD, "FAILED")
        assert len(registry.asked) == 1  # nothing went to where it was redirected
        change(services, "1", TO_SEND, ANN)
        assert run(services).state is JobState.DONE
        assert record(services).status is Status.SENT
        assert len(set(registry.keys)) == 2

    def test_job_fails_after_all_attempts(self, services: Services, registry: Registry) -> None:
        registry.answers[:] = [status(500)]
        change(services, "1", TO_SEND, ANN)
        for _ in range(job_runner.ATTEMPTS):
            ended = run(services)
        assert ended.state is JobState.FAILED
        assert [j.image_id for j in services.jobs.by_state(JobState.FAILED).items] == ["1"]
        assert record(services).delivery == "FAILED"

    def test_failing_destination_does_not_delay_the_others(
        self, services: Services, registry: Registry, tmp_path: Path
    ) -> None:
        drop = tmp_path / "drop"
        drop.mkdir()
        write_destinations(
            tmp_path / "data", {"name": "a", "url": registry.url}, {"name": "b", "folder": str(drop)}
        )
        registry.answers[:] = [status(500), status(200)]
        change(services, "1", TO_SEND, ANN)
        assert run(services).state is JobState.WAITING
        (dropped,) = drop.iterdir()
        dropped.unlink()  # taken away by whoever it is for
        assert run(services).state is JobState.DONE
        assert list(drop.iterdir()) == []  # not delivered again

    def test_status_changed_before_delivery_cancels_the_job(
        self, services: Services, registry: Registry
    ) -> None:
        change(services, "1", TO_SEND, ANN)
        assert change(services, "1", {"status": Status.BAD}, ANN).delivery is None
        assert run(services).state is JobState.FAILED
        assert registry.asked == []
        assert (record(services).status, record(services).delivery) == (Status.BAD, None)

    def test_slide_marked_again_is_sent_with_changed_fields_and_new_key(
        self, services: Services, registry: Registry
    ) -> None:
        registry.answers[:] = [status(500), status(200)]
        change(services, "1", TO_SEND, ANN)
        run(services)
        change(services, "1", {"status": Status.BAD}, ANN)
        change(services, "1", {"status": Status.GOOD, "case_id": "S26-2"}, ANN)
        change(services, "1", TO_SEND, ANN)
        assert run(services).state is JobState.DONE
        assert [document["slide"]["CaseID"] for _p, _h, document in registry.asked] == ["S26-1", "S26-2"]
        assert len(set(registry.keys)) == 2

    def test_kill_before_final_state_is_completed_without_second_delivery(
        self, services: Services, registry: Registry
    ) -> None:
        change(services, "1", TO_SEND, ANN)
        run(services)
        killed = services.jobs.advance(
            job(services), {"state": JobState.WAITING, "result": job(services).result}
        )
        assert job_runner.run(services, killed).state is JobState.DONE
        assert len(registry.asked) == 1
        assert record(services).status is Status.SENT

    def test_daily_look_requests_delivery_of_marked_slide_without_job(
        self, services: Services, registry: Registry
    ) -> None:
        services.slides.update("1", {"delivery": "WAITING"}, by="Ann")
        assert [(j.image_id, j.kind, j.by) for j in daily_schedule.look(services)] == [
            ("1", JobKind.SEND, "Ann")
        ]
        assert daily_schedule.look(services) == []  # asked for already
        assert run(services).state is JobState.DONE
        assert record(services).status is Status.SENT
        assert daily_schedule.look(services) == []

    def test_missing_folder_keeps_the_job_waiting(self, services: Services, tmp_path: Path) -> None:
        write_destinations(tmp_path / "data", {"name": "b", "folder": str(tmp_path / "nowhere")})
        change(services, "1", TO_SEND, ANN)
        waiting = run(services)
        assert waiting.state is JobState.WAITING
        assert str(tmp_path) not in str(waiting.error)


class TestTwoRuns:
    """Two runs of one delivery, of a server and a command, or of two functions: the registry is asked once."""

    def test_second_run_during_a_delivery_waits_and_delivers_nothing(
        self, services: Services, registry: Registry
    ) -> None:
        asked, may_answer = threading.Event(), threading.Event()

        def slow(handler: Any) -> None:
            asked.set()
            may_answer.wait(DEADLINE_S)
            status(200)(handler)

        registry.answers[:] = [slow]
        change(services, "1", TO_SEND, ANN)
        with pytest.MonkeyPatch.context() as patched, ThreadPoolExecutor(1) as threads:
            patched.setattr(transports, "SILENCE_S", DEADLINE_S)
            patched.setattr(transports, "WHOLE_S", DEADLINE_S)
            first = threads.submit(job_runner.run, services, job(services))
            assert asked.wait(DEADLINE_S)
            with pytest.raises(UnavailableError):
                job_runner.run(services, job(services))
            services.jobs.advance(job(services), {"next_at": now_utc()})
            assert job_runner.run_due(services, [JobKind.SEND], lambda: True) == []
            may_answer.set()
            assert first.result().state is JobState.DONE
        assert job_runner.run(services, job(services)).state is JobState.DONE
        assert len(registry.asked) == 1

    def test_lock_of_a_killed_run_does_not_hinder_the_next_one(
        self, services: Services, registry: Registry, tmp_path: Path
    ) -> None:
        registry.answers[:] = [lambda _handler: time.sleep(2), status(200)]
        environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'functions'}{os.pathsep}{ROOT}"}
        command = [sys.executable, "-c", "from vsv_local.cli.main import main; main()", "send", "1"]
        killed = subprocess.Popen(
            [*command, "--data", str(tmp_path / "data")], env=environment, stdout=subprocess.DEVNULL
        )
        wait_until(lambda: registry.asked, "the registry is asked")
        with pytest.raises(UnavailableError):
            job_runner.run(services, job(services))
        killed.kill()
        killed.wait(DEADLINE_S)
        assert job_runner.run(services, job(services)).state is JobState.DONE
        assert record(services).status is Status.SENT
        assert len(set(registry.keys)) == 1


def test_deliver_to_bucket_stores_document_and_is_repeatable() -> None:
    with mocked_dynamodb():
        s3 = boto3.client("s3")
        s3.create_bucket(Bucket="lake", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        for _ in range(2):
            deliver(Destination("lake", bucket="s3://lake/slides"), "1-abc", b'{"a": 1}')
        (stored,) = s3.list_objects_v2(Bucket="lake")["Contents"]
        assert stored["Key"] == "slides/1-abc.json"
        assert s3.get_object(Bucket="lake", Key=stored["Key"])["Body"].read() == b'{"a": 1}'
        with pytest.raises(UnavailableError, match="nowhere"):
            deliver(Destination("nowhere", bucket="s3://not-there"), "1-abc", b"{}")


class TestDestinations:
    def test_read_destinations_returns_urls_buckets_and_hidden_headers(self) -> None:
        found = read_destinations(
            '[{"name": "a", "url": "https://x.example/y", "headers": {"x-key": "s3cret"}},'
            ' {"name": "b", "bucket": "s3://lake/c"}]'
        )
        assert [(d.name, d.url, d.bucket) for d in found] == [
            ("a", "https://x.example/y", ""), ("b", "", "s3://lake/c")
        ]  # fmt: skip
        assert found[0].headers == {"x-key": "s3cret"}
        assert "s3cret" not in repr(found)

    @pytest.mark.parametrize(
        "text",
        [
            "", "{}", "[]", "[" * 100_000, "[1]", '[{"name": "a"}]', '[{"name": "a b", "folder": "/x"}]',
            '[{"name": "a", "url": "http://registry.example"}]', '[{"name": "a", "url": "https://"}]',
            '[{"name": "a", "url": "https://user:secret@x.example"}]', '[{"name": "a", "url": "file:///etc/passwd"}]',
            '[{"name": "a", "url": "https://x.example/\\r\\nX: y"}]', '[{"name": "a", "url": "https://x:99999999/"}]',
            '[{"name": "a", "folder": "relative"}]', '[{"name": "a", "bucket": "lake"}]',
            '[{"name": "a", "url": "https://x.example", "folder": "/x"}]', '[{"name": "a", "url": ["https://x"]}]',
            '[{"name": "a", "url": "https://x.example", "headers": {"a": "b\\nc: d"}}]',
            '[{"name": "a", "url": "https://x.example", "headers": {"Host": "y"}}]',
            '[{"name": "a", "folder": "/x", "headers": {"a": "b"}}]', '[{"name": "a", "folder": "/x", "why": 1}]',
            '[{"name": "a", "folder": "/x"}, {"name": "a", "folder": "/y"}]',
        ],
    )  # fmt: skip
    def test_read_destinations_refuses_invalid_texts_without_repeating_secrets(self, text: str) -> None:
        with pytest.raises(SettingsError) as raised:
            read_destinations(text)
        assert "secret" not in str(raised.value)

    def test_destinations_in_refuses_unreadable_files_with_a_reason(self, tmp_path: Path) -> None:
        with pytest.raises(SettingsError, match="cannot be read"):
            destinations_in(str(tmp_path / "nowhere.json"))
        (tmp_path / "big.json").write_bytes(b" " * 100_000)
        with pytest.raises(SettingsError, match="larger"):
            destinations_in(str(tmp_path / "big.json"))
        (tmp_path / "odd.json").write_bytes(b"\xff\xfe")
        with pytest.raises(SettingsError, match="not JSON"):
            destinations_in(str(tmp_path / "odd.json"))

    def test_destinations_in_reads_secret_by_arn(self) -> None:
        with mocked_dynamodb():
            client = boto3.client("secretsmanager")
            arn = client.create_secret(Name="r", SecretString='[{"name": "a", "folder": "/x"}]')["ARN"]
            assert [d.name for d in destinations_in(arn)] == ["a"]
            with pytest.raises(UnavailableError):
                destinations_in(arn + "x")


def test_sent_document_omits_private_fields(services: Services, registry: Registry) -> None:
    services.slides.put_new(replace(FULL_SLIDE, image_id="2", status=Status.GOOD, delivery=None))
    change(services, "2", TO_SEND, ANN)
    job_runner.run_due(services, [JobKind.SEND], lambda: True)
    (sent,) = (document["slide"] for _p, _h, document in registry.asked)
    assert not {"Tags", "Note", "Reviewer", "PublishedAs", "ModifiedBy"} & sent.keys()
    assert sent["Barcode"] == FULL_SLIDE.barcode
