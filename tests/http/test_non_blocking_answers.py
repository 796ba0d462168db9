"""What the event loop answers itself: tiles that lie ready, and nothing that holds others up or goes wrong."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest
from vsv import runtime
from vsv.nonblocking import WouldWaitError, non_blocking
from vsv.rendering import draw
from vsv.rendering.colour_request import Colour
from vsv.rendering.image_request import View
from vsv.services import Services
from vsv.storage.slide_files import SlideFiles

from tests.support.servers.connections import Clock, connected
from tests.support.slides.aperio import Plan, write_slide
from tests.support.slides.opened import opened
from tests.support.slides.profiles import matrix_profile
from vsv_local.composition import standalone
from vsv_local.server import event_loop_tiles

SIZE = (700, 533)
FULL = 10
HOST = {"host": "localhost"}
NATIVE = f"/DeepZoom/A_files/{FULL}/0_0.jpeg"
ASKED = f"GET {NATIVE} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


@pytest.fixture
def services(tmp_path: Path) -> Iterator[Services]:
    """Yield an installation whose slide A is open; the slide has a profile that is not sRGB."""
    with standalone(tmp_path / "data") as (services, _intake):
        put(services.files)
        services.slide_cache.slide("A")
        yield services


def put(files: SlideFiles) -> None:
    files.folder("A").mkdir()
    write_slide(files.slide("A"), Plan(*SIZE, icc=matrix_profile()))


@pytest.mark.usefixtures("services")
class TestEventLoopTiles:
    def test_stored_tile_is_answered_on_the_event_loop(self) -> None:
        event_loop_tiles.answer_non_blocking(
            "GET", NATIVE, HOST
        )  # where the tiles lie may have to be read first
        answer = event_loop_tiles.answer_non_blocking("GET", NATIVE, HOST)
        assert answer is not None
        assert (answer.status, answer.headers["content-type"]) == (200, "image/jpeg")
        head, body = event_loop_tiles.head_and_body(answer)
        assert head.endswith(b"content-length: %d\r\n\r\n" % len(body))
        assert body.startswith(b"\xff\xd8")
        again = event_loop_tiles.answer_non_blocking(
            "GET", NATIVE, {**HOST, "if-none-match": answer.headers["etag"]}
        )
        assert again is not None
        assert (again.status, event_loop_tiles.head_and_body(again)[1]) == (304, b"")

    @pytest.mark.parametrize(
        "path",
        [
            f"/DeepZoom/A_files/{FULL - 1}/0_0.jpeg",  # to be drawn
            f"/DeepZoom/A_files/{FULL}/99_0.jpeg",
            "/DeepZoom/B_files/1/0_0.jpeg",
            "/DeepZoom/A_files/label.jpeg",
            "/page/picture.jpg",
        ],
    )
    def test_requests_other_than_stored_tiles_are_declined(self, path: str) -> None:
        assert event_loop_tiles.answer_non_blocking("GET", path, HOST) is None


def test_tile_that_needs_colour_conversion_is_declined(services: Services) -> None:
    runtime.use(replace(services, settings=replace(services.settings, icc="srgb")))
    runtime.current().slide_cache.slide("A")
    assert event_loop_tiles.answer_non_blocking("GET", NATIVE, HOST) is None


def test_non_blocking_draw_raises_would_wait_error(tmp_path: Path) -> None:
    slide = opened(write_slide(tmp_path / "s.svs", Plan(*SIZE, icc=matrix_profile())))
    view = View(0, 0, 300, 300, 100, 100)
    # The profile is known, and still it is work.
    assert draw.draw(slide, view, "jpg", colour=Colour("srgb"))
    with non_blocking(), pytest.raises(WouldWaitError):
        draw.draw(slide, view, "jpg", colour=Colour("srgb"))


@pytest.mark.usefixtures("services")
def test_connection_is_closed_after_long_idle_time() -> None:
    event_loop_tiles.answer_non_blocking("GET", NATIVE, HOST)  # where the tiles lie may have to be read first
    clock, transport = Clock(), Mock()
    connection = connected(clock, transport)
    connection.data_received(ASKED)
    clock.pass_to(50)
    connection.data_received(ASKED)
    assert transport.write.call_count == 2
    clock.pass_to(124)
    assert not transport.close.called
    assert len(clock.timers) == 1
    clock.pass_to(126)
    assert transport.close.call_count == 1


@pytest.mark.usefixtures("services")
def test_connection_with_unfinished_request_is_not_closed() -> None:
    event_loop_tiles.answer_non_blocking("GET", NATIVE, HOST)
    clock, transport = Clock(), Mock()
    connection = connected(clock, transport)
    connection.data_received(ASKED)
    connection.data_received(ASKED[:20])
    clock.pass_to(200)
    assert not transport.close.called
    connection.data_received(ASKED[20:])
    assert transport.write.call_count == 2
    clock.pass_to(276)
    assert transport.close.call_count == 1
