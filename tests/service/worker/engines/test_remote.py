from __future__ import annotations

import math

import pytest

from service.errors import EngineFailed, InvalidValue
from service.request import Score, ScoreJob
from service.settings import RemoteSettings
from service.worker.engine import EngineStartError
from service.worker.engines.remote import RemoteEngine
from service.worker.engines.remote_dialect import BadAnswer, Cohere, Tei, Vllm, logit, same_logits
from tests.contract.rerank_server import rerank_server


async def start(server, dialect="vllm", **settings):
    engine = RemoteEngine(
        RemoteSettings(url=server.url, dialect=dialect, **settings), model="asked-for"
    )
    return engine, await engine.start(lambda step: None)


def job(*documents, **more):
    return ScoreJob("t", "red apple", documents, 5.0, **more)


@pytest.mark.parametrize("dialect", ["vllm", "tei", "cohere"])
async def test_every_dialect_ends_in_the_same_logits(dialect):
    async with rerank_server() as server:
        engine, _ = await start(server, dialect)

        scores = await engine.score(job("a sky", "red apple", "red"))
        await engine.close()

    assert [score.logit for score in scores] == pytest.approx([-4.0, 4.0, 0.0], abs=1e-6)


async def test_a_server_that_sends_no_logits_is_found_out_at_start():
    async with rerank_server() as server:
        server.behaviour.raw_known = False
        engine, _ = await start(server)

        scores = await engine.score(job("a sky", "red apple"))
        await engine.close()

    assert "use_activation" not in server.behaviour.bodies[-1]
    assert [score.logit for score in scores] == pytest.approx([-4.0, 4.0], abs=1e-6)


@pytest.mark.parametrize(
    ("dialect", "model", "max_tokens"),
    [("vllm", "far-model", 4096), ("tei", "far-model", 512), ("cohere", "asked-for", 8192)],
)
async def test_the_server_says_what_it_is(dialect, model, max_tokens):
    async with rerank_server() as server:
        engine, info = await start(server, dialect)
        await engine.close()

    assert (info.kind, info.model, info.max_tokens) == ("remote", model, max_tokens)


async def test_one_refused_document_does_not_fail_the_others():
    async with rerank_server() as server:
        engine, _ = await start(server)
        server.behaviour.refused = "poison"
        documents = [f"red {n}" for n in range(9)]
        documents[4] = "poison"

        scores = await engine.score(job(*documents))
        with pytest.raises(InvalidValue) as refused:
            await engine.score(job("poison"))
        await engine.close()

    assert [score.error is None for score in scores] == [n != 4 for n in range(9)]
    assert "longer than the model takes" in scores[4].error
    assert refused.value.param == "documents[0]"


async def test_what_the_server_does_not_take_at_all_is_not_tried_document_by_document():
    async with rerank_server() as server:
        engine, _ = await start(server)
        server.behaviour.bodies.clear()
        server.behaviour.refused = "red"

        with pytest.raises(InvalidValue):
            await engine.score(job(*[f"red {n}" for n in range(200)]))
        await engine.close()

    assert len(server.behaviour.bodies) < 40


async def test_instruction_and_limit_are_passed_on():
    async with rerank_server() as server:
        engine, _ = await start(server)

        await engine.score(job("red", instruction="find fruit", max_tokens_per_doc=99))
        await engine.close()

    body = server.behaviour.bodies[-1]
    assert (body["instruction"], body["max_tokens_per_doc"]) == ("find fruit", 99)


@pytest.mark.parametrize(
    ("status", "permanent"), [(401, True), (404, True), (503, False), (500, False)]
)
async def test_a_server_that_does_not_serve_fails_the_start(status, permanent):
    async with rerank_server() as server:
        server.behaviour.status = status

        with pytest.raises(EngineStartError, match=str(status)) as failed:
            await start(server)

    assert failed.value.permanent is permanent


async def test_nobody_there_is_worth_another_try():
    engine = RemoteEngine(RemoteSettings(url="http://127.0.0.1:1"))

    with pytest.raises(EngineStartError) as failed:
        await engine.start(lambda step: None)
    await engine.close()

    assert not failed.value.permanent


async def test_the_key_is_sent_and_never_told(tmp_path):
    key = tmp_path / "key"
    key.write_text("s3cret\n")
    async with rerank_server() as server:
        server.behaviour.key = "s3cret"
        engine, _ = await start(server, api_key_file=key)
        server.behaviour.key = "another"

        with pytest.raises(EngineFailed) as failed:
            await engine.score(job("red"))
        await engine.close()

    assert "s3cret" not in str(failed.value)


async def test_a_key_file_that_is_not_there_is_named(tmp_path):
    engine = RemoteEngine(RemoteSettings(url="http://127.0.0.1:1", api_key_file=tmp_path / "no"))

    with pytest.raises(EngineStartError, match="api_key_file") as failed:
        await engine.start(lambda step: None)

    assert failed.value.permanent


async def test_a_slow_server_fails_the_job_in_time():
    async with rerank_server() as server:
        engine, _ = await start(server, timeout_s=0.1)
        server.behaviour.pause_s = 5.0

        with pytest.raises(EngineFailed, match="within"):
            await engine.score(job("red"))
        await engine.close()


@pytest.mark.parametrize(
    ("dialect", "answer"),
    [
        pytest.param(Vllm(), {"data": []}, id="no results"),
        pytest.param(Vllm(), [], id="a list"),
        pytest.param(Tei(), {"results": []}, id="no list"),
        pytest.param(Cohere(), {"results": [{"relevance_score": 1}]}, id="no index"),
        pytest.param(
            Cohere(), {"results": [{"index": 0, "relevance_score": 1}]}, id="one is missing"
        ),
        pytest.param(
            Tei(), [{"index": 0, "score": 1}, {"index": 2, "score": 1}], id="index out of range"
        ),
    ],
)
def test_answers_of_another_shape_are_told(dialect, answer):
    with pytest.raises(BadAnswer):
        dialect.scores(answer, 2)


@pytest.mark.parametrize("value", [math.nan, math.inf, None, "0.5", True])
def test_what_is_no_score_is_that_documents_error(value):
    good, bad = Tei().scores([{"index": 1, "score": value}, {"index": 0, "score": 0.5}], 2)

    assert good == Score(0.5, 0)
    assert bad.error


@pytest.mark.parametrize(
    ("probability", "expected"), [(0.5, 0.0), (0.0, -20.7), (1.0, 20.7), (0.731, 1.0)]
)
def test_probabilities_become_finite_logits(probability, expected):
    assert logit(probability) == pytest.approx(expected, abs=0.03)


@pytest.mark.parametrize(
    ("inverted", "sent", "same"),
    [
        pytest.param([2.0, -3.0], [2.0, -3.0], True, id="logits"),
        pytest.param([20.7, -20.7], [31.0, -40.0], True, id="saturated probabilities"),
        pytest.param([2.0, -3.0], [0.88, 0.05], False, id="probabilities again"),
        pytest.param([2.0], [], False, id="refused"),
    ],
)
def test_logits_are_told_from_probabilities(inverted, sent, same):
    scores = [[Score(value, 0) for value in values] for values in (inverted, sent)]

    assert same_logits(*scores) is same
