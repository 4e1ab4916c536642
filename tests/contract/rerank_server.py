"""A tiny rerank server in this process, for the remote engine: three dialects, faults on demand."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from service.worker.engines.scripted import word_score


@dataclass
class Behaviour:
    """What the server does; a test changes it while it runs.

    `refused`: a document that contains this fails the whole request, as vLLM's too long ones do.
    """

    raw_known: bool = True
    nan: bool = False
    status: int = 200
    refused: str = ""
    pause_s: float = 0.0
    key: str = ""
    bodies: list[dict] = field(default_factory=list)


@dataclass
class Server:
    url: str
    behaviour: Behaviour
    runner: web.AppRunner

    async def stop(self) -> None:
        await self.runner.cleanup()


@asynccontextmanager
async def rerank_server() -> AsyncIterator[Server]:
    behaviour = Behaviour()
    app = web.Application(client_max_size=64 << 20, middlewares=[_gate(behaviour)])
    app.router.add_get("/v1/models", _models)
    app.router.add_get("/info", _info)
    app.router.add_post("/v1/rerank", _vllm(behaviour))
    app.router.add_post("/v2/rerank", _cohere(behaviour))
    app.router.add_post("/rerank", _tei(behaviour))
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0]
    try:
        yield Server(f"http://{host}:{port}", behaviour, runner)
    finally:
        await runner.cleanup()


def _gate(behaviour):
    @web.middleware
    async def gate(request, handler):
        if behaviour.key and request.headers.get("Authorization") != f"Bearer {behaviour.key}":
            return web.json_response({"error": {"message": "who are you?"}}, status=401)
        if behaviour.status != 200:
            return web.json_response({"error": {"message": "broken"}}, status=behaviour.status)
        return await handler(request)

    return gate


async def _models(request):
    return web.json_response({"data": [{"id": "far-model", "max_model_len": 4096}]})


async def _info(request):
    return web.json_response({"model_id": "far-model", "max_input_length": 512})


async def _logits(behaviour, request, name):
    body = await request.json()
    behaviour.bodies.append(body)
    await asyncio.sleep(behaviour.pause_s)
    texts = body[name]
    if behaviour.refused and any(behaviour.refused in text for text in texts):
        message = "the input is longer than the model takes"
        raise web.HTTPBadRequest(text=f'{{"error": {{"message": "{message}"}}}}')
    if behaviour.nan:
        return body, [math.nan] * len(texts)
    return body, [word_score(body["query"], text) for text in texts]


def _sigmoid(value):
    return 1 / (1 + math.exp(-value))


def _vllm(behaviour):
    async def handle(request):
        body, logits = await _logits(behaviour, request, "documents")
        raw = behaviour.raw_known and body.get("use_activation") is False
        results = [
            {"index": i, "relevance_score": logit if raw else _sigmoid(logit)}
            for i, logit in enumerate(logits)
        ]
        results.sort(key=lambda result: -result["relevance_score"])
        usage = {"total_tokens": 10 * len(logits)}
        return web.json_response({"id": "x", "results": results, "usage": usage})

    return handle


def _cohere(behaviour):
    async def handle(request):
        body, logits = await _logits(behaviour, request, "documents")
        results = [{"index": i, "relevance_score": _sigmoid(v)} for i, v in enumerate(logits)]
        results.sort(key=lambda result: -result["relevance_score"])
        return web.json_response({"id": "x", "results": results[: body["top_n"]]})

    return handle


def _tei(behaviour):
    async def handle(request):
        body, logits = await _logits(behaviour, request, "texts")
        assert body["raw_scores"] is True
        results = [{"index": i, "score": logit} for i, logit in enumerate(logits)]
        return web.json_response(sorted(results, key=lambda result: -result["score"]))

    return handle
