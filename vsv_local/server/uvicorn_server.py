"""Make the HTTP server of one process: the application behind uvicorn, and the fast path for tiles before it."""

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


def make_server(names: tuple[str, ...], max_connections: int = MAX_CONNECTIONS) -> uvicorn.Server:
    """Return a server that answers to these names besides this machine's own names and addresses."""
    app = App(names)
    config = uvicorn.Config(
        app,
        # uvicorn's type asks for a class, but any callable that returns a protocol works.
        http=cast(type[Protocol], partial(TileProtocol, tiles=app)),
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=GRACE_SECONDS,
        limit_concurrency=max_connections,
        ws="websockets-sansio",
        ws_max_size=MAX_BODY_BYTES,
    )
    gc.freeze()  # objects so far are permanent: scanning them in each collection would delay tiles
    logging.getLogger("uvicorn").setLevel(logging.WARNING)  # the server's own messages report start and stop
    return uvicorn.Server(config)
