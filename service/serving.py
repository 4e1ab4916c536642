"""How both processes listen: a bound socket, and a server that leaves signals to its owner."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import socket
import threading
from collections.abc import Iterator
from typing import Any

import uvicorn

BACKLOG = 2048
UNREAD_S = 30
"""How long a client may take nothing of an answer, or say nothing to it, before it is given up:
connections that are closed wait for their last bytes to be read, whatever these hold in memory.
"""
EXIT_FORCED = 130
_EXIT_GRACE_S = 5.0


class _Server(uvicorn.Server):
    """uvicorn's server without its signal handlers: who runs it decides how it ends."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def freeze_heap() -> None:
    """Take what is there now out of the garbage collector's sight; called when a start is over.

    A full collection of the gateway's modules takes 30 ms, of a worker's with vLLM several times
    that, and finds nothing: it would only be some request's worst latency.
    """
    gc.collect()
    gc.freeze()


def bind(host: str, port: int) -> socket.socket:
    """A listening TCP socket; port 0 takes a free one.

    Raises:
        OSError: the address is taken, or not ours.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Accepted sockets inherit it. Event loops set it themselves only where they can tell that
        # the socket is TCP; without it an answer's second write waits 40 ms for a delayed ACK.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD_S * 1000)
        listener.bind((host, port))
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


def url_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Listener:
    """One app on one socket, until `stop`."""

    def __init__(self, app: Any, listener: socket.socket, **options: Any) -> None:
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            **{"lifespan": "off", **options},
        )
        self._server = _Server(config)
        self._task = asyncio.create_task(self._server.serve(sockets=[listener]))

    async def stop(self, grace_s: float) -> None:
        """Stop accepting, give open answers `grace_s` seconds, then close their connections."""
        self._server.should_exit = True
        _, pending = await asyncio.wait({self._task}, timeout=grace_s)
        if pending:
            self._server.force_exit = True
            _, pending = await asyncio.wait({self._task}, timeout=2.0)
            for task in pending:
                task.cancel()


def stop_event() -> asyncio.Event:
    """An event that SIGTERM or SIGINT sets; the second one ends the process at once, status 130."""
    loop = asyncio.get_running_loop()
    event = asyncio.Event()

    def on_signal() -> None:
        if event.is_set():
            os._exit(EXIT_FORCED)
        event.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    return event


def exit_within_grace(code: int) -> int:
    """Return the code, and see to it that a thread stuck in a library cannot hold the process."""
    timer = threading.Timer(_EXIT_GRACE_S, os._exit, args=(code,))
    timer.daemon = True
    timer.start()
    return code
