"""The embedded engine on its real model, which the first run fetches into the model cache."""

import asyncio
import time

import numpy as np
import pytest
import pytest_asyncio

from service.embedding import EmbedJob, InputType
from service.request import ScoreJob
from service.settings import EmbeddedSettings
from service.worker.engines.embedded import NOTICE, EmbeddedEngine
from tests.service.worker.engines.e5.questions import PASSAGES, QUESTIONS

pytestmark = pytest.mark.asyncio(loop_scope="module")


def job(query: str, *documents: str, canary: bool = False, limit: int | None = None) -> ScoreJob:
    return ScoreJob("test", query, documents, 30.0, max_tokens_per_doc=limit, canary=canary)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine():
    engine = EmbeddedEngine(EmbeddedSettings(threads=2))
    await engine.start(lambda _: None)
    yield engine
    await engine.close()


async def begun(engine: EmbeddedEngine) -> None:
    """Wait for a forward pass from now on."""
    before = engine.steps()
    while engine.steps() == before:  # noqa: ASYNC110 - the Protocol has no event for it
        await asyncio.sleep(0.01)


def many(word: str) -> list[str]:
    """A thousand documents that no other test has put into the cache."""
    return [f"Document {index} of the {word} list about nothing much." for index in range(1000)]


async def first(engine: EmbeddedEngine, query: str, documents: list[str]) -> int:
    logits = [score.logit for score in await engine.score(job(query, *documents))]
    return logits.index(max(logits))


@pytest.mark.parametrize(
    ("asked", "answered"),
    [("zh", "en"), ("ar", "fr"), ("ja", "vi"), ("es", "pt"), ("sw", "en")],
)
async def test_it_ranks_the_right_document_first_across_languages(engine, asked, answered):
    found = [await first(engine, query, PASSAGES[answered]) for query in QUESTIONS[asked]]
    assert found == [0, 1, 2, 3, 4]


async def test_it_ranks_the_right_document_first_in_nearly_all_language_pairs(engine):
    wrong = [
        (asked, answered, index)
        for asked, questions in QUESTIONS.items()
        for answered, passages in PASSAGES.items()
        for index, query in enumerate(questions)
        if await first(engine, query, passages) != index
    ]
    assert len(wrong) <= 5, wrong  # of 500


async def test_scores_spread_over_the_range(engine):
    relevant = await engine.score(job(QUESTIONS["en"][0], PASSAGES["en"][0]))
    irrelevant = await engine.score(job(QUESTIONS["en"][0], PASSAGES["en"][4]))
    assert relevant[0].logit > 0.5
    assert irrelevant[0].logit < -1.5


async def test_it_says_what_it_is_and_how_to_switch():
    engine = EmbeddedEngine(EmbeddedSettings(threads=1), served_name="search")
    steps = []
    info = await engine.start(steps.append)
    await engine.close()
    assert (info.kind, info.model) == ("embedded", "search")
    assert "multilingual-e5-small" in info.notice
    assert 'kind = "vllm"' in NOTICE
    assert steps


async def test_special_tokens_in_a_document_are_plain_text(engine):
    plain, marked = await engine.score(job("q", "a </s> b <s> <mask> <pad> <unk>", "a b"))
    assert plain.tokens > marked.tokens + 10  # as one token each they would be five


async def test_a_score_does_not_depend_on_the_documents_beside_it(engine):
    query, document = QUESTIONS["en"][1], PASSAGES["en"][1]
    alone = await engine.score(job(query, document, canary=True))
    crowd = [text for passages in PASSAGES.values() for text in passages]
    beside = await engine.score(job(query, *crowd, document, canary=True))
    assert beside[-1].logit == pytest.approx(alone[0].logit, abs=1e-4)


async def test_identical_documents_are_computed_once_and_score_the_same(engine):
    before = engine.steps()
    scores = await engine.score(job("tides", *["The Moon pulls the water."] * 500, canary=True))
    assert len({score.logit for score in scores}) == 1
    assert len(scores) == 500
    assert engine.steps() - before <= 2  # the query and the document


async def test_a_known_document_is_not_computed_again_except_for_a_canary(engine):
    asked = job("tides", "Water rises and falls with the Moon.")
    await engine.score(asked)
    before = engine.steps()
    await engine.score(asked)
    assert engine.steps() == before
    await engine.score(job("tides", "Water rises and falls with the Moon.", canary=True))
    assert engine.steps() > before


async def test_the_best_window_of_a_long_document_wins_and_is_named(engine):
    filler = "The committee met again and agreed to meet again. " * 200
    document = filler + PASSAGES["en"][0] + " " + filler
    long, short = await engine.score(job(QUESTIONS["en"][0], document, filler))
    assert long.logit > short.logit + 1
    first, last = long.span
    assert PASSAGES["en"][0] in document[first:last]
    assert not long.truncated
    assert long.tokens > 1500


async def test_a_document_over_the_token_limit_is_cut_and_says_so(engine):
    cut, whole = await engine.score(job("q", "word " * 300, "word " * 50, limit=100))
    assert (cut.truncated, whole.truncated) == (True, False)
    assert cut.tokens <= 104


async def test_a_query_over_the_window_is_cut_and_says_so(engine):
    [score] = await engine.score(job("word " * 2000, "word"))
    assert score.truncated


@pytest.mark.parametrize(
    "text",
    [
        " ",
        "\n\t",
        "\x00\x01\x1f",
        "\u202eabc\u202c",
        "👩‍👩‍👧‍👦" * 50,
        "a" * 20_000,
        "\u0301" * 3000,
    ],
    ids=["space", "newlines", "control", "right-to-left", "emoji", "one-long-word", "combining"],
)
async def test_odd_texts_are_scored_like_others(engine, text):
    for one in await engine.score(job(text, text, "a normal text")):
        assert one.error is None
        assert -50 < one.logit < 50


async def test_a_job_of_one_document_does_not_wait_for_a_job_of_a_thousand(engine):
    crowd = many("first")
    big = asyncio.create_task(engine.score(job("lists", *crowd)))
    await begun(engine)
    await engine.score(job("tyre", "A short first one."))
    assert not big.done()
    big.cancel()


async def test_a_cancelled_job_stops_its_forward_passes(engine):
    crowd = many("second")
    task = asyncio.create_task(engine.score(job("lists", *crowd)))
    await begun(engine)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    before = engine.steps()
    await engine.score(job("tyre", "A short one."))  # waits for its turn behind what still runs
    assert engine.steps() - before <= 6


async def test_the_event_loop_stays_responsive_under_load(engine):
    crowd = [f"Document {index} of a long list about nothing much. " * 9 for index in range(60)]
    task = asyncio.create_task(engine.score(job("lists", *crowd)))
    longest = 0.0
    while not task.done():
        asked = time.monotonic()
        await asyncio.sleep(0.01)
        longest = max(longest, time.monotonic() - asked)
    assert longest < 0.5  # two cores, all of them scoring, and the other tests of this machine
    assert len(await task) == 60


async def test_closing_is_safe_at_any_time_and_twice():
    engine = EmbeddedEngine(EmbeddedSettings(threads=1))
    await engine.close()
    await engine.close()


async def test_embeddings_rank_as_the_scores_do_and_have_length_one(engine):
    asked = await engine.embed(EmbedJob("q", (QUESTIONS["zh"][0],), 30.0, InputType.QUERY))
    found = await engine.embed(EmbedJob("d", tuple(PASSAGES["en"]), 30.0))

    query = np.array(asked.vectors[0].values())
    cosines = [float(query @ np.array(one.values())) for one in found.vectors]
    scores = await engine.score(job(QUESTIONS["zh"][0], *PASSAGES["en"]))
    order = sorted(range(5), key=lambda place: -cosines[place])
    assert order == sorted(range(5), key=lambda place: -scores[place].logit)
    assert [one.dimension for one in found.vectors] == [384] * 5
    assert np.linalg.norm(query) == pytest.approx(1.0, abs=1e-4)
    assert asked.space == found.space


async def test_a_query_and_a_document_of_one_text_have_two_vectors(engine):
    query = await engine.embed(EmbedJob("q", ("drain a replica",), 30.0, InputType.QUERY))
    document = await engine.embed(EmbedJob("d", ("drain a replica",), 30.0))
    assert query.vectors[0] != document.vectors[0]


async def test_a_long_text_is_embedded_by_its_beginning_and_says_so(engine):
    long = "The replica is drained before the host is upgraded. " * 200
    found = await engine.embed(EmbedJob("d", ("short", long), 30.0))
    assert [one.truncated for one in found.vectors] == [False, True]
    assert found.vectors[1].tokens == 512
