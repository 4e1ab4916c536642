from __future__ import annotations

import pytest


async def test_it_answers_the_best_document_first(gateway):
    reply = await gateway.post({"query": "q", "documents": ["a", "aaaa", "aaaaaaa"]})
    assert reply.status == 200
    assert [one["index"] for one in reply.body["results"]] == [2, 1, 0]
    assert reply.body["results"][0]["document"] == {"text": "aaaaaaa"}
    assert reply.body["model"] == "fake-reranker"


@pytest.mark.parametrize("path", ["/readyz", "/health"])
async def test_it_says_why_it_is_not_ready(start, path):
    gateway = await start()
    reply = await gateway.get(path)
    assert reply.status == 503
    assert reply.body["reason"] == "no replica has started"


@pytest.mark.parametrize(
    "path", ["/livez", "/readyz", "/health", "/v1/models", "/metrics", "/docs"]
)
async def test_it_serves_its_own_pages(gateway, path):
    assert (await gateway.get(path)).status == 200
