"""A request's body, read under limits of size and time, and of all bodies together."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import Receive

from service.errors import BodyTimeout, Malformed, OverLimit, TooLarge
from service.gateway.timelimit import TimeLimit

DISCARD_S = 1.0
DISCARD_BODIES = 4
"""How long a body that is too large is still read and thrown away, and how much of it.

A client that is cut off while it sends never reads why. One that sends for longer is cut off.
"""


class Intake:
    """Reads bodies; counts requests and bytes that are held at once."""

    def __init__(
        self, *, max_body_bytes: int, max_buffered_bytes: int, max_requests: int, timeout_s: float
    ) -> None:
        self._max_body_bytes = max_body_bytes
        self._max_buffered_bytes = max_buffered_bytes
        self._max_requests = max_requests
        self._timeout_s = timeout_s
        self._buffered = 0
        self.requests = 0

    @contextlib.asynccontextmanager
    async def body(self, headers: Headers, receive: Receive) -> AsyncIterator[bytes]:
        """The whole body; it counts as held until the block ends.

        Raises:
            TooLarge: it is longer than allowed, whether it says so or not.
            BodyTimeout: it did not come in time.
            OverLimit: too many requests or bytes are held already.
            ClientDisconnect: the client went away.
        """
        if self.requests >= self._max_requests:
            raise OverLimit("too many requests are open", retry_after_s=1)
        self.requests += 1
        held = _Held(self)
        try:
            yield await self._read(headers, receive, held)
        finally:
            self.requests -= 1
            self._buffered -= held.bytes

    async def _read(self, headers: Headers, receive: Receive, held: _Held) -> bytes:
        declared = _declared_length(headers)
        too_large = TooLarge(f"the body is larger than {self._max_body_bytes} bytes")
        try:
            if declared is not None and declared > self._max_body_bytes:
                if headers.get("expect", "").lower() != "100-continue":
                    await _discard(receive, DISCARD_BODIES * self._max_body_bytes)
                raise too_large
            async with TimeLimit(self._timeout_s):
                parts = await self._parts(receive, held, too_large)
        except asyncio.TimeoutError:
            raise BodyTimeout(f"the body did not come within {self._timeout_s:g} s") from None
        except TooLarge:
            if declared is None or declared <= self._max_body_bytes:
                await _discard(receive, DISCARD_BODIES * self._max_body_bytes)
            raise
        return parts[0] if len(parts) == 1 else b"".join(parts)

    async def _parts(self, receive: Receive, held: _Held, too_large: TooLarge) -> list[bytes]:
        parts: list[bytes] = []
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            part: bytes = message.get("body", b"")
            held.add(len(part))
            if held.bytes > self._max_body_bytes:
                raise too_large
            parts.append(part)
            if not message.get("more_body", False):
                return parts

    def hold(self, count: int) -> None:
        if self._buffered + count > self._max_buffered_bytes:
            raise OverLimit("too many request bodies are held", retry_after_s=1)
        self._buffered += count


class _Held:
    """The bytes of one body that count against all bodies together."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self.bytes = 0

    def add(self, count: int) -> None:
        self._intake.hold(count)
        self.bytes += count


def _declared_length(headers: Headers) -> int | None:
    declared = headers.get("content-length")
    if declared is None:
        return None
    try:
        return int(declared)
    except ValueError as error:
        raise Malformed("Content-Length is not a number") from error


async def _discard(receive: Receive, at_most: int) -> None:
    count = 0
    with contextlib.suppress(asyncio.TimeoutError):
        async with TimeLimit(DISCARD_S):
            while count < at_most:
                message = await receive()
                if message["type"] != "http.request" or not message.get("more_body", False):
                    return
                count += len(message.get("body", b""))
