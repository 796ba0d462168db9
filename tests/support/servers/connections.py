"""A connection of the standalone server without a socket: the test decides what it receives, and when."""

from collections.abc import Callable
from unittest.mock import Mock

from uvicorn import Config
from uvicorn.server import ServerState

from vsv_local.server.app import App
from vsv_local.server.tile_fast_path import TileProtocol


class Clock:
    """An event loop with only what a connection's timers use."""

    def __init__(self) -> None:
        self.now, self.timers = 0.0, list[tuple[float, Callable[[], None]]]()

    def time(self) -> float:
        return self.now

    def call_later(self, seconds: float, call: Callable[[], None]) -> Mock:
        self.timers.append((self.now + seconds, call))
        return Mock()

    def pass_to(self, now: float) -> None:
        while self.timers and min(at for at, _ in self.timers) <= now:
            due = min(self.timers, key=lambda timer: timer[0])
            self.timers.remove(due)
            self.now = due[0]
            due[1]()
        self.now = now


def connected(clock: Clock, transport: Mock) -> TileProtocol:
    config = Config(App(), log_config=None, timeout_keep_alive=75)
    config.load()
    transport.is_closing.return_value = False
    given = {"config": config, "server_state": ServerState(), "app_state": {}, "_loop": clock}
    connection = TileProtocol(tiles=App(), **given)
    connection.connection_made(transport)
    return connection
