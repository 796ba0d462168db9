"""The HTTP server of one process: the application behind uvicorn, with tiles answered before it."""

import gc
import logging
from asyncio import Protocol
from functools import partial
from typing import cast

import uvicorn

from vsv_local.graphql.limits import MAX_BODY_BYTES
from vsv_local.server.app import App
from vsv_local.server.tile_fast_path import TileProtocol

MAX_CONNECTIONS = 500  # of all processes together
GRACE_SECONDS = 5


def make_server(names: tuple[str, ...], most_connections: int = MAX_CONNECTIONS) -> uvicorn.Server:
    """Make a server that answers to these names besides this machine's own and its addresses."""
    app = App(names)
    config = uvicorn.Config(
        app,
        # A class is wanted, whatever makes protocols is enough.
        http=cast(type[Protocol], partial(TileProtocol, tiles=app)),
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=GRACE_SECONDS,
        limit_concurrency=most_connections,
        ws="websockets-sansio",
        ws_max_size=MAX_BODY_BYTES,
    )
    gc.freeze()  # what is here stays: looking through it again and again would hold up tiles
    logging.getLogger("uvicorn").setLevel(logging.WARNING)  # its life cycle is ours to tell
    return uvicorn.Server(config)
