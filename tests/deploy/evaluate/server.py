"""A rerank endpoint for tests: speaks every dialect, scores by a given function, real sockets."""

from __future__ import annotations

import asyncio
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from aiohttp import web

Scorer = Callable[[str, str], float]


def by_shared_words(query: str, document: str) -> float:
    """The share of the query's words that the document has."""
    words = set(query.lower().split())
    return len(words & set(document.lower().split())) / max(1, len(words))


@dataclass
class Endpoint:
    """What the server does and saw.

    Attributes:
        refuse: statuses to answer before it serves: the first is used first.
        delay_s: before each answer.
        most: documents that it gets through in its time; a request with more is answered 504.
        serial_s: how long each request keeps the only worker, so that requests queue.
    """

    scorer: Scorer = by_shared_words
    refuse: list[int] = field(default_factory=list)
    delay_s: float = 0.0
    most: int = 10_000
    serial_s: float = 0.0
    url: str = ""
    bodies: list[tuple[str, dict]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    worker: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.bodies.append((request.path, body))
        self.keys.append(request.headers.get("Authorization"))
        if self.refuse:
            status = self.refuse.pop(0)
            return web.json_response({"error": {"message": "not now"}}, status=status)
        if len(body.get("documents", [])) > self.most:
            return web.json_response({"error": {"message": "not scored in time"}}, status=504)
        if self.serial_s:
            async with self.worker:
                await asyncio.sleep(self.serial_s)
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        return web.json_response(self.answer(request.path, body))

    async def embed(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.bodies.append((request.path, body))
        data = [{"index": n, "embedding": bag(text)} for n, text in enumerate(body["input"])]
        return web.json_response({"data": list(reversed(data)), "model": "bag"})

    def answer(self, path: str, body: dict) -> object:
        query = body.get("query", body.get("text_1"))
        documents = body.get("documents") or body.get("texts") or body.get("text_2")
        scored = [(index, self.scorer(query, text)) for index, text in enumerate(documents)]
        if path == "/v1/score":
            data = [{"index": index, "score": score} for index, score in scored]
            return {"data": data, "usage": {"total_tokens": 7 * len(documents)}}
        scored.sort(key=lambda item: -item[1])
        if path == "/rerank":
            return [{"index": index, "score": score} for index, score in scored]
        results = [{"index": index, "relevance_score": score} for index, score in scored]
        usage = {"total_tokens": 7 * len(documents)}
        if path == "/v2/rerank":
            return {"results": results, "meta": {"tokens": {"input_tokens": 7 * len(documents)}}}
        return {"results": results, "usage": usage}


def bag(text: str) -> list[float]:
    """A vector of which words there are, so that cosine counts shared ones."""
    vector = [0.0] * 64
    for word in text.lower().split():
        vector[zlib.crc32(word.strip("?.,").encode()) % 64] += 1.0
    vector[0] += 0.01  # a text without words has a direction too
    return vector


async def _models(_: web.Request) -> web.Response:
    return web.json_response({"data": [{"id": "test-model"}]})


@contextmanager
def serving(endpoint: Endpoint) -> Iterator[Endpoint]:
    """The endpoint on a free loopback port, in a thread of its own."""
    loop = asyncio.new_event_loop()
    started = threading.Event()
    stop = asyncio.Event()

    async def main() -> None:
        app = web.Application(client_max_size=64 * 2**20)
        for path in ("/v1/rerank", "/v2/rerank", "/rerank", "/v1/score"):
            app.router.add_post(path, endpoint.handle)
        app.router.add_post("/v1/embeddings", endpoint.embed)
        app.router.add_get("/v1/models", _models)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        endpoint.url = f"http://127.0.0.1:{port}"
        started.set()
        await stop.wait()
        await runner.cleanup()

    def run() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(main())
        loop.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert started.wait(10)
    try:
        yield endpoint
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
