"""Who may open the page, and what the page may load: in front of everything that Gradio answers."""

from __future__ import annotations

import base64
import binascii
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import Unauthorized
from service.gateway.auth import Keys, is_loopback

POLICY = (
    # Gradio compiles its templates in the browser, so scripts cannot be held tighter than this
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:;"
    " style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:;"
    " connect-src 'self'; worker-src 'self' blob:; object-src 'none'; base-uri 'self';"
    " form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


class Guard:
    """An ASGI app around another.

    Args:
        keys: who may open it; not required: everybody who reaches the port.
        local: it listens on loopback, so that only this machine's names are its own.
    """

    def __init__(self, app: ASGIApp, keys: Keys, *, local: bool) -> None:
        self._app = app
        self._keys = keys
        self._local = local

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(Headers(scope=scope)) if scope["type"] == "http" else _only_http()
        if refusal is not None:
            await refusal(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        await self._app(scope, receive, with_headers)

    def _refusal(self, headers: Headers) -> PlainTextResponse | None:
        host = headers.get("host", "")
        # a web page whose name was turned to 127.0.0.1 must not read what is typed here
        if self._local and not is_loopback(urlsplit(f"//{host}").hostname or ""):
            return PlainTextResponse("open it as http://127.0.0.1 or http://localhost", 403)
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return PlainTextResponse("asked by another site's page", 403)
        try:
            self._keys.name_of(_bearer(headers.get("authorization")))
        except Unauthorized:
            challenge = {"www-authenticate": 'Basic realm="rankguard", charset="UTF-8"'}
            return PlainTextResponse("the password is an API key", 401, challenge)
        return None


def _only_http() -> PlainTextResponse:
    return PlainTextResponse("no such protocol here", 403)


def _bearer(authorization: str | None) -> str | None:
    """The browser's user name and password as the gateway's kind of header; any name will do."""
    scheme, _, encoded = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        pair = base64.b64decode(encoded.strip(), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return f"Bearer {pair.partition(':')[2]}"
