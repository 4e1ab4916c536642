"""Bytes to a worker and back: HTTP/1.1 on connections that are kept open.

Workers are ours and on loopback, so this knows no more of HTTP than they speak: a general client
takes several times the CPU, on every request (docs/measurements.md). Knows no chunk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import cast
from urllib.parse import urlsplit

import httptools

from service.gateway.routing import Failure
from service.gateway.transport import SLACK_S, ReplicaFailed

CONNECT_S = 1.0
"""Workers are on loopback: what does not connect in a second is not there."""

IDLE_S = 3.0
"""Shorter than the five seconds after which a worker closes an idle connection."""

MAX_ANSWER_BYTES = 256 * 2**20
"""Far more than the vectors of a thousand texts; what sends more is no worker."""


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer."""

    status: int
    body: bytes


class _Gone(Exception):
    """The connection ended before the answer did."""


class _NotThere(Exception):
    """Nobody accepts connections."""


class Connection(asyncio.Protocol):
    """One connection: one request at a time, its answer in a future.

    Attributes:
        is_usable: it is open, and nothing is under way on it.
        idle_since: `loop.time()` of its last answer.
    """

    def __init__(self, on_lost: Callable[[Connection], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[Reply] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._parts: list[bytes] = []
        self._bytes = 0
        self.idle_since = self._loop.time()

    @property
    def is_usable(self) -> bool:
        transport = self._transport
        return transport is not None and not transport.is_closing() and self._waiting is None

    async def ask(self, head: bytes, body: bytes) -> Reply:
        """Send a request and wait for its answer; a caller that goes away closes the connection.

        Raises:
            _Gone: no whole answer came.
            asyncio.TimeoutError: `expire` was called first.
        """
        if self._transport is None or not self.is_usable:
            raise _Gone("the connection broke")
        self._waiting = self._loop.create_future()
        self._transport.writelines((head, body))
        try:
            return await self._waiting
        except BaseException:
            self.close()
            raise
        finally:
            self._waiting = None
            self.idle_since = self._loop.time()

    def expire(self) -> None:
        """The time for the present request is over."""
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(asyncio.TimeoutError())

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(f"its answer is no HTTP: {error}")

    def connection_lost(self, _: Exception | None) -> None:
        self._fail("the connection broke")
        self._on_lost(self)

    # the parser's side

    def on_message_begin(self) -> None:
        self._parts, self._bytes = [], 0
        if self._waiting is None or self._waiting.done():
            self._fail("an answer that nobody asked for")

    def on_body(self, body: bytes) -> None:
        self._bytes += len(body)
        if self._bytes > MAX_ANSWER_BYTES:
            self._fail("its answer has no end")
        else:
            self._parts.append(body)

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if HTTPStatus.CONTINUE <= status < HTTPStatus.OK:
            return
        body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        if not self._parser.should_keep_alive():
            self.close()
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(Reply(status, body))

    def _fail(self, why: str) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(_Gone(why))
        self.close()


class HttpWire:
    """Implements `Wire`; made and closed inside the gateway's event loop."""

    def __init__(self) -> None:
        self._idle: dict[str, list[Connection]] = {}
        self._open: set[Connection] = set()

    async def close(self) -> None:
        for connection in list(self._open):
            connection.close()

    async def refuses(self, url: str) -> bool:
        try:
            await self._asked(url, "GET", "/livez", b"", CONNECT_S)
        except asyncio.TimeoutError:
            return False
        except (_Gone, _NotThere):
            return True
        return False

    async def post(self, url: str, path: str, body: bytes, timeout_s: float) -> tuple[int, bytes]:
        try:
            reply = await self._asked(url, "POST", path, body, timeout_s + SLACK_S)
        except asyncio.TimeoutError as error:
            raise ReplicaFailed(Failure.TIMEOUT, "no answer in time") from error
        except _Gone as error:
            raise ReplicaFailed(Failure.LOST, str(error)) from error
        except _NotThere as error:
            raise ReplicaFailed(Failure.UNREACHABLE, str(error)) from error
        return reply.status, reply.body

    async def _asked(
        self, url: str, method: str, path: str, body: bytes, timeout_s: float
    ) -> Reply:
        """Raises asyncio.TimeoutError, _Gone, _NotThere."""
        loop = asyncio.get_running_loop()
        ends = loop.time() + timeout_s
        connection = self._pick(url, loop.time())
        if connection is None:
            connection = await self._connect(url, min(CONNECT_S, timeout_s))
        timer = loop.call_at(ends, connection.expire)
        try:
            return await connection.ask(_head(url, method, path, len(body)), body)
        finally:
            timer.cancel()
            if connection.is_usable:
                self._idle.setdefault(url, []).append(connection)

    def _pick(self, url: str, now: float) -> Connection | None:
        """The connection that was used last; those that are idle for too long are closed."""
        idle = self._idle.get(url, [])
        while idle and now - idle[0].idle_since > IDLE_S:
            idle.pop(0).close()
        while idle:
            connection = idle.pop()
            if connection.is_usable:
                return connection
        return None

    async def _connect(self, url: str, limit_s: float) -> Connection:
        parts = urlsplit(url)
        connecting = asyncio.get_running_loop().create_connection(
            lambda: Connection(self._forget), parts.hostname or "", parts.port or 80
        )
        try:
            _, connection = await asyncio.wait_for(connecting, limit_s)
        except asyncio.TimeoutError as error:
            raise _NotThere("it did not accept in time") from error
        except OSError as error:
            raise _NotThere("it does not accept connections") from error
        self._open.add(connection)
        return connection

    def _forget(self, lost: Connection) -> None:
        self._open.discard(lost)
        for url, idle in list(self._idle.items()):
            if lost in idle:
                idle.remove(lost)
            if not idle:
                del self._idle[url]


def _head(url: str, method: str, path: str, length: int) -> bytes:
    parts = urlsplit(url)
    return (
        f"{method} {parts.path}{path} HTTP/1.1\r\nhost: {parts.netloc}\r\n"
        f"content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    ).encode("ascii")
