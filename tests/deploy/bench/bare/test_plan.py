from itertools import pairwise

import pytest

from deploy.bench.bare.plan import Budget, Plan, expected_runs, order, repeated, unique
from deploy.bench.versus import Shape

ONE, TWO = Shape(1, 10, 100), Shape(16, 1000, 100)


@pytest.mark.parametrize("names", [["a", "b"], ["a", "b", "c"]])
def test_every_side_is_first_and_last_equally_often(names):
    turns = [order(names, turn) for turn in range(2 * len(names))]
    assert all(sorted(turn) == names for turn in turns)
    for place in (0, -1):
        assert {name: [t[place] for t in turns].count(name) for name in names} == dict.fromkeys(
            names, 2
        )


def test_of_three_sides_each_follows_each_other():
    turns = [order("abc", turn) for turn in range(6)]
    assert {pair for turn in turns for pair in pairwise(turn)} == {
        (a, b) for a in "abc" for b in "abc" if a != b
    }


@pytest.mark.parametrize(
    ("took", "now", "allowed"),
    [
        pytest.param(None, 1000.0, True, id="the first turn of a load is always run"),
        pytest.param(10.0, 89.0, True, id="what ends in time is run"),
        pytest.param(10.0, 91.0, False, id="what would end too late is not begun"),
    ],
)
def test_the_budget(took, now, allowed):
    budget = Budget(100.0)
    if took is not None:
        budget.took(TWO, took)
    assert budget.allows(TWO, now) is allowed


def test_a_long_load_does_not_stop_a_short_one():
    budget = Budget(100.0)
    budget.took(ONE, 1.0)
    budget.took(TWO, 60.0)
    assert (budget.allows(TWO, 50.0), budget.allows(ONE, 50.0)) == (False, True)


def test_the_full_plan_has_every_load_of_the_promise():
    loads = {(shape.clients, shape.documents) for shape in unique(500, quick=False).shapes}
    assert loads == {(c, d) for c in (1, 4, 16) for d in (10, 100, 1000)}


def test_repeated_pairs_are_asked_once_before_they_count():
    plan = repeated(500, quick=False)
    assert plan.warm_rounds == 1
    assert all(shape.repeated for shape in plan.shapes)


def test_the_progress_bar_knows_all_runs():
    plan = Plan((ONE, TWO), rounds=3, seconds=1.0, warm_rounds=1)
    assert expected_runs(plan, {"a": 1, "b": 2}) == 2 * 4 * 2
