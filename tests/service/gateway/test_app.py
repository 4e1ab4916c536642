from __future__ import annotations

import pytest

from service.settings import EngineSettings


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


async def test_a_named_instruction(start, worker):
    gateway = await start(instructions={"code-search": "Find the code that does it"})
    await gateway.until_ready()
    await gateway.post({"query": "q", "documents": ["a"], "instruction": "@code-search"})
    assert worker.jobs[0]["instruction"] == "Find the code that does it"


async def test_models_lists_what_answers_and_its_notice(gateway, worker):
    worker.publish(notice="This is the embedded model.")
    while not (reply := await gateway.get("/v1/models")).body["data"][0].get("notice"):
        pass
    assert reply.body["data"] == [
        {
            "id": "fake-reranker",
            "object": "model",
            "owned_by": "rankguard",
            "engine": "fake",
            "fingerprint": "f1",
            "notice": "This is the embedded model.",
        }
    ]


async def test_before_the_first_replica_the_configured_model_is_listed(start):
    gateway = await start(EngineSettings(served_name="ours"))
    assert (await gateway.get("/v1/models")).body["data"][0]["id"] == "ours"


async def test_the_docs_page_needs_no_other_host(gateway):
    reply = await gateway.get("/docs")
    assert "://" not in reply.text
    assert "default-src 'none'" in reply.headers["content-security-policy"]


async def test_openapi_describes_every_route(gateway):
    api = (await gateway.get("/openapi.json")).body
    assert {"/v1/rerank", "/rerank", "/v2/rerank", "/v1/score", "/score"} < set(api["paths"])
    responses = api["paths"]["/v1/rerank"]["post"]["responses"]
    assert set(responses) == {
        *("200", "400", "401", "408", "413", "415"),
        *("422", "429", "500", "503", "504"),
    }
