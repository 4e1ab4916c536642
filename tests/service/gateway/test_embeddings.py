"""`POST /v1/embeddings`: OpenAI's format over one gateway and its workers."""

from __future__ import annotations

import base64
import hashlib
import struct

import pytest
from aiohttp import web

from tests.service.gateway.fake_worker import error, vector_of

PATH = "/v1/embeddings"


async def test_the_answer_has_every_field_of_openais_and_the_fingerprint(gateway):
    reply = await gateway.post({"model": "fake-reranker", "input": ["a", "bb"]}, PATH)

    assert reply.status == 200
    assert set(reply.body) == {"object", "data", "model", "usage", "fingerprint"}
    assert [one["index"] for one in reply.body["data"]] == [0, 1]
    assert reply.body["data"][1]["object"] == "embedding"
    assert reply.body["data"][1]["embedding"] == vector_of("bb").values()
    assert reply.body["usage"] == {"prompt_tokens": 3, "total_tokens": 3}
    assert reply.body["fingerprint"] == "f1"


async def test_one_text_is_a_list_of_one(gateway):
    reply = await gateway.post({"input": "a"}, PATH)
    assert len(reply.body["data"]) == 1


async def test_base64_is_little_endian_float32(gateway):
    reply = await gateway.post({"input": "abc", "encoding_format": "base64"}, PATH)

    packed = base64.b64decode(reply.body["data"][0]["embedding"])
    assert list(struct.unpack("<2f", packed)) == vector_of("abc").values()


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        pytest.param(None, "document", id="left out"),
        pytest.param("query", "query", id="query"),
        pytest.param("document", "document", id="document"),
        pytest.param("passage", "document", id="another word for document"),
    ],
)
async def test_the_input_type_reaches_the_worker(gateway, worker, asked, sent):
    body = {"input": "a"} | ({"input_type": asked} if asked else {})
    await gateway.post(body, PATH)
    assert worker.jobs[0]["input_type"] == sent


@pytest.mark.parametrize(
    ("body", "param", "words"),
    [
        pytest.param({}, "input", "missing", id="nothing"),
        pytest.param({"input": []}, "input", "empty", id="no text"),
        pytest.param({"input": ["a", " "]}, "input[1]", "empty", id="a blank text"),
        pytest.param({"input": ""}, "input", "empty", id="an empty string"),
        pytest.param({"input": ["a", None]}, "input[1]", "string", id="null"),
        pytest.param({"input": [1, 2]}, "input[0]", "token ids", id="token ids"),
        pytest.param({"input": [[1], [2]]}, "input[0]", "token ids", id="lists of token ids"),
        pytest.param({"input": "a", "dimensions": 1}, "dimensions", "must be 2", id="shorter"),
        pytest.param({"input": "a", "dimensions": 0}, "dimensions", "at least 1", id="none"),
        pytest.param({"input": "a", "encoding_format": "int8"}, "encoding_format", "", id="int8"),
        pytest.param({"input": "a", "input_type": "x"}, "input_type", "query", id="input type"),
    ],
)
async def test_what_is_wrong_is_named(gateway, body, param, words):
    reply = await gateway.post(body, PATH)
    assert (reply.status, reply.error["param"]) == (422, param)
    assert words in reply.error["message"]


async def test_the_models_own_length_may_be_asked_for(gateway):
    assert (await gateway.post({"input": "a", "dimensions": 2}, PATH)).status == 200


async def test_more_texts_than_allowed_are_refused(start, worker):
    gateway = await start(max_documents=2)
    await gateway.until_ready()
    reply = await gateway.post({"input": ["a"] * 3}, PATH)
    assert (reply.status, reply.error["param"]) == (422, "input")


async def test_a_cut_text_and_another_model_are_told(gateway):
    reply = await gateway.post({"input": ["a", "b…"], "model": "other"}, PATH)

    warnings = reply.body["meta"]["warnings"]
    assert warnings[0] == "input[1] did not fit whole and was truncated"
    assert "'other' is not served here" in warnings[1]
    assert reply.headers["x-rankguard-warnings"] == "2"


async def test_a_model_that_cannot_embed_says_so(gateway, worker):
    worker.answer_embed = error(422, "the model x makes no embeddings: it scores pairs", "model")
    reply = await gateway.post({"input": "a"}, PATH)
    assert (reply.status, reply.error["param"]) == (422, "model")
    assert "makes no embeddings" in reply.error["message"]


async def test_a_refused_text_is_named_by_its_place_in_the_request(start, worker):
    async def refuse(worker, job):
        if "bad" in job["texts"]:
            place = job["texts"].index("bad")
            return await error(422, f"texts[{place}] is bad", f"texts[{place}]")(worker, job)
        return web.json_response(
            {"vectors": [vector_of(t).to_json() for t in job["texts"]], "space": "s", "score_s": 0}
        )

    worker.answer_embed = refuse
    gateway = await start(chunk_tokens=40)
    await gateway.until_ready()
    reply = await gateway.post({"input": ["good"] * 7 + ["bad"]}, PATH)
    assert (reply.status, reply.error["param"]) == (422, "input[7]")
    assert reply.error["message"] == "input[7] is bad"


async def test_many_texts_are_spread_over_the_replicas_and_come_back_in_order(
    start, worker, second
):
    gateway = await start(chunk_tokens=100)
    await gateway.until_ready(2)
    texts = ["x" * (1 + n % 50) for n in range(200)]

    reply = await gateway.post({"input": texts}, PATH)

    found = [one["embedding"] for one in reply.body["data"]]
    assert found == [vector_of(text).values() for text in texts]
    assert worker.jobs
    assert second.jobs


async def test_texts_of_a_replica_that_fails_go_to_another_one(start, worker, second):
    worker.answer_embed = error(500, "no")
    gateway = await start()
    await gateway.until_ready(2)
    for number in range(4):
        assert (await gateway.post({"input": f"text {number}"}, PATH)).status == 200


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param({"packed": "AAAA", "tokens": 1}, id="no float32"),
        pytest.param({"packed": "AADAfw==", "tokens": 1}, id="NaN"),
        pytest.param({"tokens": 1}, id="nothing"),
    ],
)
async def test_an_answer_that_is_none_is_given_to_nobody(start, worker, broken):
    async def answer(worker, job):
        return web.json_response({"vectors": [broken], "space": "s", "score_s": 0})

    worker.answer_embed = answer
    gateway = await start(request_timeout_s=5)
    await gateway.until_ready()
    reply = await gateway.post({"input": "a"}, PATH)
    assert reply.status == 500


async def test_it_wants_a_key_and_takes_its_tokens(start, worker, tmp_path):
    keys = tmp_path / "keys"
    keys.write_text("me:" + hashlib.sha256(b"secret").hexdigest())
    gateway = await start(api_keys_file=keys, key_tokens_per_minute=100)
    await gateway.until_ready()
    mine = {"headers": {"authorization": "Bearer secret"}}

    assert (await gateway.post({"input": "a"}, PATH)).status == 401
    reply = await gateway.post({"input": "a" * 300}, PATH, **mine)
    assert reply.status == 200
    assert int(reply.headers["x-ratelimit-remaining"]) < 20
    assert (await gateway.post({"input": "a" * 300}, PATH, **mine)).status == 429


async def test_it_is_counted_and_does_not_touch_the_latency_objective(gateway):
    await gateway.post({"input": "a"}, PATH)
    assert gateway.metric("rankguard_requests_total", route=PATH, status="200") == 1
    name = "rankguard_request_duration_seconds_count"
    assert gateway.registry.get_sample_value(name, {"route": PATH}) is None


async def test_openapi_describes_it(gateway):
    api = (await gateway.get("/openapi.json")).body
    assert "EmbeddingsBody" in api["components"]["schemas"]
    assert "200" in api["paths"][PATH]["post"]["responses"]
