from __future__ import annotations

import unicodedata

import pytest

from monitor.model import CanaryOutcome, CanaryResult, Reason
from monitor.probes.canary import CASES, CanaryLimits, judge

RIGHT = {case.name: (3.0, -2.0) for case in CASES}


def result(logits=RIGHT, outcome=CanaryOutcome.PASSED) -> CanaryResult:
    return CanaryResult(1, outcome, 0.0, 0.1, logits=logits)


def with_first(*logits):
    return {**RIGHT, CASES[0].name: logits}


@pytest.mark.parametrize(
    ("logits", "reason"),
    [
        pytest.param(with_first(-2.0, 3.0), Reason.CANARY_ORDER, id="the wrong way round"),
        pytest.param(with_first(0.5, 0.5), Reason.CANARY_FLAT, id="everything scores the same"),
        pytest.param(with_first(float("nan"), 0.5), Reason.CANARY_INVALID, id="NaN"),
        pytest.param(with_first(float("inf"), 0.5), Reason.CANARY_INVALID, id="infinite"),
        pytest.param(with_first(1.0), Reason.CANARY_INVALID, id="a score is missing"),
        pytest.param({}, Reason.CANARY_INVALID, id="a case is missing"),
        pytest.param(with_first(1.0, -2.0), Reason.CANARY_DRIFT, id="right, but not as it was"),
    ],
)
def test_a_wrong_answer_has_its_reason(logits, reason):
    judged = judge(result(logits), RIGHT, CanaryLimits())

    assert (judged.outcome, judged.reason) == (CanaryOutcome.WRONG, reason)


def test_the_right_order_passes_with_and_without_a_baseline():
    assert judge(result(), None, CanaryLimits()).outcome is CanaryOutcome.PASSED
    assert judge(result(), RIGHT, CanaryLimits()).outcome is CanaryOutcome.PASSED


def test_noise_below_the_limit_passes():
    assert judge(result(with_first(3.2, -2.2)), RIGHT, CanaryLimits()).outcome is (
        CanaryOutcome.PASSED
    )


def test_baseline_mode_asks_for_the_same_values_and_not_for_order():
    limits = CanaryLimits(mode="baseline")
    random_weights = {case.name: (-1.0, 1.0) for case in CASES}

    assert judge(result(random_weights), None, limits).outcome is CanaryOutcome.PASSED
    assert judge(result(random_weights), random_weights, limits).outcome is CanaryOutcome.PASSED
    assert judge(result(RIGHT), random_weights, limits).reason is Reason.CANARY_DRIFT


def test_a_run_without_values_is_left_as_it_is():
    timed_out = result({}, CanaryOutcome.TIMED_OUT)

    assert judge(timed_out, RIGHT, CanaryLimits()) == timed_out


def test_the_cases_are_written_in_several_scripts():
    scripts = {
        unicodedata.name(char).split()[0] for case in CASES for char in case.query if char.isalpha()
    }

    assert {"LATIN", "ARABIC", "CJK", "KATAKANA", "HIRAGANA"} <= scripts
