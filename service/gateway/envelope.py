"""What every answer gets, whatever the route: request id, error shape, log line, metrics."""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus

from pydantic_core import to_json
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import BodyTimeout, ServiceError, TooLarge, error_body, status_of
from service.metrics import OTHER_ROUTES, ROUTES, GatewayMetrics

logger = logging.getLogger(__name__)
access = logging.getLogger("rankguard.access")

PROBES = frozenset({"/livez", "/readyz", "/health"})
"""Asked several times a second while a service starts; "not ready" is an answer, and no news."""

COUNTED = frozenset((*ROUTES, *OTHER_ROUTES))

CLIENT_GONE = 499
"""nginx's number for a client that closed before the answer; nobody receives it."""

_UNFIT = re.compile(r"[^A-Za-z0-9._:\-]")
MAX_ID = 128


@dataclass(slots=True)
class Note:
    """What a request's handler tells the envelope: headers for the answer, fields for the log."""

    request_id: str
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    fields: dict[str, object] = field(default_factory=dict)

    def header(self, name: str, value: str) -> None:
        self.headers.append((name.encode("latin-1"), value.encode("latin-1", "replace")))


def note_of(scope: Scope) -> Note:
    note = scope["rankguard.note"]
    assert isinstance(note, Note)
    return note


def request_id(given: str | None) -> str:
    """The caller's id without what could forge a log line or a header, else a new one."""
    kept = _UNFIT.sub("", (given or "")[:MAX_ID])
    return kept or uuid.uuid4().hex


class Envelope:
    """ASGI middleware around all routes."""

    def __init__(
        self,
        app: ASGIApp,
        metrics: GatewayMetrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = self._clock()
        note = Note(request_id(Headers(scope=scope).get("x-request-id")))
        scope["rankguard.note"] = note
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                note.header("x-request-id", note.request_id)
                message["headers"] = [*message.get("headers", ()), *note.headers]
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except ClientDisconnect:
            status = CLIENT_GONE
        except ServiceError as error:
            await problem_response(error)(scope, receive, send_with_headers)
        except Exception:
            logger.exception("request failed", extra={"request_id": note.request_id})
            began_answer, status = status != 0, HTTPStatus.INTERNAL_SERVER_ERROR
            if began_answer:
                raise
            await internal_error()(scope, receive, send_with_headers)
        finally:
            self._tell(scope, note, status or CLIENT_GONE, self._clock() - began)

    def _tell(self, scope: Scope, note: Note, status: int, seconds: float) -> None:
        route = scope["path"]
        if route in COUNTED and scope["method"] == "POST":
            self._metrics.requests.labels(route, str(int(status))).inc()
            if route in ROUTES:
                self._metrics.request_seconds.labels(route).observe(seconds)
        elif status < HTTPStatus.BAD_REQUEST or route in PROBES:
            return
        access.info(
            "request",
            extra={
                "request_id": note.request_id,
                "method": scope["method"],
                "path": route[:200],
                "status": int(status),
                "ms": round(seconds * 1000, 2),
                **note.fields,
            },
        )


def problem_response(error: ServiceError) -> Response:
    response = Response(to_json(error_body(error)), status_of(error), media_type="application/json")
    if error.retry_after_s is not None:
        response.headers["retry-after"] = str(max(1, round(error.retry_after_s)))
    if isinstance(error, TooLarge | BodyTimeout):
        # what is left of the body is not worth reading to keep the connection
        response.headers["connection"] = "close"
    if response.status_code == HTTPStatus.UNAUTHORIZED:
        response.headers["www-authenticate"] = "Bearer"
    return response


def plain_problem(status: int, message: str, code: str) -> Response:
    kind = "invalid_request_error" if status < HTTPStatus.INTERNAL_SERVER_ERROR else "server_error"
    body = {"error": {"message": message, "type": kind, "param": None, "code": code}}
    return Response(to_json(body), status, media_type="application/json")


def internal_error() -> Response:
    return plain_problem(500, "internal error; the log has it under the request id", "internal")


async def on_service_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, ServiceError)
    return problem_response(error)


async def on_http_exception(_request: Request, error: Exception) -> Response:
    """Answers of the framework itself: no such path, no such method."""
    assert isinstance(error, HTTPException)
    phrase = HTTPStatus(error.status_code).phrase
    response = plain_problem(error.status_code, phrase, phrase.lower().replace(" ", "_"))
    response.headers.update(error.headers or {})
    return response
