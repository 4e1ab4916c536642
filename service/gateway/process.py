"""The gateway as a process: what it needs to start, and how it ends in order."""

from __future__ import annotations

import asyncio
import functools
import logging
import resource
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from fastapi import FastAPI

from service import serving
from service.gateway.protocol import Http11

logger = logging.getLogger(__name__)

KEEP_ALIVE_S = 75
"""Longer than the idle time of common clients and proxies, so that they close first."""

OPEN_FILES = 65_536
"""What the systemd unit allows; of a shell's usual 1,024 each client takes one."""

LOOK_S = 0.05
CLOSE_S = 1.0
"""How long connections may take to close once their answers are written."""


class CannotStart(Exception):
    """The settings or the machine do not allow a start; says what to do."""


class Drainable(Protocol):
    """What is to finish before the end."""

    draining: bool

    @property
    def in_flight(self) -> int: ...


def check_state_dir(state_dir: Path) -> None:
    """Make the state directory where it is missing, and see that it can be read.

    Raises:
        CannotStart: it cannot.
    """
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        next(state_dir.iterdir(), None)
    except OSError as error:
        raise CannotStart(
            f"the state directory {state_dir} cannot be used: {error.strerror}; "
            "set [service] state_dir"
        ) from error


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one.

    Raises:
        CannotStart: the port is taken, or the address is not this machine's.
    """
    try:
        return serving.bind(host, port)
    except OSError as error:
        raise CannotStart(
            f"cannot listen on {host}:{port}: {error.strerror}; set [service] host and port"
        ) from error


def allow_open_files() -> None:
    """As many as the host lets this process have, up to what the systemd unit allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def serve(
    app: FastAPI,
    listener: socket.socket,
    work: Callable[[], Drainable],
    *,
    drain_timeout_s: float,
    head_timeout_s: float,
    stop: asyncio.Event | None = None,
) -> None:
    """Serve until a signal, then end in order; a second signal ends the process at once.

    1. /readyz says 503 and new requests get 503, on connections old and new.
    2. Requests in flight finish, up to `drain_timeout_s`.
    3. The sockets close; what is left is cancelled.

    Args:
        work: what is to finish first; asked for when the signal came.
        stop: takes the place of the signals.
    """
    stop = stop or serving.stop_event()
    async with app.router.lifespan_context(app):
        server = serving.Listener(
            app,
            listener,
            http=functools.partial(Http11, head_timeout_s=head_timeout_s),
            ws="none",
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_S,
        )
        logger.info("listening", extra={"url": serving.url_of(listener)})
        await stop.wait()
        await _drain(work(), drain_timeout_s)
        await server.stop(CLOSE_S)
    logger.info("ended")


async def _drain(work: Drainable, timeout_s: float) -> None:
    work.draining = True
    logger.info("draining", extra={"in_flight": work.in_flight})
    loop = asyncio.get_running_loop()
    until = loop.time() + timeout_s
    while work.in_flight and loop.time() < until:  # noqa: ASYNC110  # a count, no event
        await asyncio.sleep(LOOK_S)
    if work.in_flight:
        logger.warning("drain timed out", extra={"in_flight": work.in_flight})
