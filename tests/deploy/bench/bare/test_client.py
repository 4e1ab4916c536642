"""The contest's own client: the same answers and errors as the general one."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from deploy.bench.bare.client import LoopbackClient
from deploy.evaluate.dialect import DIALECTS
from deploy.evaluate.endpoint import Client, EndpointError, Target
from tests.waiting import free_port


@contextlib.asynccontextmanager
async def serving(status: int, body: str) -> AsyncIterator[Target]:
    async def rerank(request: web.Request) -> web.Response:
        assert (await request.json())["documents"] == ["a", "b"]
        return web.Response(text=body, status=status, content_type="application/json")

    app = web.Application()
    app.router.add_post("/v1/rerank", rerank)
    app.router.add_post("/rerank", rerank)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        yield Target("side", f"http://127.0.0.1:{port}", DIALECTS["vllm"])
    finally:
        await runner.cleanup()


RANKED = """{"usage": {"total_tokens": 7}, "results":
 [{"index": 1, "relevance_score": 0.75}, {"index": 0, "relevance_score": 0.25}]}"""


async def test_it_reads_what_the_general_client_reads():
    async with serving(200, RANKED) as target:
        async with LoopbackClient() as client:
            light = await client.rerank(target, "q", ["a", "b"])
        async with Client() as client:
            general = await client.rerank(target, "q", ["a", "b"])

    assert light == general
    assert list(light.order) == [1, 0]


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        pytest.param(400, '{"error": {"message": "too long"}}', "400: too long", id="refused"),
        pytest.param(200, "<html>", "is not JSON", id="no JSON"),
        pytest.param(200, '{"results": []}', "side", id="not in the dialect"),
    ],
)
async def test_what_is_no_answer_is_an_error_with_the_sides_name(status, body, words):
    async with serving(status, body) as target, LoopbackClient() as client:
        with pytest.raises(EndpointError, match=words) as found:
            await client.rerank(target, "q", ["a", "b"])

    assert "side" in str(found.value)


async def test_nobody_there_is_an_error():
    gone = Target("side", f"http://127.0.0.1:{free_port()}", DIALECTS["vllm"])
    async with LoopbackClient() as client:
        with pytest.raises(EndpointError, match="does not accept"):
            await client.rerank(gone, "q", ["a", "b"])
