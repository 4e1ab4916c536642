from __future__ import annotations

import sys

import pytest

from service.gateway.cache import ENTRY_BYTES, ScoreCache
from service.request import Score


def score(logit: float = 1.0, **more: object) -> Score:
    return Score(logit=logit, tokens=5, **more)


def keys(cache: ScoreCache, *documents: str, scope: tuple[str, ...] = ("f",), query: str = "q"):
    return cache.keys(scope, query, documents)


@pytest.fixture
def cache():
    return ScoreCache(100 * ENTRY_BYTES)


def test_a_pair_seen_before_is_known(cache):
    pair = keys(cache, "a")
    first = cache.claim(pair)
    assert list(first.own) == pair
    cache.settle(first, {pair[0]: score()}, "f")
    assert cache.claim(pair).known == {pair[0]: score()}


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"scope": ("g",)}, id="another model"),
        pytest.param({"query": "p"}, id="another query"),
        pytest.param({"scope": ("f", "instruction")}, id="another instruction"),
        pytest.param({"scope": ("", "f")}, id="parts shifted"),
        pytest.param({"scope": ("fq",), "query": ""}, id="parts run together"),
    ],
)
def test_a_pair_is_another_one_when_anything_differs(cache, other):
    assert keys(cache, "a") != keys(cache, "a", **other)


def test_a_document_twice_in_a_request_is_claimed_once(cache):
    assert list(cache.claim(keys(cache, "a", "b", "a")).own.values()) == [0, 1]


def test_a_pair_in_flight_is_waited_for(cache):
    pair = keys(cache, "a")
    first, second = cache.claim(pair), cache.claim(pair)
    assert (second.own, list(second.shared)) == ({}, [first.flight])
    cache.settle(first, {pair[0]: score(7.0)}, "f")
    assert first.flight.scores[pair[0]].logit == 7.0


async def test_a_pair_whose_scoring_failed_is_free_again(cache):
    pair = keys(cache, "a")
    first, second = cache.claim(pair), cache.claim(pair)
    cache.settle(first, {})
    await next(iter(second.shared)).wait()
    assert list(cache.claim(pair).own) == pair


def test_a_pair_without_a_score_is_not_kept(cache):
    pair = keys(cache, "a")
    cache.settle(cache.claim(pair), {pair[0]: score(error="nan")}, "f")
    assert list(cache.claim(pair).own) == pair


def test_scores_of_another_model_are_not_kept(cache):
    pair = keys(cache, "a")
    cache.settle(cache.claim(pair), {pair[0]: score()}, "other", keep=False)
    assert list(cache.claim(pair).own) == pair


def test_the_least_recently_used_pair_leaves_first():
    cache = ScoreCache(2 * ENTRY_BYTES)
    a, b, c = keys(cache, "a", "b", "c")
    for key in (a, b):
        cache.settle(cache.claim([key]), {key: score()}, "f")
    cache.settle(cache.claim([a]), {})
    cache.settle(cache.claim([c]), {c: score()}, "f")
    assert set(cache.claim([a, b, c]).known) == {a, c}
    assert cache.size_bytes == 2 * ENTRY_BYTES


def test_off_means_that_nothing_is_kept_or_shared():
    cache = ScoreCache(0)
    pair = keys(cache, "a")
    first = cache.claim(pair)
    assert list(cache.claim(pair).own) == pair
    cache.settle(first, {pair[0]: score()}, "f")
    assert list(cache.claim(pair).own) == pair


def test_an_entry_takes_no_more_than_is_counted_for_it():
    tracemalloc = pytest.importorskip("tracemalloc")
    count = 20_000
    cache = ScoreCache(count * ENTRY_BYTES)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for start in range(0, count, 100):
            some = keys(cache, *(str(number) for number in range(start, start + 100)))
            cache.settle(cache.claim(some), {key: score(start + 0.5) for key in some}, "f")
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (after - before) / count < ENTRY_BYTES
    assert sys.getsizeof(some[0]) < ENTRY_BYTES
