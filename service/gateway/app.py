"""The public app: its parts and routes, put together here and nowhere else, and its process."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import importlib.metadata
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import uvloop
from fastapi import FastAPI
from prometheus_client import CollectorRegistry, disable_created_metrics, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from service.errors import ServiceError
from service.gateway import docs_page, envelope, health, logs, openapi, process, routes
from service.gateway.admission import Admission
from service.gateway.auth import BadKeysFile, Keys, is_loopback
from service.gateway.cache import ScoreCache
from service.gateway.directory import Directory, StateDirectory
from service.gateway.dispatch import Dispatcher
from service.gateway.embed import Embedding
from service.gateway.embeddings import Embeddings
from service.gateway.endpoint import Endpoint
from service.gateway.front import Front
from service.gateway.intake import Intake
from service.gateway.process import CannotStart
from service.gateway.pulse import Pulse
from service.gateway.replicas import Replicas
from service.gateway.routes import PlainRoute, ScoringRoute
from service.gateway.schema.call import Limits
from service.gateway.scoring import Scoring
from service.gateway.spread import Spread
from service.gateway.transport import Transport, Wire
from service.gateway.wire import HttpWire
from service.metrics import GatewayMetrics, ReplicaSample
from service.serving import exit_within_grace, freeze_heap
from service.settings import EngineSettings, ServiceSettings

if TYPE_CHECKING:
    from service.gateway.search.handler import Search

WRONG_USAGE = 2

Handler = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Parts:
    """What the routes use; made anew for every app, inside its event loop."""

    replicas: Replicas
    endpoint: Endpoint
    metrics: GatewayMetrics
    keys: Keys
    transport: Transport
    plain: Mapping[str, Handler]
    search: Search | None = None


def create_app(
    settings: ServiceSettings,
    engine: EngineSettings,
    *,
    registry: CollectorRegistry | None = None,
    directory: Directory | None = None,
    connect: Callable[[], Wire] = HttpWire,
) -> FastAPI:
    """The gateway as an ASGI app; its lifespan watches the directory.

    Args:
        directory: which replicas there are; None: what the state directory says.
        connect: makes what reaches them, inside the app's event loop.

    Raises:
        BadKeysFile: the API keys file is configured and cannot be used.
    """
    metrics = GatewayMetrics(registry or CollectorRegistry())
    keys = Keys(settings.api_keys_file)
    directory = directory or StateDirectory(settings.state_dir)

    def parts() -> Parts:
        replicas = Replicas(directory, capacity=settings.replica_tokens)
        return _parts(settings, metrics, keys, replicas, Transport(connect()))

    app = Front(
        title="rankguard",
        version=importlib.metadata.version("rankguard"),
        description="Scores documents against a query. Errors have one shape on every route.",
        lifespan=lambda app: _running(app, parts),
        docs_url=None,
        redoc_url=None,
    )
    app.add_exception_handler(ServiceError, envelope.on_service_error)
    app.add_exception_handler(HTTPException, envelope.on_http_exception)
    plain = [routes.EMBEDDINGS, *([routes.SEARCH] if settings.search.enabled else [])]
    costly: dict[str, ASGIApp] = {route.path: _Scoring(app, route) for route in routes.SCORING}
    costly |= {other.path: _Plain(app, other) for other in plain}
    for path, handler in costly.items():
        app.router.routes.append(Route(path, handler, methods=["POST"]))
        app.direct[path] = envelope.Envelope(handler, metrics)
    describe = functools.partial(
        openapi.document,
        title=app.title,
        version=app.version,
        description=app.description,
        routes=routes.SCORING,
        plain=plain,
    )
    app.openapi = functools.cache(describe)  # type: ignore[method-assign]
    _add_operations(app, engine)
    app.add_middleware(envelope.Envelope, metrics=metrics)
    return app


@contextlib.asynccontextmanager
async def _running(app: FastAPI, make_parts: Callable[[], Parts]) -> AsyncIterator[None]:
    """Inside, the parts are there and the replicas are watched."""
    parts = make_parts()
    app.state.parts = parts
    watching = [
        asyncio.create_task(parts.replicas.watch()),
        asyncio.create_task(Pulse(parts.replicas, parts.transport).watch()),
    ]
    try:
        yield
    finally:
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
        if parts.search is not None:
            await parts.search.close()
        await parts.transport.close()


def parts_of(app: FastAPI) -> Parts:
    parts = app.state.parts
    assert isinstance(parts, Parts)
    return parts


def _parts(
    settings: ServiceSettings,
    metrics: GatewayMetrics,
    keys: Keys,
    replicas: Replicas,
    transport: Transport,
) -> Parts:
    admission = Admission(
        max_waiting_tokens=settings.max_waiting_tokens,
        tokens_per_minute=settings.key_tokens_per_minute,
        tokens_per_minute_by_key=settings.key_limits,
    )
    dispatcher = Dispatcher(replicas, transport.score, metrics, hedge=settings.hedge)
    spread = Spread(replicas, dispatcher, admission.rate, chunk_tokens=settings.chunk_tokens)
    cache = ScoreCache(settings.cache_bytes)
    scoring = Scoring(replicas, spread, admission, cache, metrics)
    intake = Intake(
        max_body_bytes=settings.max_body_bytes,
        max_buffered_bytes=settings.max_buffered_bytes,
        max_requests=settings.max_requests,
        timeout_s=settings.body_timeout_s,
    )
    limits = Limits(max_documents=settings.max_documents)
    endpoint = Endpoint(
        scoring,
        admission,
        keys,
        intake,
        metrics,
        limits=limits,
        timeout_s=settings.request_timeout_s,
        instructions=settings.instructions,
        log_texts=settings.log_texts,
    )
    embedding = Embedding(
        replicas,
        Dispatcher(replicas, transport.embed, metrics, hedge=settings.hedge),
        admission,
        chunk_tokens=settings.chunk_tokens,
    )
    plain = {routes.EMBEDDINGS.path: Embeddings(endpoint, embedding, limits).handle}
    search: Search | None = None
    if settings.search.enabled:
        # its libraries are loaded by those who use it
        from service.gateway.search.app import build  # noqa: PLC0415

        search = build(settings, endpoint, embedding, scoring)
        plain[routes.SEARCH.path] = search.handle
    metrics.watch_replicas(lambda: _samples(replicas))
    metrics.cache_bytes.set_function(lambda: cache.size_bytes)
    metrics.in_flight.set_function(lambda: endpoint.in_flight)
    metrics.waiting_tokens.set_function(lambda: admission.waiting_tokens)
    metrics.waiting_chunks.set_function(lambda: replicas.waiting)
    metrics.ready.set_function(
        lambda: replicas.not_ready_reason() is None and not endpoint.draining
    )
    return Parts(replicas, endpoint, metrics, keys, transport, plain, search)


def _samples(replicas: Replicas) -> Iterator[ReplicaSample]:
    for one in replicas.all():
        yield ReplicaSample(one.id, one.routable and one.health.reachable, one.outstanding)


class _Scoring:
    """A scoring route as a plain ASGI app: FastAPI's own handling costs more than parsing."""

    def __init__(self, app: FastAPI, route: ScoringRoute) -> None:
        self._app = app
        self._route = route

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = parts_of(self._app).endpoint
        response = await endpoint.handle(Request(scope, receive), self._route.dialect_of)
        await response(scope, receive, send)


class _Plain:
    """The same for a route with a handler of its own."""

    def __init__(self, app: FastAPI, route: PlainRoute) -> None:
        self._app = app
        self._path = route.path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await parts_of(self._app).plain[self._path](Request(scope, receive))
        await response(scope, receive, send)


def _add_operations(app: FastAPI, engine: EngineSettings) -> None:
    configured = engine.served_name or engine.model

    async def livez() -> Response:
        return health.live()

    async def readyz() -> Response:
        parts = parts_of(app)
        return health.ready(parts.replicas, draining=parts.endpoint.draining)

    async def models(request: Request) -> Response:
        parts = parts_of(app)
        parts.keys.name_of(request.headers.get("authorization"))
        return health.models(parts.replicas, configured)

    async def metrics() -> Response:
        return Response(
            generate_latest(parts_of(app).metrics.registry), media_type=CONTENT_TYPE_LATEST
        )

    async def docs() -> Response:
        return HTMLResponse(docs_page.PAGE, headers=docs_page.HEADERS)

    for path, page in (("/livez", livez), ("/readyz", readyz), ("/health", readyz)):
        app.add_api_route(path, page, methods=["GET", "HEAD"])
    app.add_api_route("/v1/models", models)
    app.add_api_route("/metrics", metrics)
    app.add_api_route("/docs", docs, include_in_schema=False)


def _refuse_open_port(settings: ServiceSettings) -> None:
    if settings.api_keys_file is None and not is_loopback(settings.host):
        raise CannotStart(
            f"refusing to listen on {settings.host} without API keys: set [service] api_keys_file "
            "to a file of `name:sha256-hex` lines, or host to 127.0.0.1"
        )


def run(
    settings: ServiceSettings, engine: EngineSettings, *, sock: socket.socket | None = None
) -> int:
    """Serve until a signal; blocks.

    Args:
        sock: an already bound socket to serve on; None binds `settings.host` and `settings.port`.

    Returns:
        The exit code: 0 after an orderly end, 2 when the start is not possible, with the reason
        and what to do on stderr.
    """
    try:
        _refuse_open_port(settings)
        process.check_state_dir(settings.state_dir)
        app = create_app(settings, engine)
        listener = sock or process.listen(settings.host, settings.port)
    except (CannotStart, BadKeysFile) as error:
        print(f"rankguard serve: {error}", file=sys.stderr)
        return WRONG_USAGE
    logs.configure()
    process.allow_open_files()
    # a counter's time of birth, a second series for each: nobody graphs it
    disable_created_metrics()  # type: ignore[no-untyped-call]
    freeze_heap()
    uvloop.run(
        process.serve(
            app,
            listener,
            lambda: parts_of(app).endpoint,
            drain_timeout_s=settings.drain_timeout_s,
            head_timeout_s=settings.body_timeout_s,
        )
    )
    return exit_within_grace(0)
