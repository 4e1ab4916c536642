"""The gateway as a process: what it needs to start, and how it ends in order."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Protocol

import uvicorn
from starlette.types import ASGIApp

logger = logging.getLogger(__name__)

KEEP_ALIVE_S = 75
"""Longer than the idle time of common clients and proxies, so that they close first."""

LOOK_S = 0.05
CLOSE_S = 1
"""How long connections may take to close once their answers are written."""


class CannotStart(Exception):
    """The settings or the machine do not allow a start; says what to do."""


class Drainable(Protocol):
    """What is to finish before the end."""

    draining: bool

    @property
    def in_flight(self) -> int: ...


class Server(uvicorn.Server):
    """Drains on the first signal, ends at once on the second.

    Args:
        work: what is to finish first; asked for when the first signal came.
    """

    def __init__(
        self, config: uvicorn.Config, work: Callable[[], Drainable], *, drain_timeout_s: float
    ) -> None:
        super().__init__(config)
        self._work = work
        self._drain_timeout_s = drain_timeout_s
        self._draining: asyncio.Task[None] | None = None
        self._signals = 0

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        # not kept for raising again: a drained end is the exit code 0, whoever asked for it
        self._signals += 1
        if self._signals > 1:
            self.should_exit = self.force_exit = True

    async def on_tick(self, counter: int) -> bool:
        if self._signals and self._draining is None:
            self._draining = asyncio.create_task(self._drain())
        return await super().on_tick(counter)

    async def _drain(self) -> None:
        """Refuse new work, let what is in flight finish, then close.

        1. /readyz says 503 and new requests get 503, on connections old and new.
        2. Requests in flight finish, up to the time limit.
        3. The sockets close; what is left is cancelled.
        """
        work = self._work()
        work.draining = True
        logger.info("draining", extra={"in_flight": work.in_flight})
        loop = asyncio.get_running_loop()
        until = loop.time() + self._drain_timeout_s
        while work.in_flight and loop.time() < until:  # noqa: ASYNC110  # a count, no event
            await asyncio.sleep(LOOK_S)
        if work.in_flight:
            logger.warning("drain timed out", extra={"in_flight": work.in_flight})
        self.should_exit = True


def uvicorn_config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        loop="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=CLOSE_S,
    )


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


def bind(host: str, port: int) -> socket.socket:
    """A socket bound to the address; port 0 takes a free one.

    Raises:
        CannotStart: the port is taken, or the address is not this machine's.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        raise CannotStart(
            f"cannot listen on {host}:{port}: {error.strerror}; set [service] host and port"
        ) from error
    return listener
