from __future__ import annotations

import math

import pytest

from service.request import Score
from service.worker.engines.vllm_result import best_scores
from service.worker.prompts.prompt import Prompt


def prompt(document, tokens=3, span=None, truncated=False):
    return Prompt([0] * tokens, document, truncated=truncated, span=span)


def test_each_document_has_its_score_in_order():
    scores = best_scores([prompt(0), prompt(1, 5, truncated=True)], [1.5, -2.0], count=2)

    assert scores == [Score(1.5, 3), Score(-2.0, 5, truncated=True)]


def test_the_best_window_counts_and_all_of_them_cost():
    windows = [prompt(0, 4, (0, 9)), prompt(0, 4, (7, 16)), prompt(0, 2, (14, 20)), prompt(1)]

    first, second = best_scores(windows, [-1.0, 2.0, 0.5, 3.0], count=2)

    assert first == Score(2.0, 10, span=(7, 16))
    assert second == Score(3.0, 3)


@pytest.mark.parametrize(
    ("logit", "word"),
    [(math.nan, "NaN"), (math.inf, "infinite"), (-math.inf, "infinite"), (None, "failed")],
)
def test_what_is_no_number_spoils_its_document_only(logit, word):
    bad, good = best_scores([prompt(0), prompt(0), prompt(1)], [logit, 1.0, 2.0], count=2)

    assert word in bad.error
    assert bad.logit == 0.0
    assert good == Score(2.0, 3)


def test_a_query_of_its_own_is_counted_once():
    scores = best_scores([prompt(0), prompt(1)], [1.0, 2.0], count=2, query_tokens=7)

    assert [score.tokens for score in scores] == [10, 3]
