import math

import pytest

from deploy.evaluate.baseline import Gate, judge
from deploy.evaluate.dataset import DataError
from deploy.evaluate.measure import measure
from deploy.evaluate.result import PairResult, SystemResult
from deploy.evaluate.significance import bootstrap_ci, randomization_p


def test_metrics_follow_the_order_that_is_given():
    (found,) = measure({"q": {"a": 1, "b": 0}}, {"q": ["b", "a"]})
    assert found.mrr_at_10 == 0.5
    assert found.map == 0.5
    assert found.recall_at_100 == 1
    assert found.ndcg_at_10 == pytest.approx(1 / math.log2(3))


def test_a_relevant_document_that_is_no_candidate_costs_recall():
    (found,) = measure({"q": {"a": 1, "b": 1}}, {"q": ["a"]})
    assert found.recall_at_100 == 0.5
    assert found.ndcg_at_10 < 1


def test_a_ranking_of_11_with_the_answer_last_scores_zero_at_10():
    order = [f"d{n}" for n in range(10)] + ["a"]
    (found,) = measure({"q": {"a": 1}}, {"q": order})
    assert found.ndcg_at_10 == 0
    assert found.mrr_at_10 == 0


def test_the_interval_holds_the_mean_and_narrows_with_more_queries():
    few = bootstrap_ci([[0, 1, 0, 1]], seed=1)
    many = bootstrap_ci([[0, 1] * 100], seed=1)
    assert few[0] < 0.5 < few[1]
    assert many[1] - many[0] < (few[1] - few[0]) / 3


def test_the_interval_of_equal_values_is_that_value():
    assert bootstrap_ci([[0.7] * 5], seed=1) == pytest.approx((0.7, 0.7))


def test_each_group_has_the_same_weight_however_many_values_it_has():
    low, high = bootstrap_ci([[1.0] * 1000, [0.0]], seed=1)
    assert (low, high) == pytest.approx((0.5, 0.5))


def test_the_interval_is_the_same_for_the_same_seed():
    values = [[0.1, 0.5, 0.9, 0.3]]
    assert bootstrap_ci(values, seed=3) == bootstrap_ci(values, seed=3)


def test_no_values_have_no_interval():
    with pytest.raises(ValueError, match="no values"):
        bootstrap_ci([[]], seed=1)


def test_a_system_against_itself_does_not_differ():
    assert randomization_p([0.1, 0.5, 0.9], [0.1, 0.5, 0.9], seed=1) == 1.0


def test_a_clear_difference_over_many_queries_is_significant():
    ours = [0.8 + 0.001 * n for n in range(30)]
    assert randomization_p(ours, [each - 0.1 for each in ours], seed=1) < 0.001


def test_a_difference_on_three_queries_is_not():
    # 2 of the 8 sign patterns are as extreme: p is 0.25
    p = randomization_p([1, 1, 1], [0, 0, 0], seed=1)
    assert p == pytest.approx(0.25, abs=0.02)


def test_unpaired_lists_are_refused():
    with pytest.raises(ValueError, match="paired"):
        randomization_p([1.0], [1.0, 2.0], seed=1)


def result(value):
    mean = PairResult("mean", "mean", 4, value, value, value, value, 1.0, (0.0, 1.0))
    return SystemResult("d", "s", (mean,), mean, {f"q{n}": value for n in range(4)}, 0.1, 0)


def kept(value, digest="x"):
    return {
        "mean": {"ndcg_at_10": value},
        "per_topic": {f"q{n}": value for n in range(4)},
        "run": {"dataset_sha256": digest},
    }


@pytest.mark.parametrize(
    ("now", "before", "gate", "passed"),
    [
        pytest.param(0.80, 0.80, Gate.SAME_OR_BETTER, True, id="equal"),
        pytest.param(0.90, 0.80, Gate.SAME_OR_BETTER, True, id="better"),
        pytest.param(0.79, 0.80, Gate.WITHIN_ALLOWANCE, True, id="a drop of just what is allowed"),
        pytest.param(0.78, 0.80, Gate.DROPPED, False, id="a larger drop"),
    ],
)
def test_the_gate_shuts_on_a_drop_that_is_larger_than_allowed(now, before, gate, passed):
    verdict = judge(result(now), kept(before), max_drop=0.01, digest="x", seed=1)
    assert verdict.gate is gate
    assert verdict.passed is passed


def test_a_baseline_on_other_texts_does_not_pass():
    verdict = judge(result(0.9), kept(0.1, "other"), max_drop=1, digest="x", seed=1)
    assert verdict.gate is Gate.NOT_COMPARABLE
    assert not verdict.passed


@pytest.mark.parametrize("body", [{}, {"mean": 1}, {"mean": {"ndcg_at_10": "x"}}])
def test_a_file_that_is_no_result_is_refused(body):
    with pytest.raises(DataError):
        judge(result(0.9), body, max_drop=0.01, digest="x", seed=1)
