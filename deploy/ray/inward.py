"""Asks an ASGI app inside its own process: what would be a request over loopback is a call."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

from starlette.types import ASGIApp

Message = MutableMapping[str, Any]


async def post(app: ASGIApp, path: str, body: bytes) -> tuple[int, bytes]:
    """Status and body of the app's answer to `POST path`; cancelling is hanging up.

    Raises:
        RuntimeError: the app ended without an answer.
    """
    asked: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
    status = 0
    parts: list[bytes] = []

    async def receive() -> Message:
        if asked:
            return asked.pop()
        await asyncio.get_running_loop().create_future()  # nobody hangs up: the task is cancelled
        raise AssertionError  # pragma: no cover - the future is never done

    async def send(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]
        elif message["type"] == "http.response.body":
            parts.append(message.get("body", b""))

    await app(_scope(path), receive, send)
    if not status:
        raise RuntimeError(f"{path} was not answered")
    return status, b"".join(parts)


def _scope(path: str) -> Message:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
        "client": None,
        "server": None,
    }
