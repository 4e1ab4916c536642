from __future__ import annotations

import math

import pytest

from service.gateway import ranking
from service.request import Score


def of(*logits: float) -> list[Score]:
    return [ranking.scored(Score(logit=logit, tokens=1)) for logit in logits]


@pytest.mark.parametrize(
    ("logits", "top_n", "indexes"),
    [
        pytest.param((1.0, 3.0, 2.0), None, [1, 2, 0], id="the highest logit is first"),
        pytest.param((2.0, 5.0, 2.0, 5.0), None, [1, 3, 0, 2], id="ties keep the order they came"),
        pytest.param((1.0, 3.0, 2.0), 2, [1, 2], id="top_n cuts"),
        pytest.param((1.0, 3.0), 9, [1, 0], id="top_n beyond the list is all of it"),
        pytest.param((50.0, 60.0), None, [1, 0], id="scores that are both 1.0 still order"),
        pytest.param((math.nan, -40.0), None, [1, 0], id="no score is behind the worst score"),
        pytest.param((math.inf, 0.0, -math.inf), None, [1, 0, 2], id="infinite is no score either"),
    ],
)
def test_order(logits, top_n, indexes):
    assert [one.place for one in ranking.order(of(*logits), top_n)] == indexes


def test_a_document_without_a_score_has_relevance_zero_and_says_why():
    last = ranking.order(of(math.nan, 3.0), None)[-1]
    assert last.relevance == 0.0
    assert last.score.error == "the score is not finite"


@pytest.mark.parametrize(
    ("logit", "relevance"),
    [(0.0, 0.5), (1000.0, 1.0), (-1000.0, 0.0), (math.log(3), 0.75), (-math.log(3), 0.25)],
)
def test_sigmoid_overflows_on_neither_side(logit, relevance):
    assert ranking.sigmoid(logit) == pytest.approx(relevance)
