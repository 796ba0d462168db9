"""Requests that are like the last one are not parsed again: they are answered as if they were."""

from collections.abc import Iterator, Sequence
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from tests.support.servers.connections import Clock, connected
from tests.support.slides.aperio import Plan, write_slide
from vsv_local.composition import standalone
from vsv_local.server import event_loop_tiles
from vsv_local.server.tile_fast_path import TileProtocol

FULL = 10
TILE = f"/DeepZoom/A_files/{FULL}/0_0.jpeg"
OTHER = f"/DeepZoom/A_files/{FULL}/1_0.jpeg"
HOST = b"Host: localhost\r\n"


@pytest.fixture(scope="module", autouse=True)
def _slide(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    # Now and then a request goes the long way, to look whether the slide has changed: not in these tests.
    with (
        pytest.MonkeyPatch.context() as changed,
        standalone(tmp_path_factory.mktemp("like") / "data") as (services, _intake),
    ):
        changed.setattr("vsv.slides.slide_cache.RECHECK_SECONDS", 1e9)
        services.files.folder("A").mkdir()
        write_slide(services.files.slide("A"), Plan(700, 533))
        services.slide_cache.slide("A")
        for path in (TILE, OTHER):
            event_loop_tiles.answer_non_blocking(
                "GET", path, {}
            )  # where the tiles lie may have to be read first
        yield


def request_bytes(path: str = TILE, headers: bytes = HOST, line: bytes = b"GET %b HTTP/1.1\r\n") -> bytes:
    return line % path.encode() + headers + b"\r\n"


REQUESTS = (
    request_bytes(),
    request_bytes(OTHER),
    request_bytes(TILE, HOST + b'If-None-Match: "x"\r\n'),
    request_bytes(TILE, HOST + b"If-None-Match: *\r\n"),
    request_bytes(OTHER, HOST + b"If-None-Match: *\r\n"),
    request_bytes(TILE, b"Host: elsewhere.example\r\n"),
    request_bytes(TILE, HOST + b"Connection: close\r\n"),
    request_bytes(TILE, HOST + b"Host: elsewhere.example\r\n"),
    request_bytes(TILE, HOST + b'If-None-Match: *\r\nIf-None-Match: "x"\r\n'),
    request_bytes(TILE, HOST + b"Content-Length: 0\r\n"),
    request_bytes(TILE, HOST + b"Content-Length: 5\r\n") + b"GET /",
    request_bytes(TILE, HOST + b"Transfer-Encoding: chunked\r\n") + b"0\r\n\r\n",
    request_bytes(TILE, HOST, b"HEAD %b HTTP/1.1\r\n"),
    request_bytes(TILE, HOST, b"GET %b HTTP/1.0\r\n"),
    request_bytes(TILE, HOST, b"GET http://localhost%b HTTP/1.1\r\n"),
    request_bytes(TILE, HOST, b"POST %b HTTP/1.1\r\n"),
    request_bytes(f"/DeepZoom/A_files/{FULL}/0_0.jpeg?icc=srgb"),
    request_bytes(f"/DeepZoom/A_files/{FULL}/0%5F0.jpeg"),
    request_bytes(f"/DeepZoom/A_files/{FULL}/9_9.jpeg"),
    request_bytes("/slides"),
    request_bytes("/DeepZoom/A.dzi#.jpeg"),
    b"\r\n" + request_bytes(),
)


class Answers(list[tuple[object, ...]]):
    """What a connection answered itself, and what it gave to uvicorn, in their order."""

    def connection(self) -> TileProtocol:
        transport = Mock()
        transport.write.side_effect = lambda data: self.append(("answered", data))
        connection = connected(Clock(), transport)
        connection._start_asgi_task = self.given_on  # type: ignore[method-assign,assignment]
        return connection

    def given_on(self, cycle: RequestResponseCycle, _app: object) -> None:
        scope = cycle.scope
        self.append(("given on", scope["method"], scope["raw_path"], scope["query_string"], scope["headers"]))
        cycle.response_complete = True


def each_alone(requests: Sequence[bytes]) -> Answers:
    answers = Answers()
    for request in requests:
        answers.connection().data_received(request)
    return answers


def on_one_connection(pieces: Sequence[bytes]) -> Answers:
    answers = Answers()
    connection = answers.connection()
    for piece in pieces:
        connection.data_received(piece)
    return answers


def test_connection_answers_tiles_and_passes_other_requests_to_uvicorn() -> None:
    kinds = [answer[0] for answer in each_alone(REQUESTS)]
    assert kinds == ["answered"] * 5 + ["given on"] * 4 + ["answered"] * 4 + ["given on"] * 8 + ["answered"]


def test_request_similar_to_the_last_is_answered_without_parsing() -> None:
    answers = Answers()
    connection = answers.connection()
    connection.data_received(request_bytes())
    connection.parser = None  # type: ignore[assignment]  # who parsed now would fail
    connection.data_received(request_bytes(OTHER))
    connection.data_received(request_bytes())
    assert answers == each_alone([request_bytes(), request_bytes(OTHER), request_bytes()])
    with pytest.raises(AttributeError):
        connection.data_received(request_bytes(TILE, HOST + b"If-None-Match: *\r\n"))


def test_request_with_large_headers_is_not_remembered() -> None:
    connection = Answers().connection()
    for headers, is_kept in ((b"X: %b\r\n" % (b"a" * 9000), False), (b"X: a\r\n", True)):
        connection.data_received(request_bytes(TILE, HOST + headers))
        assert bool(connection._last_rest) == is_kept


# Closed, or with the rest of a message to come that is the next request's beginning: nothing can follow these.
FOLLOWED = [request for request in REQUESTS if b"close" not in request and b"HTTP/1.0" not in request]


@given(st.lists(st.sampled_from(FOLLOWED), min_size=1, max_size=8), st.data())
def test_single_connection_answers_like_separate_connections(
    requests: list[bytes], data: st.DataObject
) -> None:
    whole, pieces = b"".join(requests), list[bytes]()
    ends = [sum(map(len, requests[: n + 1])) for n in range(len(requests))]
    cuts = data.draw(st.sets(st.sampled_from(ends) | st.integers(1, len(whole)), max_size=12))
    for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(whole)], strict=True):
        pieces.append(whole[start:end])
    assert on_one_connection([piece for piece in pieces if piece]) == each_alone(requests)


@pytest.mark.parametrize(
    "address",
    [b"/a\nX: y", b"/a b", b"/a\tb", b"/a\rb", b"/a\x00", b"/\xff", b"/a HTTP/1.1\r\nHost: evil\r\nX: "],
)
def test_invalid_address_is_parsed_like_a_first_request(address: bytes) -> None:
    line = b"GET " + address + b".jpeg HTTP/1.1\r\n" + HOST + b"\r\n"
    assert on_one_connection([request_bytes(), line])[1:] == each_alone([line])


def test_each_pair_of_requests_is_answered_like_separate_connections() -> None:
    for first in FOLLOWED:
        for second in FOLLOWED:
            requests = [first, first, second, second, first]
            assert on_one_connection(requests) == each_alone(requests)


def test_piece_that_ends_a_request_is_not_read_as_a_new_request() -> None:
    # The second piece looks like a whole request and is the value of the first one's header.
    first, second = request_bytes(TILE, b"If-None-Match: *\r\nX: ")[: -len(b"\r\n")], request_bytes()
    expected = each_alone([first + second, second])
    assert expected[0][1].startswith(b"HTTP/1.1 304")  # type: ignore[attr-defined]
    assert on_one_connection([first, second, second]) == expected
    assert on_one_connection([second, first, second, second])[1:] == expected


def test_body_is_not_read_as_a_request() -> None:
    request = request_bytes(TILE, HOST + b"Content-Length: %d\r\n" % len(request_bytes()))
    assert on_one_connection([request, request_bytes(), request_bytes(OTHER)]) == each_alone(
        [request, request_bytes(OTHER)]
    )
    its_like = request_bytes(TILE, HOST + b"Content-Length: 5\r\n")
    assert on_one_connection([its_like, its_like]) == each_alone([its_like + its_like])


def test_paused_connection_passes_the_request_to_uvicorn() -> None:
    answers = Answers()
    connection = answers.connection()
    connection.data_received(request_bytes())
    connection.pause_writing()
    connection.data_received(request_bytes())
    assert [answer[0] for answer in answers] == ["answered", "given on"]


def test_request_behind_an_unfinished_request_waits_in_the_pipeline(here_is_busy: TileProtocol) -> None:
    answered = here_is_busy.transport.write  # type: ignore[attr-defined]
    before = answered.call_count
    here_is_busy.data_received(request_bytes(OTHER))
    assert answered.call_count == before
    assert len(here_is_busy.pipeline) == 1


@pytest.fixture
def here_is_busy() -> TileProtocol:
    """Return a connection that has answered a tile and is now working on a longer request."""
    connection = connected(Clock(), Mock())
    connection._start_asgi_task = Mock()  # type: ignore[method-assign]
    connection.data_received(request_bytes())
    connection.data_received(request_bytes("/slides"))
    return connection
