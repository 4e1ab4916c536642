"""`POST /v1/search` on a real gateway with workers that are nothing but their contract."""

from __future__ import annotations

import asyncio
import hashlib
import json
import socket
from pathlib import Path

import pytest

from service.embedding import InputType
from service.gateway.search.cut import Cutter
from service.gateway.search.indexer import Indexer
from service.gateway.search.opening import open_index
from service.gateway.search.reader import Reader
from service.gateway.search.remote import HttpModels
from service.settings import SearchSettings
from tests.json_server import Asked, JsonServer, Said
from tests.service.gateway.fake_worker import error

PATH = "/v1/search"


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "drain.md").write_text("# Drain\n\nDrain a replica like this.")
    (folder / "alerts.md").write_text("# Alerts\n\nA webhook gets them.")
    return folder


def index(url: str, docs: Path, state_dir: Path) -> None:
    models = HttpModels(url)
    probe = models.embed(["x"], InputType.DOCUMENT)
    opened = open_index(SearchSettings(), state_dir, probe.space, 2, create=True)
    try:
        indexer = Indexer(opened.store, opened.writer, models, Cutter(60), space=probe.space)
        indexer.run(str(docs), Reader(max_file_bytes=10_000).read(docs))
    finally:
        opened.close()


@pytest.fixture
async def gateway(start, worker, docs, tmp_path):
    """A gateway that searches an index of two pages."""
    one = await start(search={"enabled": True})
    await one.until_ready()
    await asyncio.to_thread(index, one.url, docs, tmp_path)
    return one


async def test_it_answers_passages_and_how_they_came_about(gateway):
    reply = await gateway.post({"query": "drain", "recall": "fusion"}, PATH)

    assert reply.status == 200, reply.body
    first = reply.body["results"][0]
    assert first["source"] == "drain.md"
    assert (first["title"], first["place"], first["lexical_rank"]) == ("Drain", 0, 1)
    meta = reply.body["meta"]
    assert (meta["recall"], meta["rerank"], meta["candidates"]) == ("fusion", False, 2)
    assert "one model embeds and ranks here" in meta["why"]
    assert meta["times_ms"]["rerank"] is None
    assert {"embed", "recall", "total"} <= {
        part.split(";")[0] for part in reply.headers["server-timing"].split(", ")
    }


async def test_it_reranks_when_asked_and_says_what_changed(gateway, worker):
    reply = await gateway.post({"query": "drain", "rerank": "always", "recall": "dense"}, PATH)

    assert reply.body["meta"]["rerank"]
    assert reply.body["meta"]["movement"] is not None
    scores = [one["relevance_score"] for one in reply.body["results"]]
    assert scores == sorted(scores, reverse=True)
    assert "documents" in worker.jobs[-1]


async def test_an_answer_shows_no_path_of_the_host(gateway, tmp_path):
    reply = await gateway.post({"query": "drain"}, PATH)
    assert str(tmp_path) not in json.dumps(reply.body)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        pytest.param({}, "query", id="no query"),
        pytest.param({"query": " "}, "query", id="a blank query"),
        pytest.param({"query": "q", "top": 0}, "top", id="no results"),
        pytest.param({"query": "q", "candidates": 1001}, "candidates", id="too many"),
        pytest.param({"query": "q", "recall": "x"}, "recall", id="unknown first stage"),
        pytest.param({"query": "q", "rerank": True}, "rerank", id="unknown second stage"),
        pytest.param({"query": "q", "topk": 3}, "topk", id="unknown field"),
        pytest.param({"query": "q", "instruction": "@x"}, "instruction", id="unknown instruction"),
    ],
)
async def test_what_is_wrong_is_named(gateway, body, param):
    reply = await gateway.post(body, PATH)
    assert (reply.status, reply.error["param"]) == (422, param)


async def test_it_is_not_there_unless_enabled(start, worker):
    gateway = await start()
    await gateway.until_ready()
    assert (await gateway.post({"query": "q"}, PATH)).status == 404
    assert PATH not in (await gateway.get("/openapi.json")).body["paths"]


async def test_openapi_describes_it_where_it_is(gateway):
    assert PATH in (await gateway.get("/openapi.json")).body["paths"]


async def test_it_wants_a_key_like_every_other_route(start, worker, tmp_path):
    keys = tmp_path / "keys"
    keys.write_text("me:" + hashlib.sha256(b"secret").hexdigest())
    gateway = await start(api_keys_file=keys, search={"enabled": True})
    await gateway.until_ready()
    assert (await gateway.post({"query": "q"}, PATH)).status == 401


async def test_before_anything_is_indexed_it_is_404_with_the_reason(start, worker):
    gateway = await start(search={"enabled": True})
    await gateway.until_ready()
    reply = await gateway.post({"query": "q"}, PATH)
    assert (reply.status, reply.error["code"]) == (404, "not_found")
    assert "nothing is indexed" in reply.error["message"]


async def test_while_another_process_has_the_index_it_is_503_and_when_to_return(gateway, tmp_path):
    held = open_index(SearchSettings(), tmp_path, "f1", 2, create=True)
    try:
        reply = await gateway.post({"query": "q"}, PATH)
    finally:
        held.close()

    assert (reply.status, reply.error["message"]) == (503, "the index is being written")
    assert int(reply.headers["retry-after"]) >= 1
    assert (await gateway.post({"query": "q"}, PATH)).status == 200


async def test_a_model_that_cannot_embed_says_so(gateway, worker):
    worker.answer_embed = error(422, "the model x makes no embeddings: it scores pairs", "model")
    reply = await gateway.post({"query": "q"}, PATH)
    assert (reply.status, reply.error["param"]) == (422, "model")


class Elsewhere(JsonServer):
    """An OpenAI-compatible server of embeddings that wants a key."""

    def __init__(self) -> None:
        self.bodies: list[dict] = []
        super().__init__()

    def answer(self, asked: Asked) -> Said:
        self.bodies.append(asked.body)
        if asked.headers.get("Authorization") != "Bearer other":
            return Said(401, {"error": "no"})
        data = [{"index": n, "embedding": [1.0, n]} for n in range(len(asked.body["input"]))]
        return Said(200, {"data": data, "model": "outside"})


@pytest.fixture
def elsewhere():
    with Elsewhere() as one:
        yield one


async def test_with_a_server_for_embeddings_there_are_two_stages(
    start, worker, docs, tmp_path, elsewhere
):
    key = tmp_path / "key"
    key.write_text("other\n")
    search = {
        "enabled": True,
        "embeddings_url": elsewhere.url + "/v1",
        "embeddings_model": "e",
        "embeddings_key_file": str(key),
    }
    gateway = await start(search=search)
    await gateway.until_ready()
    opened = open_index(SearchSettings(), tmp_path, "outside", 2, create=True)
    models = HttpModels(elsewhere.url, key="other", model="e")
    indexer = Indexer(opened.store, opened.writer, models, Cutter(60), space="outside")
    sources = Reader(max_file_bytes=10_000).read(docs)
    await asyncio.to_thread(indexer.run, str(docs), sources)
    opened.close()

    reply = await gateway.post({"query": "drain"}, PATH)

    meta = reply.body["meta"]
    assert (meta["recall"], meta["rerank"]) == ("dense", True)
    assert (meta["recall_model"], meta["rerank_model"]) == ("outside", "fake-reranker")
    assert elsewhere.bodies[-1]["model"] == "e"
    assert all("texts" not in job for job in worker.jobs)


async def test_a_server_for_embeddings_that_is_gone_is_503_without_its_address(start, worker):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    gateway = await start(search={"enabled": True, "embeddings_url": url})
    await gateway.until_ready()
    reply = await gateway.post({"query": "drain"}, PATH)
    assert (reply.status, reply.error["message"]) == (503, "the embedding server does not answer")
