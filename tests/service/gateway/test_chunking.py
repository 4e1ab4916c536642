from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.gateway import chunking


def sizes(costs: list[int], chunk_tokens: int, replicas: int = 1) -> list[int]:
    cut = chunking.cut(costs, chunk_tokens=chunk_tokens, replicas=replicas)
    return [len(one.indexes) for one in cut]


@pytest.mark.parametrize(
    ("costs", "chunk_tokens", "replicas", "expected"),
    [
        pytest.param([], 100, 2, [], id="nothing makes no chunk"),
        pytest.param([10], 100, 4, [1], id="one document is one chunk"),
        pytest.param([100] * 10, 1000, 1, [10], id="what fits one chunk is one chunk"),
        pytest.param([100] * 10, 500, 1, [5, 5], id="over the limit there are more"),
        pytest.param([100] * 11, 500, 1, [4, 4, 3], id="chunks are about equal"),
        pytest.param([1000] * 10, 99_999, 2, [5, 5], id="two replicas halve it"),
        pytest.param([10] * 10, 99_999, 2, [10], id="little work is not worth dividing"),
        pytest.param([5000, 10, 10], 100, 1, [1, 2], id="a giant is alone"),
        pytest.param([10, 10, 5000], 100, 1, [2, 1], id="a giant behind others is alone"),
    ],
)
def test_cut(costs, chunk_tokens, replicas, expected):
    assert sizes(costs, chunk_tokens, replicas) == expected


@given(
    st.lists(st.integers(1, 5000), min_size=1, max_size=200),
    st.integers(1, 5000),
    st.integers(1, 8),
)
def test_chunks_hold_every_document_once_in_order_and_keep_the_limit(costs, limit, replicas):
    chunks = chunking.cut(costs, chunk_tokens=limit, replicas=replicas)
    assert [index for one in chunks for index in one.indexes] == list(range(len(costs)))
    for one in chunks:
        assert one.tokens == sum(costs[index] for index in one.indexes)
        assert one.tokens <= limit or len(one.indexes) == 1


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        pytest.param("", 1, 1, id="empty is one token"),
        pytest.param("the quick brown fox jumps over the lazy dog", 8, 14, id="English"),
        pytest.param("敏捷的棕色狐狸跳过了懒狗", 7, 14, id="Chinese"),
        pytest.param("быстрая коричневая лиса прыгает", 10, 20, id="Russian"),
        pytest.param("x" * 4000, 1000, 1001, id="long"),
    ],
)
def test_the_estimate_is_near_what_tokenizers_say(text, low, high):
    assert low <= chunking.estimate(text) <= high


def test_a_long_query_does_not_count_in_full_for_every_document():
    short, long = chunking.costs("q", ["d"])[0], chunking.costs("q" * 100_000, ["d"])[0]
    assert long - short <= chunking.QUERY_TOKENS_MAX
