"""A gateway's own door on its host, beside Serve's proxy.

Behind the proxy every request meets another gateway, which is right for requests and wrong for
`/metrics`: counters of one process must come from one address.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Callable

from fastapi import FastAPI

from service.serving import Listener, bind

AGAIN_S = 1.0
CLOSE_S = 1.0

log = logging.getLogger("rankguard.gateway")


def add_door(app: FastAPI, host: Callable[[], str], port: int) -> None:
    """While the app runs it answers on this port too; a taken port is tried again and again.

    During a rolling update the gateway before this one may still hold it.
    """
    inner = app.router.lifespan_context

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with inner(app):
            opening = asyncio.create_task(_open(app, host(), port))
            try:
                yield
            finally:
                opening.cancel()
                await asyncio.gather(opening, return_exceptions=True)

    app.router.lifespan_context = lifespan


async def _open(app: FastAPI, host: str, port: int) -> None:
    """Answer there until cancelled."""
    server = Listener(app, await _listen(host, port), ws="none", proxy_headers=False)
    try:
        await asyncio.get_running_loop().create_future()
    finally:
        await server.stop(CLOSE_S)


async def _listen(host: str, port: int) -> socket.socket:
    told = False
    while True:
        try:
            return bind(host, port)
        except OSError as error:
            if not told:
                log.warning("cannot listen on %s:%d: %s", host, port, error.strerror)
            told = True
            await asyncio.sleep(AGAIN_S)
