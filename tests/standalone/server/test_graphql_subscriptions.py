"""Subscriptions over graphql-transport-ws: changes from anywhere, filters, bounds, the protocol's rules."""

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from vsv.ingest import progress
from vsv.ingest.receive import receive
from vsv.records.models import ImportState, JobKind, JobState
from vsv.workflow import job_queue
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from tests.support.paths import ROOT
from tests.support.servers.graphql_server import Client, Server, run_apart, running_server
from tests.support.slides.aperio import Plan, write_slide
from tests.support.stores.store_records import slide, slide_import
from vsv_local.graphql import change_feed, sockets, websocket
from vsv_local.graphql.change_feed import Changed, ChangeFeed, FellBehindError, Follower
from vsv_local.graphql.websocket import Connection

ON_UPDATE = """
subscription OnUpdateSlide($CaseID: String, $ImageID: String, $SlideID: String, $ScanDate: AWSDateTime) {
  onUpdateSlide(CaseID: $CaseID, ImageID: $ImageID, SlideID: $SlideID, ScanDate: $ScanDate) {
    ImageID CaseID Status Version
  }
}
"""
ON_IMPORT = (
    "subscription($name: String) { onImportProgress(Filename: $name) { Filename State Progress Error } }"
)
ON_JOB = "subscription($id: String) { onJobUpdate(ImageID: $id) { ImageID Kind State Error DismissedBy } }"
DISMISS = "mutation($id: String!, $kind: String!) { dismissJob(ImageID: $id, kind: $kind) { State } }"
UPDATE = "mutation($input: UpdateSlideInput!) { updateSlide(input: $input) { Version } }"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with running_server(tmp_path / "data") as server:
        for name in "ab":
            server.services.slides.put_new(slide(name, case_id=f"C{name}", scan_date="2026-11-20T10:00:00"))
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with server.socket() as client:
        yield client.begin()


def payload(client: Client, name: str = "1") -> Any:
    message = client.next()
    assert (message["type"], message["id"]) == ("next", name), message
    assert "errors" not in message["payload"]
    (value,) = message["payload"]["data"].values()
    return value


class TestChangeDelivery:
    def test_subscriber_receives_a_change_made_over_http(self, server: Server, client: Client) -> None:
        client.subscribe(ON_UPDATE)
        server.data_of(UPDATE, input={"ImageID": "a", "Status": "GOOD"})
        assert payload(client) == {"ImageID": "a", "CaseID": "Ca", "Status": "GOOD", "Version": 2}

    def test_subscriber_receives_a_new_slide(self, server: Server, client: Client) -> None:
        client.subscribe(ON_UPDATE)
        server.services.slides.put_new(slide("new"))
        assert payload(client)["ImageID"] == "new"

    def test_subscription_arguments_filter_changes(self, server: Server, client: Client) -> None:
        """As on AppSync: one left out asks for all, null for slides that have none."""
        client.subscribe(ON_UPDATE, CaseID="Cb")
        client.subscribe(ON_UPDATE, ImageID="a", ScanDate="2026-11-20T10:00:00Z")
        client.subscribe(ON_UPDATE, CaseID=None)
        server.data_of(UPDATE, input={"ImageID": "a", "Status": "GOOD"})
        assert payload(client, "2")["Status"] == "GOOD"
        server.data_of(UPDATE, input={"ImageID": "b", "Status": "BAD"})
        assert payload(client, "1")["ImageID"] == "b"
        server.data_of(UPDATE, input={"ImageID": "b", "CaseID": None})
        assert payload(client, "3") == {"ImageID": "b", "CaseID": None, "Status": "BAD", "Version": 3}

    def test_import_subscriber_receives_progress_and_failure(self, server: Server, client: Client) -> None:
        client.subscribe(ON_IMPORT)
        client.subscribe(ON_IMPORT, name="other.svs")
        imports = server.services.imports
        imports.start(slide_import("x.svs"), replaces=None)
        assert payload(client) == {
            "Filename": "x.svs",
            "State": "TRANSFERRING",
            "Progress": None,
            "Error": None,
        }
        imports.advance("x.svs", "run-1", {"progress": 0.5})
        assert payload(client)["Progress"] == 0.5
        imports.advance("x.svs", "run-1", {"state": ImportState.FAILED, "error": "It is no slide."})
        assert payload(client) == {
            "Filename": "x.svs",
            "State": "FAILED",
            "Progress": None,
            "Error": "It is no slide.",
        }

    def test_job_subscriber_receives_request_failure_and_dismissal(
        self, server: Server, client: Client
    ) -> None:
        client.subscribe(ON_JOB)
        client.subscribe(ON_JOB, id="b")
        services = server.services
        job = job_queue.request(services, "a", JobKind.ARCHIVE, "Eve")
        told = {"ImageID": "a", "Kind": "ARCHIVE", "State": "WAITING", "Error": None, "DismissedBy": None}
        assert payload(client) == told
        services.jobs.advance(job, {"state": JobState.FAILED, "error": "The archive is full."})
        told |= {"State": "FAILED", "Error": "The archive is full."}
        assert payload(client) == told
        assert server.data_of(DISMISS, id="a", kind="ARCHIVE") == {"dismissJob": {"State": "DISMISSED"}}
        assert payload(client) == told | {"State": "DISMISSED", "DismissedBy": "local"}
        job_queue.request(services, "b", JobKind.SEND, "Eve")
        told_of_b = [client.next(), client.next()]  # of both subscriptions, in any order
        assert sorted(one["id"] for one in told_of_b) == ["1", "2"]
        assert {one["payload"]["data"]["onJobUpdate"]["ImageID"] for one in told_of_b} == {"b"}

    def test_subscriber_receives_a_change_made_by_another_process(
        self, server: Server, client: Client
    ) -> None:
        client.subscribe(ON_UPDATE, ImageID="b")
        path = server.services.files.slide("b")
        path.parent.mkdir(parents=True)
        path.write_bytes(b"slide")
        command = [
            sys.executable,
            "-W",
            "error",
            "-c",
            "from vsv_local.cli.main import main; main()",
            "delete",
            "b",
            "--yes",
        ]
        paths = os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'functions'}"}
        subprocess.run(
            [*command, "--data", str(server.data)], env=paths, check=True, stdout=subprocess.DEVNULL
        )
        assert payload(client) == {"ImageID": "b", "CaseID": "Cb", "Status": "DELETED", "Version": 2}

    def test_change_reaches_every_active_subscription_and_no_completed_subscription(
        self, server: Server, client: Client
    ) -> None:
        first, second = client.subscribe(ON_UPDATE), client.subscribe(ON_UPDATE)
        client.send(type="complete", id=first)
        client.send(type="ping")
        assert client.next() == {"type": "pong"}
        with server.socket() as other:
            other.begin().subscribe(ON_UPDATE)
            server.data_of(UPDATE, input={"ImageID": "a", "Status": "GOOD"})
            assert payload(client, second) == payload(other)

    def test_reconnected_subscriber_receives_only_later_changes(self, server: Server) -> None:
        for status in ("GOOD", "BAD"):
            server.services.slides.update("a", {"status": "NEW"}, by="nobody sees this")
            with server.socket() as client:
                client.begin().subscribe(ON_UPDATE)
                server.data_of(UPDATE, input={"ImageID": "a", "Status": status})
                assert payload(client)["Status"] == status


def test_import_sends_rising_progress_then_new_slide_then_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "EVERY_S", 0)
    write_slide(tmp_path / "x.svs", Plan(width_px=1500, height_px=1000, associated="none"))
    size = (tmp_path / "x.svs").stat().st_size
    with running_server(tmp_path / "data", tmp_path) as server, server.socket() as client:
        client.begin()
        client.subscribe("subscription { onImportProgress { Filename State Progress ImageID } }")
        client.subscribe("subscription { onUpdateSlide { ImageID Filename Status } }")
        receive(server.services, "x.svs", size)
        seen: list[dict[str, Any]] = []
        while not seen or seen[-1].get("State") != "READY":
            (value,) = client.next()["payload"]["data"].values()
            seen.append(value)
    slides = [one for one in seen if "Status" in one]
    assert slides == [{"ImageID": seen[-1]["ImageID"], "Filename": "x.svs", "Status": "NEW"}]
    told = [
        one["Progress"] for one in seen if one.get("State") == "IMPORTING" and one["Progress"] is not None
    ]
    assert told == sorted(told)
    assert all(0 < part <= 1 for part in told)
    assert seen[-1]["Progress"] is None


class TestWebSocketProtocol:
    def test_query_over_websocket_returns_result_and_complete(self, client: Client) -> None:
        client.send(type="subscribe", id="q", payload={"query": '{ getSlide(ImageID: "a") { ImageID } }'})
        assert client.next()["payload"] == {"data": {"getSlide": {"ImageID": "a"}}}
        assert client.next() == {"id": "q", "type": "complete"}

    @pytest.mark.parametrize(
        "operation",
        [
            {"query": "subscription { nothing }"},
            {"query": "subscription { onUpdateSlide { ImageID } onImportProgress { Filename } }"},
            {"query": "subscription($n: Int!) { onUpdateSlide { ImageID } }"},
            {"query": "subscription { ...A } fragment A on Subscription { onUpdateSlide { ImageID } }"},
            {"query": ON_UPDATE, "variables": {"CaseID": 5}},
            {"query": ON_UPDATE, "variables": {"ScanDate": "yesterday"}},
            {"query": 5},
            None,
        ],
    )
    def test_invalid_subscription_answers_error_and_keeps_connection_open(
        self, client: Client, operation: Any
    ) -> None:
        client.send(type="subscribe", id="x", payload=operation)
        message = client.next()
        assert (message["type"], message["id"]) == ("error", "x")
        assert message["payload"][0]["message"]
        client.send(type="ping", payload={})
        assert client.next() == {"type": "pong"}

    @pytest.mark.parametrize(
        ("message", "code"),
        [
            ("no json", 4400),
            ("5", 4400),
            ('{"type": 5}', 4400),
            ('{"type": "start"}', 4400),
            ('{"type": "subscribe", "payload": {}}', 4400),
            ('{"type": "subscribe", "id": 5, "payload": {}}', 4400),
            ('{"type": "connection_init"}', 4429),
            ("[" * 100_000, 4400),
            (b"\x00", 4400),
        ],
    )
    def test_invalid_message_closes_the_connection_with_its_code(
        self, client: Client, message: Any, code: int
    ) -> None:
        client.connection.send(message)
        assert close_code(client) == code

    def test_subscribe_before_connection_init_closes_with_4401(self, server: Server) -> None:
        with server.socket() as client:
            client.send(type="subscribe", id="1", payload={"query": ON_UPDATE})
            assert close_code(client) == 4401

    def test_subscription_id_already_in_use_closes_with_4409(self, client: Client) -> None:
        client.subscribe(ON_UPDATE)
        client.send(type="subscribe", id="1", payload={"query": ON_UPDATE})
        assert close_code(client) == 4409

    def test_missing_connection_init_closes_with_4408(
        self, server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(websocket, "INIT_S", 0.01)
        with server.socket() as client:
            assert close_code(client) == 4408

    def test_unknown_subprotocol_closes_with_4406(self, server: Server) -> None:
        with server.socket(subprotocols=["graphql-ws"]) as client:
            assert close_code(client) == 4406

    def test_foreign_origin_host_and_path_are_refused(self, server: Server) -> None:
        with pytest.raises(InvalidStatus), server.socket(origin="https://evil.example"):
            pass
        straight = socket.create_connection(("127.0.0.1", server.port))
        with (
            straight,
            pytest.raises(InvalidStatus),
            connect("ws://evil.example/graphql", sock=straight, proxy=None),
        ):
            pass
        with pytest.raises(InvalidStatus), connect(f"ws://{server.address}/other", proxy=None):
            pass
        with server.socket(origin=f"http://{server.address}") as client:
            client.begin()


class TestConnectionLimits:
    def test_too_many_subscriptions_close_the_connection(
        self, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(websocket, "MAX_OPERATIONS", 2)
        for _ in range(2):
            client.subscribe(ON_UPDATE)
        client.send(type="subscribe", id="3", payload={"query": ON_UPDATE})
        assert close_code(client) == 4400

    def test_connection_above_the_limit_is_closed_with_1013(
        self, server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sockets, "MAX_CONNECTIONS", 1)
        with server.socket() as first:
            first.begin()
            with server.socket() as second:
                assert close_code(second) == 1013

    def test_message_that_is_too_long_closes_the_connection(self, client: Client) -> None:
        client.connection.send(json.dumps({"type": "ping", "payload": {"x": "x" * (17 << 20)}}))
        assert close_code(client) == 1009


def close_code(client: Client) -> int | None:
    with pytest.raises(ConnectionClosed) as caught:
        for _ in range(50):
            client.next()
    return caught.value.rcvd.code if caught.value.rcvd else None


class TestSlowSubscribers:
    def changed(self, key: str, version: int = 1) -> Changed:
        return Changed("slide", key, {"ImageID": key, "Version": version})

    def test_queue_keeps_only_the_latest_state_of_each_record(self) -> None:
        async def scenario() -> list[Any]:
            follower = Follower("slide", lambda _fields: True)
            for version in range(5000):
                follower.offer(self.changed("a", version))
                follower.offer(self.changed("b", version))
            return [await follower.next(), await follower.next()]

        assert run_apart(scenario()) == [
            {"ImageID": "a", "Version": 4999},
            {"ImageID": "b", "Version": 4999},
        ]

    def test_queue_overflow_raises_fell_behind(self) -> None:
        async def scenario() -> None:
            follower = Follower("slide", lambda _fields: True)
            for number in range(change_feed.MAX_WAITING + 1):
                follower.offer(self.changed(f"{number}"))
            with pytest.raises(FellBehindError):
                await follower.next()

        run_apart(scenario())

    def test_client_that_does_not_read_does_not_delay_other_subscribers(self) -> None:
        """Its connection hangs in a send; changes go on arriving for the others, and its own stay few."""

        async def scenario() -> None:
            stuck, told = asyncio.Event(), []
            incoming: asyncio.Queue[Any] = asyncio.Queue()
            for message in (
                {"type": "connection_init"},
                {
                    "type": "subscribe",
                    "id": "1",
                    "payload": {"query": "subscription { onUpdateSlide { ImageID } }"},
                },
            ):
                incoming.put_nowait({"type": "websocket.receive", "text": json.dumps(message)})

            async def send(event: Any) -> None:
                if '"next"' in event.get("text", ""):
                    stuck.set()
                    await asyncio.Event().wait()
                told.append(event)

            news = ChangeFeed()
            with ThreadPoolExecutor(1) as threads:
                task = asyncio.create_task(Connection(incoming.get, send, threads, news).serve())
                while not news._followers:
                    await asyncio.sleep(0)
                (follower,) = news._followers
                other = news.follow("slide", lambda _fields: True)
                follower.offer(self.changed("a"))
                await stuck.wait()
                for number in range(100):
                    for one in tuple(news._followers):
                        one.offer(self.changed(f"{number % 10}", number))
                assert len(follower._waiting) == 10
                assert (await other.next())["Version"] == 90
                incoming.put_nowait({"type": "websocket.disconnect"})
                await task
                assert news._followers == {other}
            assert [json.loads(event["text"])["type"] for event in told] == ["connection_ack"]

        run_apart(scenario())
