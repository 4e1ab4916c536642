"""The worker's HTTP: requests to jobs and back. docs/architecture.md holds the contract."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable
from typing import TypeVar

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.embedding import EmbedJob
from service.errors import (
    DeadlineExceeded,
    EngineFailed,
    Malformed,
    ServiceError,
    error_body,
    status_of,
)
from service.request import ScoreJob
from service.worker.worker import Worker

log = logging.getLogger("rankguard.worker")

_T = TypeVar("_T")


def create_app(worker: Worker) -> Starlette:
    """The worker's HTTP app; docs/architecture.md holds its contract."""

    async def score(request: Request) -> Response:
        async def work() -> object:
            job = ScoreJob.from_json(_parse(await request.body()))
            scores, seconds = await _unless_gone(request, worker.score(job))
            return {"scores": [item.to_json() for item in scores], "score_s": round(seconds, 6)}

        return await _answered(work())

    async def embed(request: Request) -> Response:
        async def work() -> object:
            job = EmbedJob.from_json(_parse(await request.body()))
            embedded, seconds = await _unless_gone(request, worker.embed(job))
            vectors = [item.to_json() for item in embedded.vectors]
            return {"vectors": vectors, "space": embedded.space, "score_s": round(seconds, 6)}

        return await _answered(work())

    async def progress(_: Request) -> Response:
        return _json(worker.progress())

    async def livez(_: Request) -> Response:
        return Response("ok\n", media_type="text/plain")

    return Starlette(
        routes=[
            Route("/score", score, methods=["POST"]),
            Route("/embed", embed, methods=["POST"]),
            Route("/progress", progress),
            Route("/livez", livez),
        ]
    )


async def _answered(work: Awaitable[object]) -> Response:
    try:
        return _json(await work)
    except ServiceError as error:
        return _error(error)
    except Exception as error:
        log.exception("the engine failed on a job")
        return _error(EngineFailed(f"the engine failed: {type(error).__name__}"))


async def _unless_gone(request: Request, work: Awaitable[_T]) -> _T:
    """Do the work, and give it up when the caller hangs up."""
    doing = asyncio.ensure_future(work)
    hung_up = asyncio.ensure_future(_hung_up(request))
    try:
        await asyncio.wait({doing, hung_up}, return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            raise DeadlineExceeded("the caller hung up")
        return doing.result()
    finally:
        for task in (doing, hung_up):
            task.cancel()
        await asyncio.gather(doing, hung_up, return_exceptions=True)


async def _hung_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _parse(body: bytes) -> object:
    try:
        return json.loads(body)
    except ValueError as error:
        raise Malformed(f"the body is not JSON: {error}") from error


def _json(body: object, status: int = 200) -> Response:
    return Response(json.dumps(body), status_code=status, media_type="application/json")


def _error(error: ServiceError) -> Response:
    response = _json(error_body(error), status_of(error).value)
    if error.retry_after_s is not None:
        response.headers["Retry-After"] = str(max(1, round(error.retry_after_s)))
    return response
