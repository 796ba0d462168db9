"""The scanner workstation's script: it alone deletes originals, so most of this is about when it must not."""

import importlib.util
import json
import os
import random
import socket
import ssl
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.servers.running import DEADLINE_S, Server, server, wait_until
from tests.support.servers.scanner_script import (
    SCRIPT,
    SECRET,
    Conversation,
    ErraticServer,
    Reply,
    Workstation,
    always,
    echo,
    erratic,
    sha256,
)
from tests.support.slides.small import OLD, other_scan, put, slide_bytes

CONTENT = b"a slide, as far as this script can tell"
KILL_ROUNDS = int(os.environ.get("VSV_KILL_ROUNDS", "10"))


@pytest.fixture
def station(tmp_path: Path) -> Workstation:
    folder = tmp_path / "scans"
    folder.mkdir()
    return Workstation(folder, tmp_path / "state")


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Workstation]]:
    """Start the standalone server; yield it and the workstation whose folder it reads."""
    base = tmp_path_factory.mktemp("real")
    folder = base / "scans"
    folder.mkdir()
    with server(base / "data", "--watch", str(folder)) as running:
        yield running, Workstation(folder, base / "state", f"http://127.0.0.1:{running.port}/ImportSlide")


def stored(base: Path) -> set[bytes]:
    """Return the contents of the originals that a server has stored."""
    return {path.read_bytes() for path in (base / "data" / "slides").glob("*/slide.svs")}


def run_until(station: Workstation, word: str, name: str) -> list[str]:
    """Run as the timer does, until a file's word is this one; give all its words."""
    words: list[str] = []

    def is_so() -> bool:
        words.append(station.run()[name])
        return words[-1] == word

    wait_until(is_so, f"the script says {word}")
    return words


# The real server


@pytest.mark.parametrize(
    ("name", "image_id"),
    [("a.svs", "1000001"), ("ä ö – 日本 %41 'q'.svs", "1000002"), ("UPPER.SVS", "1000003")],
)
def test_script_deletes_a_slide_only_after_the_server_stored_the_same_bytes(
    real: tuple[Server, Workstation], name: str, image_id: str
) -> None:
    _server, station = real
    content = slide_bytes(image_id)
    put(station.folder, name, content)
    words = run_until(station, "deleted", name)
    assert set(words[:-1]) <= {"waiting"}
    assert content in stored(station.folder.parent)
    assert station.names() == []


def test_rescan_with_the_same_name_and_size_is_stored_beside_the_first_scan(
    real: tuple[Server, Workstation],
) -> None:
    _server, station = real
    first = slide_bytes("1000077")
    second = other_scan(first)
    for content, day in ((first, 0), (second, 86_400)):
        put(station.folder, "rescan.svs", content, OLD + day * 1_000_000_000)
        run_until(station, "deleted", "rescan.svs")
    assert {first, second} <= stored(station.folder.parent)


def test_invalid_slide_is_kept_and_reported_as_failed_with_the_reason(
    real: tuple[Server, Workstation],
) -> None:
    _server, station = real
    bad = put(station.folder, "bad.svs", b"no slide at all")
    run_until(station, "failed", "bad.svs")
    assert "Not a supported slide file" in station.tell()["bad.svs"][1]
    bad.unlink()


def test_script_deletes_no_file_when_the_server_imports_in_place(
    tmp_path: Path, station: Workstation
) -> None:
    put(station.folder, "a.svs")
    with server(tmp_path / "data", "--watch", str(station.folder), "--in-place") as running:
        url = f"http://127.0.0.1:{running.port}/ImportSlide"
        wait_until(lambda: station.tell(url=url)["a.svs"] == ("waiting", "READY"), "it is imported")
    assert station.names() == ["a.svs"]


def test_earlier_script_protocol_still_imports_and_deletes_a_stored_file(
    real: tuple[Server, Workstation],
) -> None:
    """It posts name and size, and deletes the file that the answer names, whatever the status."""
    running, station = real
    content = slide_bytes("1000099")
    path = put(station.folder, "ancestor.svs", content)
    statuses: list[int] = []

    def one_call() -> bool:
        body = json.dumps({"filename": path.name, "size": path.stat().st_size}).encode()
        answer = running.ask("/ImportSlide", "POST", {"content-type": "application/json"}, body)
        statuses.append(answer.status)
        if name := json.loads(answer.body).get("filename"):
            assert content in stored(station.folder.parent)
            (station.folder / name).unlink()
        return not path.exists()

    wait_until(one_call, "it was deleted")
    assert set(statuses) == {200, 202}
    assert statuses[-1] == 200


def test_script_killed_at_random_moments_loses_no_slide(real: tuple[Server, Workstation]) -> None:
    _server, station = real
    chance = random.Random(20261121)
    contents = [slide_bytes(f"20000{number:02}") for number in range(4)]
    for number, content in enumerate(contents):
        put(station.folder, f"kill{number}.svs", content)
    for _ in range(KILL_ROUNDS):
        running = station.start()
        time.sleep(chance.uniform(0, 0.4))  # the moment that is tested, not a wait for something
        running.kill()
        running.communicate()
        services = {path.read_bytes() for path in station.folder.iterdir()}
        assert set(contents) <= services | stored(station.folder.parent)
    wait_until(lambda: station.run() == {}, "all are gone")
    assert set(contents) <= stored(station.folder.parent)
    assert station.names() == []


# Servers that are not to be believed


def _with(**changes: object) -> Reply:
    def reply(conversation: Conversation) -> None:
        conversation.answer(200, {**conversation.asked.json(), **changes})

    return reply


def _without(key: str) -> Reply:
    def reply(conversation: Conversation) -> None:
        body = conversation.asked.json()
        del body[key]
        conversation.answer(200, body)

    return reply


def _in_a_list(conversation: Conversation) -> None:
    conversation.answer(200, [conversation.asked.json()])


def _reset(conversation: Conversation) -> None:
    linger = struct.pack("ii", 1, 0)
    conversation.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    conversation.connection.close()


def _hang(conversation: Conversation) -> None:
    assert isinstance(conversation.server, ErraticServer)
    conversation.server.released.wait(DEADLINE_S)


def _drip(conversation: Conversation) -> None:
    """Send a byte now and then, which keeps every socket's own timeout from ending it."""
    assert isinstance(conversation.server, ErraticServer)
    conversation.send_response(200)
    conversation.end_headers()
    while not conversation.server.released.wait(0.1):
        conversation.wfile.write(b" ")


def _cut(conversation: Conversation) -> None:
    whole = conversation.asked.body
    conversation.send_response(200)
    conversation.send_header("Content-Length", str(len(whole)))
    conversation.end_headers()
    conversation.wfile.write(whole[:-1])


def _status_only(conversation: Conversation) -> None:
    conversation.wfile.write(b"what?\r\n\r\n")


PORTAL = b"<!DOCTYPE html><title>Welcome to the guest network</title><form>a.svs</form>"


@pytest.mark.parametrize(
    ("reply", "word"),
    [
        (_with(filename="b.svs"), "later"),
        (_with(filename="A.SVS"), "later"),
        (_with(filename=None), "later"),
        (_with(filename=["a.svs"]), "later"),
        (_with(size=len(CONTENT) + 1), "later"),
        (_with(size=str(len(CONTENT))), "later"),
        (_with(size=float(len(CONTENT))), "later"),
        (_with(size=True), "later"),
        (_with(sha256="0" * 64), "later"),
        (_without("filename"), "later"),
        (_without("size"), "later"),
        (_without("sha256"), "later"),
        (_in_a_list, "later"),
        (always(200, b""), "later"),
        (always(200, b"null"), "later"),
        (always(200, b"[" * 60_000), "later"),
        (always(200, b"\xff\xfe"), "later"),
        (always(200, PORTAL, Content_Type="text/html"), "later"),
        (always(200, b" " * 100_000_000), "later"),
        (always(204, b""), "later"),
        (always(202, {"state": "IMPORTING"}), "waiting"),
        (always(202, {"filename": "a.svs", "size": len(CONTENT), "state": "READY"}), "waiting"),
        (always(422, {"state": "FAILED", "error": "is it a slide?"}), "failed"),
        (always(400, {"error": "bad name"}), "refused"),
        (always(404, {"error": "the source is not there"}), "refused"),
        (always(401, {"message": "Unauthorized"}), "later"),
        (always(403, {"message": "Forbidden"}), "later"),
        (always(429, {"message": "Too Many Requests"}), "later"),
        (always(500, {"error": "internal error"}), "later"),
        (always(503, b"<html>"), "later"),
        (_reset, "later"),
        (_cut, "later"),
        (_status_only, "later"),
    ],
)
def test_file_is_kept_on_every_answer_except_a_correct_confirmation(
    station: Workstation, reply: Reply, word: str
) -> None:
    put(station.folder, "a.svs", CONTENT)
    with erratic(reply) as running:
        assert station.run(url=running.url) == {"a.svs": word}
    assert (station.folder / "a.svs").read_bytes() == CONTENT
    assert station.names() == ["a.svs"]


@pytest.mark.parametrize("reply", [_hang, _drip])
def test_slow_answer_times_out_and_the_next_file_is_processed(station: Workstation, reply: Reply) -> None:
    put(station.folder, "a.svs", CONTENT)
    put(station.folder, "b.svs", b"another", OLD + 1)
    with erratic(reply, echo) as running:
        assert station.run("--timeout", "0.5", url=running.url) == {"a.svs": "later", "b.svs": "deleted"}
    assert station.names() == ["a.svs"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_not_followed(station: Workstation, status: int) -> None:
    put(station.folder, "a.svs", CONTENT)
    body = {"filename": "a.svs", "size": len(CONTENT), "sha256": sha256(CONTENT)}
    with (
        erratic(always(200, body)) as elsewhere,
        erratic(always(status, body, Location=elsewhere.url)) as running,
    ):
        assert station.run(url=running.url) == {"a.svs": "later"}
        assert elsewhere.asked == []
    assert station.names() == ["a.svs"]


def test_network_failure_keeps_files_and_later_runs_import_them(station: Workstation) -> None:
    for name in ("a.svs", "b.svs"):
        put(station.folder, name, CONTENT)
    assert station.run() == {"a.svs": "later", "b.svs": "later"}
    with erratic(_reset, echo) as running:  # lost in the middle
        assert sorted(station.run(url=running.url).values()) == ["deleted", "later"]
        assert list(station.run(url=running.url).values()) == ["deleted"]
    assert station.names() == []


def test_error_text_of_an_answer_is_logged_as_a_single_harmless_line(station: Workstation) -> None:
    put(station.folder, "a.svs", CONTENT)
    error = "x\n2026-01-01T00:00:00Z deleted: b.svs\u2028\x1b[2J" + "y" * 10_000
    with erratic(always(422, {"state": "FAILED", "error": error})) as running:
        assert station.run(url=running.url) == {"a.svs": "failed"}
    assert len(station.log().splitlines()) == 1
    assert "\x1b" not in station.log()
    assert len(station.log()) < 600


# What happens to the file meanwhile


def _when_asked(action: Callable[[], object]) -> Reply:
    def reply(conversation: Conversation) -> None:
        action()
        echo(conversation)

    return reply


def test_file_that_grows_between_request_and_answer_is_kept(station: Workstation) -> None:
    path = put(station.folder, "a.svs", CONTENT)

    def grow() -> None:
        with path.open("ab") as file:
            file.write(b"more")

    with erratic(_when_asked(grow)) as running:
        assert station.run(url=running.url) == {"a.svs": "changed"}
    assert path.read_bytes() == CONTENT + b"more"


@pytest.mark.parametrize("options", [(), ("--no-sha256",)])
def test_new_scan_that_replaces_the_file_during_the_request_is_kept(
    station: Workstation, options: tuple[str, ...]
) -> None:
    other = CONTENT[::-1]
    path = station.folder / "a.svs"
    put(station.folder, "a.svs", CONTENT)

    def replace() -> None:
        put(station.folder, "fresh", other, OLD).replace(path)

    with erratic(_when_asked(replace)) as running:
        assert station.run(*options, url=running.url) == {"a.svs": "changed"}
    assert path.read_bytes() == other


def test_content_rewritten_with_the_same_size_and_time_is_kept(station: Workstation) -> None:
    other = CONTENT[::-1]
    path = put(station.folder, "a.svs", CONTENT)
    with erratic(_when_asked(lambda: put(station.folder, "a.svs", other))) as running:
        assert station.run(url=running.url) == {"a.svs": "changed"}
        assert path.read_bytes() == other
        running.replies = (always(202, {"state": "IMPORTING"}),)
        station.run(url=running.url)
        assert running.asked[-1].json()["sha256"] == sha256(other)


def test_delete_gives_a_file_replaced_before_the_rename_its_name_back(
    station: Workstation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The moment between the last look and the renaming is too short to be met from outside."""
    spec = importlib.util.spec_from_file_location("import_slide_script", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, script)
    spec.loader.exec_module(script)
    path = put(station.folder, "a.svs", CONTENT)
    seen = script.look(path)
    put(station.folder, "fresh", CONTENT[::-1], OLD).replace(path)
    assert script.delete(path, seen).word == "changed"
    assert station.names() == ["a.svs"]
    assert path.read_bytes() == CONTENT[::-1]


def test_file_removed_during_the_request_does_not_stop_the_next_file(station: Workstation) -> None:
    path = put(station.folder, "a.svs", CONTENT)
    put(station.folder, "b.svs", CONTENT, OLD + 1)
    with erratic(_when_asked(path.unlink), echo) as running:
        assert station.run(url=running.url) == {"a.svs": "error", "b.svs": "deleted"}


def test_files_below_the_minimum_age_are_not_sent(station: Workstation) -> None:
    now = time.time_ns()
    put(station.folder, "young.svs", CONTENT, now - 20_000_000_000)
    put(station.folder, "old.svs", CONTENT, now - 40_000_000_000)
    with erratic(echo) as running:
        assert station.run(url=running.url) == {"young.svs": "young", "old.svs": "deleted"}
        assert [asked.json()["filename"] for asked in running.asked] == ["old.svs"]
        assert station.run("--minimum-age", "5", url=running.url) == {"young.svs": "deleted"}


def test_file_open_for_writing_is_reported_as_busy_and_kept(station: Workstation) -> None:
    path = put(station.folder, "a.svs", CONTENT)
    with erratic(echo) as running:
        with path.open("r+b"):
            assert station.run(url=running.url) == {"a.svs": "busy"}
        with path.open("rb"):  # somebody looks at it: that changes nothing
            assert station.run(url=running.url) == {"a.svs": "deleted"}


def test_script_processes_only_regular_files_with_a_listed_extension(
    station: Workstation, tmp_path: Path
) -> None:
    outside = put(tmp_path / "outside", "o.svs", CONTENT)
    (station.folder / "link.svs").symlink_to(outside)
    (station.folder / "folder.svs").mkdir()
    put(station.folder / "sub", "deep.svs", CONTENT)
    for name in ("a.txt", "a.svs.part", "svs", "b.tif"):
        put(station.folder, name, CONTENT)
    before = station.names()
    with erratic(echo) as running:
        assert station.run(url=running.url) == {}
        assert station.run("--extension", "tif", ".ndpi", url=running.url) == {"b.tif": "deleted"}
    assert station.names() == [name for name in before if name != "b.tif"]


def test_files_set_aside_by_a_killed_run_are_restored_without_overwriting_others(
    station: Workstation,
) -> None:
    put(station.folder, "a.svs.confirmed", CONTENT)
    put(station.folder, "b.svs.confirmed", CONTENT)
    put(station.folder, "b.svs", b"a new scan")
    put(station.folder, "notes.txt.confirmed", b"not ours")
    with erratic(always(202, {"state": "IMPORTING"})) as running:
        station.run(url=running.url)
        assert station.names() == ["a.svs", "b.svs", "b.svs.confirmed", "notes.txt.confirmed"]
        assert (station.folder / "b.svs").read_bytes() == b"a new scan"
        running.replies = (echo,)
        # The new scan is confirmed, but its place aside is taken; nothing may go over the other.
        assert station.run(url=running.url)["b.svs"] == "later"
    assert (station.folder / "b.svs.confirmed").read_bytes() == CONTENT
    assert (station.folder / "b.svs").read_bytes() == b"a new scan"


def test_second_link_left_by_a_killed_run_is_removed_and_the_slide_imported(station: Workstation) -> None:
    path = put(station.folder, "a.svs", CONTENT)
    (station.folder / "a.svs.confirmed").hardlink_to(path)
    with erratic(always(202, {"state": "IMPORTING"}), echo) as running:
        assert station.run(url=running.url)["a.svs"] == "waiting"
        assert station.names() == ["a.svs"]
        assert station.run(url=running.url) == {"a.svs": "deleted"}


def test_keep_option_deletes_no_file_and_sends_each_file_once(station: Workstation) -> None:
    put(station.folder, "a.svs", CONTENT)
    with erratic(echo) as running:
        assert station.run("--keep", url=running.url) == {"a.svs": "kept"}
        assert station.run("--keep", url=running.url) == {}
        assert len(running.asked) == 1
        assert station.names() == ["a.svs"]
        assert station.run(url=running.url) == {"a.svs": "deleted"}


# One run at a time, and what is remembered


def test_second_concurrent_run_exits_without_sending_files(station: Workstation, tmp_path: Path) -> None:
    put(station.folder, "a.svs", CONTENT)
    with erratic(_hang) as running:
        first = station.start(url=running.url)
        wait_until(lambda: running.asked, "the first asks")
        for second in (station, Workstation(station.folder, tmp_path / "other state")):
            late = second.start(url=running.url)
            assert late.communicate(timeout=DEADLINE_S)[0] == "another run is under way\n"
            assert late.returncode == 0
        assert len(running.asked) == 1
        first.kill()
        first.communicate()
        running.replies = (echo,)
        assert station.run(url=running.url) == {"a.svs": "deleted"}  # a killed run holds nothing


def test_checksum_of_a_file_is_computed_only_once(station: Workstation) -> None:
    path = put(station.folder, "a.svs", CONTENT)
    with erratic(always(202, {"state": "IMPORTING"})) as running:
        station.run(url=running.url)
        os.utime(path, ns=(0, OLD))  # reading it would set the time of access
        station.run(url=running.url)
        assert path.stat().st_atime_ns == 0
        assert [asked.json()["sha256"] for asked in running.asked] == [sha256(CONTENT)] * 2
        station.run("--no-sha256", url=running.url)
        assert running.asked[-1].json() == {"filename": "a.svs", "size": len(CONTENT)}


@pytest.mark.parametrize(
    "state",
    [
        b"", b"{", b"[]", b"null", b"\xff", b"[" * 100_000, b'{"files": 1}', b'{"files": [1]}',
        b'{"files": [{"name": "a.svs"}], "token": null}',
        b'{"files": [{"name": [], "size": 1, "modified": "1", "sha256": "x"}], "token": 5}',
        b'{"files": [], "token": {"value": 1, "expires": "x", "for": []}}',
    ],
)  # fmt: skip
def test_damaged_state_file_is_replaced(station: Workstation, state: bytes) -> None:
    put(station.folder, "a.svs", CONTENT)
    station.state.mkdir()
    (station.state / "state.json").write_bytes(state)
    with erratic(always(202, {"state": "IMPORTING"})) as running:
        assert station.run(url=running.url) == {"a.svs": "waiting"}
    assert json.loads((station.state / "state.json").read_bytes())["files"][0]["sha256"] == sha256(CONTENT)


def test_wrong_checksum_in_the_state_file_deletes_no_file(station: Workstation) -> None:
    put(station.folder, "a.svs", CONTENT)
    lie = {"name": "a.svs", "size": len(CONTENT), "modified": str(OLD), "sha256": "0" * 64}
    station.state.mkdir()
    (station.state / "state.json").write_text(json.dumps({"token": None, "files": [lie]}))
    with erratic(echo) as running:
        assert station.run(url=running.url) == {"a.svs": "changed"}
        assert running.asked[0].json()["sha256"] == "0" * 64
        assert station.names() == ["a.svs"]
        assert station.run(url=running.url) == {"a.svs": "deleted"}


def test_log_is_rotated_below_its_size_limit(station: Workstation) -> None:
    station.state.mkdir()
    for number in ("", ".1", ".2", ".3", ".4"):
        (station.state / f"import_slide.log{number}").write_text("x" * 1_000_000)
    put(station.folder, "a.svs", CONTENT)
    station.run()
    logs = [path for path in station.state.iterdir() if ".log" in path.name]
    assert len(logs) == 5
    assert sum(path.stat().st_size for path in logs) < 5_000_000
    assert "later: a.svs" in station.log()


# Tokens


def _token(value: str = "first", lifetime_s: object = 3600) -> Reply:
    return always(200, {"access_token": value, "expires_in": lifetime_s, "token_type": "Bearer"})


def _with_tokens(station: Workstation, tokens: ErraticServer, *options: str) -> Workstation:
    secret = station.state.parent / "secret"
    secret.write_text(SECRET + "\n")
    secret.chmod(0o600)
    token_url = tokens.url.replace("ImportSlide", "oauth2/token")
    station.options = (
        "--token-url", token_url, "--client-id", "scanner:2", "--secret-file", str(secret), *options,
    )  # fmt: skip
    return station


def test_token_is_requested_once_and_sent_only_to_the_server(station: Workstation) -> None:
    put(station.folder, "a.svs", CONTENT)
    with erratic(_token()) as tokens, erratic(always(202, {"state": "X"}), echo) as running:
        _with_tokens(station, tokens)
        station.run(url=running.url)
        station.run(url=running.url)
        assert [asked.headers["authorization"] for asked in running.asked] == ["Bearer first"] * 2
        [asked] = tokens.asked
    assert asked.path == "/oauth2/token"
    assert asked.body == b"grant_type=client_credentials&scope=vsv%2Fimport"
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
    assert asked.headers["authorization"].startswith("Basic ")
    assert station.names() == []
    written = "".join(path.read_text() for path in station.state.iterdir())
    assert SECRET not in written
    assert "first" not in station.log()
    assert (station.state / "state.json").stat().st_mode & 0o077 == 0


def test_refused_token_is_renewed_and_the_request_repeated(station: Workstation) -> None:
    put(station.folder, "a.svs", CONTENT)
    refusal = always(401, {"message": "Unauthorized"})
    with erratic(_token("first"), _token("second")) as tokens, erratic(refusal, echo) as running:
        assert _with_tokens(station, tokens).run(url=running.url) == {"a.svs": "deleted"}
        assert [asked.headers["authorization"] for asked in running.asked] == [
            "Bearer first",
            "Bearer second",
        ]


def test_second_refusal_of_the_token_ends_the_attempt_and_keeps_the_file(station: Workstation) -> None:
    put(station.folder, "a.svs", CONTENT)
    with erratic(_token()) as tokens, erratic(always(401, {"message": "Unauthorized"})) as running:
        assert _with_tokens(station, tokens).run(url=running.url) == {"a.svs": "later"}
        assert (len(tokens.asked), len(running.asked)) == (2, 2)
    assert station.names() == ["a.svs"]


@pytest.mark.parametrize("lifetime_s", [100, 0, -1, "3600", None, True, 10**12])
def test_token_with_a_short_or_invalid_lifetime_is_not_stored(
    station: Workstation, lifetime_s: object
) -> None:
    put(station.folder, "a.svs", CONTENT)
    with erratic(_token("first", lifetime_s)) as tokens, erratic(always(202, {"state": "X"})) as running:
        _with_tokens(station, tokens)
        assert station.run(url=running.url) == station.run(url=running.url) == {"a.svs": "waiting"}
        assert len(tokens.asked) == 2


@pytest.mark.parametrize(
    "reply",
    [
        always(400, {"error": "invalid_client"}), always(200, b""), always(200, PORTAL),
        always(200, {"access_token": None}), always(200, {"access_token": "a\r\nX-Evil: 1"}),
        always(200, {"access_token": "x" * 9000}), always(302, b"", Location="http://127.0.0.1:9/"), _reset,
    ],
)  # fmt: skip
def test_failed_token_request_sends_no_file_and_keeps_all_files(station: Workstation, reply: Reply) -> None:
    put(station.folder, "a.svs", CONTENT)
    with erratic(reply) as tokens, erratic(echo) as running:
        assert _with_tokens(station, tokens).run(url=running.url) == {"a.svs": "later"}
        assert running.asked == []
    assert station.names() == ["a.svs"]


def test_changed_client_id_requests_a_new_token(station: Workstation) -> None:
    put(station.folder, "a.svs", CONTENT)
    with (
        erratic(_token("first"), _token("second")) as tokens,
        erratic(always(202, {"state": "X"})) as running,
    ):
        _with_tokens(station, tokens).run(url=running.url)
        _with_tokens(station, tokens, "--client-id", "other").run(url=running.url)
        assert [asked.headers["authorization"] for asked in running.asked] == [
            "Bearer first",
            "Bearer second",
        ]


# How it must not be called


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--url", "http://slides.example/ImportSlide"), "must begin with https://"),
        (("--url", "file:///etc/passwd"), "must begin with https://"),
        (("--url", "ftp://127.0.0.1/"), "must begin with https://"),
        (("--folder", "/no/such/folder"), "there is no folder"),
        (("--token-url", "http://127.0.0.1:9/"), "needs --client-id"),
        (("--token-url", "http://login.example/", "--client-id", "x"), "must begin with https://"),
        (("--token-url", "http://127.0.0.1:9/", "--client-id", "x"), "client secret is missing"),
        (
            ("--token-url", "http://127.0.0.1:9/", "--client-id", "x", "--secret-file", "/no/such"),
            "cannot be read",
        ),
    ],
)
def test_invalid_options_exit_with_the_reason_on_output_and_in_the_log(
    station: Workstation, options: tuple[str, ...], reason: str
) -> None:
    put(station.folder, "a.svs", CONTENT)
    running = station.start(*options)
    output, _ = running.communicate(timeout=DEADLINE_S)
    assert running.returncode == 1
    assert reason in output
    assert "Traceback" not in output
    assert reason in station.log()
    assert station.names() == ["a.svs"]


def test_secret_file_readable_by_others_is_refused(station: Workstation) -> None:
    with erratic(_token()) as tokens:
        _with_tokens(station, tokens)
        (station.state.parent / "secret").chmod(0o644)
        running = station.start()
        output, _ = running.communicate(timeout=DEADLINE_S)
        assert (running.returncode, tokens.asked) == (1, [])
    assert "others may read" in output


def test_secret_is_read_from_the_environment(station: Workstation) -> None:
    put(station.folder, "a.svs", CONTENT)
    with erratic(_token()) as tokens, erratic(echo) as running:
        station.options = ("--token-url", tokens.url, "--client-id", "scanner")
        station.environment = {"VSV_SCANNER_SECRET": SECRET}
        assert station.run(url=running.url) == {"a.svs": "deleted"}


def test_http_to_another_machine_requires_the_allow_http_option(station: Workstation) -> None:
    """The address is this machine's own, but not one of the three that are known to be."""
    put(station.folder, "a.svs", CONTENT)
    assert station.run("--allow-http", url="http://127.0.0.2:9/ImportSlide") == {"a.svs": "later"}
    running = station.start(url="http://127.0.0.2:9/ImportSlide")
    running.communicate(timeout=DEADLINE_S)
    assert running.returncode == 1


def test_proxy_from_option_or_environment_is_used(station: Workstation) -> None:
    put(station.folder, "a.svs", CONTENT)
    with erratic(echo) as proxy:
        address = f"http://127.0.0.1:{proxy.server_port}"
        url = "http://slides.example/ImportSlide"
        assert station.run("--allow-http", "--proxy", address, url=url) == {"a.svs": "deleted"}
        put(station.folder, "b.svs", CONTENT)
        station.environment = {"http_proxy": address}
        assert station.run("--allow-http", url=url) == {"b.svs": "deleted"}
        assert {asked.path for asked in proxy.asked} == {url}


def test_proxy_is_not_used_for_a_server_on_this_machine(station: Workstation) -> None:
    put(station.folder, "a.svs", CONTENT)
    with erratic(echo) as proxy:
        address = f"http://127.0.0.1:{proxy.server_port}"
        station.environment = {"http_proxy": address}
        assert station.run() == station.run("--proxy", address) == {"a.svs": "later"}
        assert proxy.asked == []


# Certificates


def _certificate(folder: Path, name: str) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    named = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(named)
        .issuer_name(named)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    encoding, private = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (folder / "key.pem").write_bytes(key.private_bytes(encoding, private, serialization.NoEncryption()))
    return folder / "cert.pem", folder / "key.pem"


@pytest.mark.parametrize(
    ("name", "trusted", "word"),
    [("localhost", True, "deleted"), ("localhost", False, "later"), ("elsewhere.example", True, "later")],
)
def test_server_certificate_must_be_trusted_and_match_the_host_name(
    station: Workstation, tmp_path: Path, name: str, trusted: bool, word: str
) -> None:
    put(station.folder, "a.svs", CONTENT)
    certificate, key = _certificate(tmp_path, name)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    station.environment = {"SSL_CERT_FILE": str(certificate)} if trusted else {}
    with erratic(echo) as running:
        running.socket = context.wrap_socket(running.socket, server_side=True)
        url = f"https://localhost:{running.server_port}/ImportSlide"
        assert station.run(url=url) == {"a.svs": word}
        assert len(running.asked) == (word == "deleted")


# Where it runs


def test_script_parses_as_python_3_9_and_imports_only_the_standard_library() -> None:
    check = (
        "import ast, sys\n"
        "tree = ast.parse(open(sys.argv[1], encoding='utf-8').read(), feature_version=(3, 9))\n"
        "found = {a.name.split('.')[0] for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}\n"
        "found |= {n.module.split('.')[0] for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}\n"
        "print(found - set(sys.stdlib_module_names))\n"
    )
    result = subprocess.run(
        [sys.executable, "-I", "-c", check, str(SCRIPT)], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "set()"
