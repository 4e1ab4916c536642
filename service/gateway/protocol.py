"""HTTP as uvicorn speaks it, with limits on how long a client may take, and our error shape."""

from __future__ import annotations

import asyncio
from typing import Any

import httptools
from pydantic_core import to_json
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.errors import Malformed, error_body

MAX_HEAD_BYTES = 2**18
"""Of one request's head, and of one read from a socket: uvloop's buffer. A longer one would be
copied again with every read.
"""

_FRAMING = (b"content-length", b"transfer-encoding")


class Http11(HttpToolsProtocol):
    """Closes connections that are held without use, and reads what httptools leaves out.

    uvicorn limits only how long a connection may be idle between requests, so that one which sends
    a byte of its head now and then, or of a body that was answered already, would stay for ever.

    A client that offers another protocol (Java's offers HTTP/2 by default, in the middle of a
    POST) is answered in HTTP/1.1, as RFC 9110 section 7.8 has it. httptools takes the request's
    body for a message in the other protocol and leaves it out.
    """

    def __init__(self, *args: Any, head_timeout_s: float, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head_timeout_s = head_timeout_s
        self._timer: asyncio.TimerHandle | None = None
        self._head_bytes: int | None = None  # of a head that is not whole yet
        self._is_same_request = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        while data:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as offer:
                data = data[offer.args[0] :]
                self._decline()
            except httptools.HttpParserError:
                self.send_400_response("Invalid HTTP request received.")
                return
            else:
                break
        if self._head_bytes is not None:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self.send_400_response(f"the head is larger than {MAX_HEAD_BYTES} bytes")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._expect_head()

    def on_headers_complete(self) -> None:
        self._head_bytes = None
        self._stop_timer()
        if self._is_same_request:
            self._is_same_request = False
        else:
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        # behind an offer its body comes yet: see `_decline`
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle.response_complete and self.cycle.more_body:
            self._start_timer()  # what is left of the body must come in that time, too

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP request gets our error shape too."""
        body = to_json(error_body(Malformed(msg)))
        head = (
            "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode("ascii") + body)
        self.transport.close()

    def _decline(self) -> None:
        """Go on in HTTP/1.1 with a request that offered another protocol: read its body."""
        framing = [b"%s: %s\r\n" % one for one in self.headers if one[0] in _FRAMING]
        self.parser = httptools.HttpRequestParser(self)
        self._is_same_request = True
        self.parser.feed_data(b"POST / HTTP/1.1\r\n" + b"".join(framing) + b"\r\n")

    def _expect_head(self) -> None:
        self._head_bytes = 0
        self._start_timer()

    def _start_timer(self) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(self._head_timeout_s, self.transport.close)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
