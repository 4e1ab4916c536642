"""The app as a class: requests that cost tokens go straight to their handlers.

The framework's own way to a route is six layers deep, and took a third of the time of an answer
from the cache. What the layers do for these routes (error shape, request id, log, metrics) the
envelope does. Every other request takes the framework's way.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send


class Front(FastAPI):
    """FastAPI with a table in front: path -> ASGI app, for POST."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.direct: dict[str, ASGIApp] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # mounted in another app, paths begin with that app's: the framework knows how to cut them
        if scope["type"] == "http" and scope["method"] == "POST" and not scope.get("root_path"):
            app = self.direct.get(scope["path"])
            if app is not None:
                await app(scope, receive, send)
                return
        await super().__call__(scope, receive, send)
