"""Replicas that die, hang, refuse, lie or come late: what a client sees of it."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from aiohttp import web

from service.gateway.app import parts_of
from service.gateway.dispatch import MAX_LOST
from tests.service.gateway import fake_worker
from tests.service.gateway.fake_worker import FakeWorker

ASK = {"query": "q", "documents": ["a", "bb", "ccc"]}


async def settle() -> None:
    await asyncio.sleep(0.05)


async def until(condition) -> None:
    for _ in range(3000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come to that")


@pytest.fixture
async def pair(start, worker, second):
    """A gateway with two ready replicas; `replica-0` is asked first."""
    gateway = await start(cache_bytes=0)
    await gateway.until_ready(2)
    return gateway


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        pytest.param(fake_worker.drop, "lost", id="it dies"),
        pytest.param(fake_worker.error(500, "engine failed"), "error", id="it fails"),
        pytest.param(fake_worker.error(503, "draining"), "busy", id="it drains"),
        pytest.param(fake_worker.error(504, "too late"), "timeout", id="it gives up"),
        pytest.param(fake_worker.error(404, "who?"), "error", id="it is something else"),
    ],
)
async def test_a_chunk_that_fails_on_one_replica_is_scored_by_the_other(
    pair, worker, second, answer, failure
):
    worker.answer = answer
    reply = await pair.post(ASK)
    assert reply.status == 200
    assert second.documents == ASK["documents"]
    assert 'replicas;desc="replica-1"' in reply.headers["server-timing"]
    assert pair.metric("rankguard_chunk_retries_total", failure=failure) == 1


async def test_a_replica_that_is_not_there_costs_a_retry_and_is_left_alone(pair, worker, second):
    await worker.stop()
    for _ in range(3):
        assert (await pair.post(ASK)).status == 200
    assert pair.metric("rankguard_chunk_retries_total", failure="unreachable") == 1
    assert pair.metric("rankguard_ejections_total") == 1


def three_scores(**fields: str) -> bytes:
    """An answer to `ASK`, with these fields of each score as they are."""
    written = {"logit": "1.0", "tokens": "1", **fields}
    score = ", ".join(f'"{name}": {value}' for name, value in written.items())
    scores = ", ".join(["{" + score + "}"] * 3)
    return b'{"score_s": 0, "scores": [' + scores.encode() + b"]}"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"scores", id="no JSON"),
        pytest.param(b'{"scores": [], "score_s": 0}', id="too few"),
        pytest.param(b'{"scores": [1, 2, 3], "score_s": 0}', id="no scores"),
        pytest.param(b'{"score_s": 0}', id="none"),
        pytest.param(b'{"scores": {}, "score_s": 0}', id="another shape"),
        pytest.param(three_scores(tokens="1e999"), id="tokens without end"),
        pytest.param(three_scores(tokens="-1"), id="tokens below zero"),
        pytest.param(three_scores(logit="9" * 400), id="a logit beyond all numbers"),
        pytest.param(three_scores(span="[]"), id="a span that is empty"),
    ],
)
async def test_nonsense_is_a_failure_of_the_replica(pair, worker, second, body):
    async def nonsense(_worker, _job):
        return web.Response(body=body)

    worker.answer = nonsense
    assert (await pair.post(ASK)).status == 200
    assert second.documents == ASK["documents"]


async def test_readiness_notices_a_dead_replica_without_traffic_and_without_a_watchdog(
    gateway, worker, tmp_path
):
    assert (await gateway.get("/readyz")).status == 200
    await worker.stop()
    await until_reason(gateway, "replica-0 does not accept connections")
    back = await FakeWorker(tmp_path).start(started_ticks=7)
    while (await gateway.get("/readyz")).status != 200:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    assert (await gateway.post(ASK)).status == 200
    await back.stop()


async def test_a_request_waits_for_the_first_replica(start, tmp_path):
    gateway = await start()
    asked = asyncio.create_task(gateway.post(ASK))
    await settle()
    worker = await FakeWorker(tmp_path).start()
    assert (await asyncio.wait_for(asked, 2.0)).status == 200
    await worker.stop()


async def test_a_request_in_flight_on_the_only_replica_waits_for_its_next_generation(
    start, tmp_path
):
    first = await FakeWorker(tmp_path).start()
    first.answer = fake_worker.hang
    gateway = await start()
    await gateway.until_ready()
    asked = asyncio.create_task(gateway.post(ASK))
    await until(lambda: first.jobs)
    await first.stop()
    next_one = await FakeWorker(tmp_path, generation=2).start()
    assert (await asyncio.wait_for(asked, 2.0)).status == 200
    await next_one.stop()


async def test_a_connection_that_outlives_its_worker_does_not_hold_the_request(start, tmp_path):
    first = await FakeWorker(tmp_path).start()
    first.answer = fake_worker.hang
    gateway = await start()
    await gateway.until_ready()
    asked = asyncio.create_task(gateway.post(ASK))
    await until(lambda: first.jobs)
    # the port of the first stays open, as a stopped process keeps it
    next_one = await FakeWorker(tmp_path, generation=2).start()
    assert (await asyncio.wait_for(asked, 2.0)).status == 200
    assert len(next_one.jobs) == 1
    await first.stop()
    await next_one.stop()


async def test_a_late_chunk_is_sent_to_the_other_replica_and_taken_back(pair, worker, second):
    for _ in range(20):
        await pair.post(ASK)
    worker.answer = fake_worker.hang
    reply = await pair.post(ASK)
    assert reply.status == 200
    assert pair.metric("rankguard_chunk_hedges_total") == 1
    await until(lambda: worker.cancelled == 1)


async def test_a_late_chunk_is_sent_to_a_replica_that_comes_later(start, worker, tmp_path):
    gateway = await start(cache_bytes=0)
    await gateway.until_ready()
    for _ in range(20):
        await gateway.post(ASK)
    worker.answer = fake_worker.hang
    asked = asyncio.create_task(gateway.post(ASK))
    await asyncio.sleep(0.6)
    later = await FakeWorker(tmp_path, "replica-1").start()
    assert (await asyncio.wait_for(asked, 3.0)).status == 200
    assert len(later.jobs) == 1
    await later.stop()


async def test_a_stalled_replica_is_asked_last(pair, worker, second):
    for _ in range(20):
        await pair.post(ASK)
    worker.answer = fake_worker.hang
    await pair.post(ASK)
    asked = len(worker.jobs)
    for _ in range(5):
        await pair.post(ASK)
    assert len(worker.jobs) == asked


async def test_hedging_can_be_turned_off(start, worker, second):
    gateway = await start(hedge=False, request_timeout_s=1.0, cache_bytes=0)
    await gateway.until_ready(2)
    for _ in range(20):
        await gateway.post(ASK)
    worker.answer = fake_worker.hang
    assert (await gateway.post(ASK)).status == 504
    assert second.jobs == []


async def test_the_engines_refusal_is_the_callers_error_and_not_tried_again(start, worker, second):
    gateway = await start(chunk_tokens=40)
    await gateway.until_ready(2)

    async def refuse_c(one, job):
        if "ccc" in job["documents"]:
            at = job["documents"].index("ccc")
            param = f"documents[{at}]"
            return await fake_worker.error(422, f"{param} is too long", param)(one, job)
        return await fake_worker.scores(one, job)

    worker.answer = second.answer = refuse_c
    reply = await gateway.post({"query": "q", "documents": ["a", "b", "c", "d", "ccc"]})
    assert (reply.status, reply.error["param"]) == (422, "documents[4]")
    assert reply.error["message"] == "documents[4] is too long"
    assert (worker.documents + second.documents).count("ccc") == 1


async def test_a_request_that_kills_every_worker_is_given_up(gateway, worker):
    worker.answer = fake_worker.drop
    reply = await gateway.post(ASK)
    assert (reply.status, reply.error["code"]) == (500, "engine_failed")
    assert len(worker.jobs) == MAX_LOST


async def test_a_replica_that_fails_and_recovers_is_used_again(gateway, worker):
    failures = iter([fake_worker.error(500, "once"), fake_worker.error(500, "twice")])

    async def fail_twice(one, job):
        return await next(failures, fake_worker.scores)(one, job)

    worker.answer = fail_twice
    assert (await gateway.post(ASK)).status == 200


async def test_without_a_replica_it_says_so_at_the_deadline(start):
    gateway = await start(request_timeout_s=0.2)
    reply = await gateway.post(ASK)
    assert (reply.status, reply.error["code"]) == (503, "no_capacity")
    assert "no replica has started" in reply.error["message"]
    assert int(reply.headers["retry-after"]) >= 1


async def test_with_a_slow_replica_the_deadline_is_kept(start, worker):
    worker.answer = fake_worker.hang
    gateway = await start(request_timeout_s=0.2)
    await gateway.until_ready()
    reply = await gateway.post(ASK)
    assert (reply.status, reply.error["code"]) == (504, "deadline_exceeded")
    assert worker.jobs[0]["timeout_s"] <= 0.2
    await until(lambda: worker.cancelled == 1)


async def test_a_client_that_leaves_ends_the_work(gateway, worker):
    worker.answer = fake_worker.hang
    with pytest.raises(asyncio.TimeoutError):
        await gateway.post(ASK, timeout=aiohttp.ClientTimeout(total=0.1))
    await until(lambda: worker.cancelled == 1)
    await until(lambda: gateway.metric("rankguard_requests_in_flight") == 0)
    assert gateway.metric("rankguard_waiting_tokens") == 0
    assert gateway.metric("rankguard_requests_total", route="/v1/rerank", status="499") == 1


async def test_one_chunk_that_fails_for_good_ends_the_others(start, worker, second):
    gateway = await start(chunk_tokens=100)
    await gateway.until_ready(2)
    worker.answer = fake_worker.hang
    second.answer = fake_worker.error(422, "no")
    documents = ["x" * 300, "y" * 300]
    assert (await gateway.post({"query": "q", "documents": documents})).status == 422
    await until(lambda: worker.cancelled == 1)


async def test_a_large_request_is_spread_over_the_replicas(pair, worker, second):
    documents = [f"document {number} " * 20 for number in range(100)]
    reply = await pair.post({"query": "q", "documents": documents})
    assert reply.status == 200
    assert sorted(worker.documents + second.documents) == sorted(documents)
    assert 0.3 < len(worker.documents) / len(documents) < 0.7
    results = reply.body["results"]
    assert [one["document"]["text"] for one in results] == [
        documents[one["index"]] for one in results
    ]


@pytest.mark.parametrize(
    ("reason", "asked_again"),
    [
        pytest.param("canary_order", True, id="it scores wrong"),
        pytest.param("operator", False, id="it is drained"),
    ],
)
async def test_scores_of_a_replica_that_scores_wrong_are_forgotten(
    start, tmp_path, reason, asked_again
):
    worker = await FakeWorker(tmp_path).start(watched=True)
    worker.judge(routable=True)
    gateway = await start()
    await gateway.until_ready()
    assert (await gateway.post(ASK)).status == 200
    before = len(worker.jobs)

    worker.judge(routable=False, reason=reason)
    await until_reason(gateway, f"replica-0 {reason}")
    worker.judge(routable=True)
    await gateway.until_ready()
    assert (await gateway.post(ASK)).status == 200

    assert (len(worker.jobs) > before) is asked_again
    await worker.stop()


async def test_a_watched_worker_gets_traffic_only_with_a_verdict_on_its_generation(start, tmp_path):
    worker = await FakeWorker(tmp_path, generation=2).start(watched=True)
    gateway = await start(request_timeout_s=5)
    await until_reason(gateway, "replica-0 awaiting_canary")
    worker.judge(routable=True)
    await gateway.until_ready()
    worker.judge(routable=False, reason="scores_wrong")
    await until_reason(gateway, "replica-0 scores_wrong")
    worker.publish(generation=3)
    await until_reason(gateway, "replica-0 awaiting_canary")
    await worker.stop()


async def until_reason(gateway, reason: str) -> None:
    for _ in range(100):
        reply = await gateway.get("/readyz")
        if reply.body["reason"] == reason:
            assert reply.status == 503
            return
        await asyncio.sleep(0.02)
    raise AssertionError(reply.body)


async def test_scores_of_two_models_are_never_mixed(start, worker, tmp_path):
    other = await FakeWorker(tmp_path, "replica-1").start(fingerprint="f2")
    gateway = await start(chunk_tokens=64)
    await gateway.until_ready(2)
    for number in range(5):
        documents = [f"{number} {place}" for place in range(20)]
        assert (await gateway.post({"query": "q", "documents": documents})).status == 200
    assert not worker.jobs or not other.jobs
    await other.stop()


def routable(gateway) -> list[str]:
    return [one.id for one in parts_of(gateway.app).replicas.routable()]


async def test_the_last_models_scores_are_not_given_out_beside_the_next_ones(
    start, worker, tmp_path
):
    gateway = await start()
    await gateway.until_ready()
    await gateway.post({"query": "q", "documents": ["old"]})
    other = await FakeWorker(tmp_path, "replica-1").start(fingerprint="f2")
    worker.forget()
    await until(lambda: routable(gateway) == ["replica-1"])
    await gateway.post({"query": "q", "documents": ["old", "new"]})
    assert sorted(other.documents) == ["new", "old"]
    await other.stop()


async def test_a_request_under_way_while_the_model_changes_is_scored_anew(start, tmp_path):
    first, last = "a" * 200, "b" * 200

    async def hang_on_last(one, job):
        answer = fake_worker.hang if last in job["documents"] else fake_worker.scores
        return await answer(one, job)

    old = await FakeWorker(tmp_path).start()
    old.answer = hang_on_last
    gateway = await start(chunk_tokens=80)
    await gateway.until_ready()
    asked = asyncio.create_task(gateway.post({"query": "q", "documents": [first, last]}))
    await until(lambda: len(old.jobs) == 2)
    new = await FakeWorker(tmp_path, generation=2).start(fingerprint="f2")
    assert (await asyncio.wait_for(asked, 2.0)).status == 200
    assert set(new.documents) == {first, last}
    for one in (old, new):
        await one.stop()


async def test_it_goes_on_serving_without_the_state_directory(gateway, worker, tmp_path):
    moved = tmp_path.with_name("moved")
    tmp_path.rename(moved)
    await until(lambda: not parts_of(gateway.app).replicas.readable)
    assert (await gateway.post(ASK)).status == 200
    moved.rename(tmp_path)
    await until(lambda: parts_of(gateway.app).replicas.readable)


class TestEqualPairs:
    async def test_a_document_twice_is_scored_once(self, gateway, worker):
        reply = await gateway.post({"query": "q", "documents": ["a", "bb", "a", "a"]})
        assert sorted(worker.documents) == ["a", "bb"]
        assert [one["index"] for one in reply.body["results"]] == [1, 0, 2, 3]

    async def test_a_request_seen_before_is_answered_without_a_replica(self, gateway, worker):
        first = await gateway.post(ASK)
        again = await gateway.post({**ASK, "documents": ["ccc", "a", "new"]})
        assert worker.documents == ["a", "bb", "ccc", "new"]
        scores = {one["document"]["text"]: one["relevance_score"] for one in first.body["results"]}
        for one in again.body["results"]:
            text = one["document"]["text"]
            assert text == "new" or one["relevance_score"] == scores[text]
        assert gateway.metric("rankguard_cache_hits_total") == 2

    async def test_requests_at_the_same_time_share_one_computation(self, gateway, worker):
        go = asyncio.Event()

        async def when_told(one, job):
            await go.wait()
            return await fake_worker.scores(one, job)

        worker.answer = when_told
        asked = [asyncio.create_task(gateway.post(ASK)) for _ in range(5)]
        await until(lambda: gateway.metric("rankguard_cache_shared_total") == 12)
        go.set()
        replies = await asyncio.gather(*asked)
        assert [one.status for one in replies] == [200] * 5
        assert len(worker.jobs) == 1
        assert len({str(one.body["results"]) for one in replies}) == 1

    async def test_who_waits_for_anothers_pairs_scores_them_when_the_other_leaves(
        self, gateway, worker
    ):
        worker.answer = fake_worker.hang
        leaving = asyncio.create_task(gateway.post(ASK))
        await until(lambda: worker.jobs)
        staying = asyncio.create_task(gateway.post(ASK))
        await until(lambda: gateway.metric("rankguard_cache_shared_total") == 3)
        worker.answer = fake_worker.scores
        leaving.cancel()
        assert (await asyncio.wait_for(staying, 2.0)).status == 200

    async def test_turned_off_everything_is_scored(self, start, worker):
        gateway = await start(cache_bytes=0)
        await gateway.until_ready()
        for _ in range(2):
            await gateway.post(ASK)
        assert len(worker.jobs) == 2

    async def test_requests_that_waited_for_the_first_replica_share_too(self, start, tmp_path):
        gateway = await start()
        asked = [asyncio.create_task(gateway.post(ASK)) for _ in range(5)]
        await until(lambda: gateway.metric("rankguard_cache_shared_total") == 12)
        worker = await FakeWorker(tmp_path).start()
        assert [one.status for one in await asyncio.gather(*asked)] == [200] * 5
        assert len(worker.jobs) == 1
        await worker.stop()


async def test_a_document_without_a_score_is_last_and_the_others_are_fine(gateway, worker):
    async def nan_for_b(one, job):
        return web.Response(
            text='{"scores": [{"logit": 1.0, "tokens": 3}, {"logit": NaN, "tokens": 3},'
            ' {"logit": 0, "tokens": 3, "error": "infinite"}], "score_s": 0.1}'
        )

    worker.answer = nan_for_b
    reply = await gateway.post(ASK)
    assert [(one["index"], one["relevance_score"] > 0) for one in reply.body["results"]] == [
        (0, True),
        (1, False),
        (2, False),
    ]
    assert reply.body["results"][1]["error"] == "the score is not finite"
    assert "documents[2] has no score: infinite" in reply.body["meta"]["warnings"]
    assert gateway.metric("rankguard_unscored_documents_total") == 2


async def test_what_waits_beyond_the_limit_is_told_when_to_come_back(start, worker):
    worker.answer = fake_worker.hang
    gateway = await start(max_waiting_tokens=200)
    await gateway.until_ready()
    first = asyncio.create_task(gateway.post({"query": "q", "documents": ["x" * 600]}))
    await until(lambda: worker.jobs)
    reply = await gateway.post({"query": "q", "documents": ["y" * 600]})
    assert (reply.status, reply.error["code"]) == (429, "over_limit")
    assert int(reply.headers["retry-after"]) >= 1
    assert reply.headers["x-ratelimit-remaining"] == "32"
    first.cancel()


HUNDRED = [f"{number}".ljust(200, "x") for number in range(100)]


@pytest.mark.parametrize(
    ("path", "large"),
    [
        pytest.param("/v1/rerank", {"query": "q", "documents": HUNDRED}, id="many documents"),
        pytest.param(
            "/v1/score",
            {"queries": [f"q{number}" for number in range(100)], "documents": HUNDRED},
            id="many queries",
        ),
    ],
)
async def test_a_small_request_does_not_wait_for_all_of_a_large_one(start, worker, path, large):
    async def slowly(one, job):
        await asyncio.sleep(0.01)
        return await fake_worker.scores(one, job)

    worker.answer = slowly
    gateway = await start(chunk_tokens=80, replica_tokens=160)
    await gateway.until_ready()
    running = asyncio.create_task(gateway.post(large, path))
    await until(lambda: len(worker.jobs) > 5)
    assert (await gateway.post(ASK)).status == 200
    assert len(worker.jobs) < 50
    assert (await running).status == 200


class Crashing:
    """Workers that end when they are given a text, and are replaced by their next generation."""

    def __init__(self, workers: list[FakeWorker], poison: str) -> None:
        self.workers, self.poison, self.ends = workers, poison, 0
        for worker in workers:
            worker.answer = self.answer

    async def answer(self, worker, job):
        if self.poison not in job["documents"]:
            return await fake_worker.scores(worker, job)
        self.ends += 1
        worker.publish(generation=worker.manifest.generation + 1, started_ticks=self.ends + 100)
        return await fake_worker.drop(worker, job)


async def test_a_request_that_ended_an_engine_which_it_had_for_itself_is_refused_by_name(
    pair, worker, second
):
    crashing = Crashing([worker, second], "cursed")
    first = await pair.post({"query": "q", "documents": ["fine", "cursed"]})
    again = await pair.post({"query": "q", "documents": ["new", "other", "cursed"]})

    assert (first.status, first.error["code"]) == (422, "poison_request")
    assert first.error["param"] == "documents[0]"
    assert "documents[0], documents[1]" in first.error["message"]
    assert (again.status, again.error["param"]) == (422, "documents[2]")
    assert crashing.ends == 3
    assert pair.metric("rankguard_poison_requests_total") == 2


async def test_others_go_on_beside_a_request_that_ends_engines(pair, worker, second):
    crashing = Crashing([worker, second], "cursed")
    bodies = [{"query": f"q{number}", "documents": ["a", "bb"]} for number in range(40)]
    bodies[10] = {"query": "q", "documents": ["cursed"]}
    replies = await asyncio.gather(*(pair.post(body) for body in bodies))

    assert [reply.status for reply in replies] == [200] * 10 + [422] + [200] * 29
    assert crashing.ends == 3


async def test_a_text_to_embed_that_ends_engines_is_refused_too(pair, worker, second):
    async def die(one, job):
        generation = one.manifest.generation + 1
        one.publish(generation=generation, started_ticks=100 + generation)
        return await fake_worker.drop(one, job)

    worker.answer_embed = second.answer_embed = die
    reply = await pair.post({"input": ["cursed"]}, "/v1/embeddings")

    assert (reply.status, reply.error["code"]) == (422, "poison_request")
    assert reply.error["param"] == "input[0]"


async def test_an_engine_that_is_gone_without_a_word_ended_with_what_it_had(pair, worker, second):
    """As on a host that lost its network: no connection breaks."""
    asked = []

    async def vanish(one, job):
        asked.append(one)
        one.publish(generation=one.manifest.generation + 1, started_ticks=100 + len(asked))
        return await fake_worker.hang(one, job)

    worker.answer = second.answer = vanish
    reply = await pair.post({"query": "q", "documents": ["cursed"]})

    assert (reply.status, reply.error["code"]) == (422, "poison_request")
    assert len(asked) == 3


async def test_a_request_that_only_was_there_when_two_engines_ended_is_answered(
    pair, worker, second
):
    """As when somebody kills all replicas, or every card is lost."""

    async def die_once(one, job):
        one.answer = fake_worker.scores
        one.publish(generation=2, started_ticks=102)
        return await fake_worker.drop(one, job)

    worker.answer = second.answer = die_once
    reply = await pair.post({"query": "q", "documents": ["fine"]})

    assert reply.status == 200
    assert pair.metric("rankguard_poison_requests_total") == 0


async def test_a_request_that_was_at_two_ends_has_a_replica_for_itself(pair, worker, second):
    go = asyncio.Event()
    asked = []

    async def die_twice(one, job):
        asked.append(one)
        if len(asked) > 2:
            await go.wait()
            return await fake_worker.scores(one, job)
        one.publish(generation=one.manifest.generation + 1, started_ticks=100 + len(asked))
        return await fake_worker.drop(one, job)

    worker.answer = second.answer = die_twice
    suspect = asyncio.create_task(pair.post({"query": "q", "documents": ["suspect"]}))
    await until(lambda: len(asked) == 3)
    more = [
        asyncio.create_task(pair.post({"query": "q", "documents": [f"free {number}"]}))
        for number in range(6)
    ]
    await until(lambda: len(asked) == 3 + 6)
    there = set(asked[2].documents)
    go.set()

    assert {reply.status for reply in await asyncio.gather(suspect, *more)} == {200}
    assert there == {"suspect"}


async def test_a_connection_that_breaks_twice_is_no_poison(pair, worker, second):
    """The processes stay: whatever broke the connections, it was not the request."""
    replies = []

    async def once(one, job):
        one.answer = fake_worker.scores
        return await fake_worker.drop(one, job)

    worker.answer = second.answer = once
    replies.append(await pair.post(ASK))

    assert [reply.status for reply in replies] == [200]
    assert pair.metric("rankguard_poison_requests_total") == 0
