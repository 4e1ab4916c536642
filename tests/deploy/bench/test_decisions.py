import itertools
import math
from dataclasses import replace

import pytest

from deploy.bench.arrival import bursts, poisson, replay
from deploy.bench.batches import Row, best_value
from deploy.bench.latency import Sample, summarize
from deploy.bench.memory import Usage
from deploy.bench.sizing import advise
from deploy.bench.slo import (
    MOST_TRIALS,
    Met,
    Objective,
    Trial,
    best,
    judge,
    next_rate,
    replicas_for,
)

GOOD = summarize([Sample(0, 0, 0.1, documents=10)] * 50)


def trials(*found):
    return [Trial(rate, Met(met), GOOD) for rate, met in found]


def test_arrivals_come_at_the_mean_rate_and_in_order():
    times = poisson(50, 100, seed=1)
    assert times == sorted(times)
    assert 4700 < len(times) < 5300
    assert times[0] > 0
    assert times[-1] < 100


def test_gaps_between_arrivals_vary_as_a_poisson_process_does():
    times = poisson(50, 100, seed=1)
    gaps = [b - a for a, b in itertools.pairwise(times)]
    mean = sum(gaps) / len(gaps)
    deviation = math.sqrt(sum((gap - mean) ** 2 for gap in gaps) / len(gaps))
    assert deviation == pytest.approx(mean, rel=0.1)


def test_a_burst_arrives_at_once_with_the_same_mean_rate():
    times = bursts(50, 100, size=10, seed=1)
    assert len(set(times)) == len(times) / 10
    assert 4000 < len(times) < 6000


def test_the_same_seed_gives_the_same_arrivals():
    assert poisson(5, 10, seed=1) == poisson(5, 10, seed=1) != poisson(5, 10, seed=2)


@pytest.mark.parametrize(("rate", "seconds", "size"), [(0, 1, 1), (1, 0, 1), (1, 1, 0)])
def test_no_rate_no_time_or_no_burst_is_refused(rate, seconds, size):
    with pytest.raises(ValueError, match="positive"):
        bursts(rate, seconds, size=size, seed=1)


def test_latency_counts_from_when_the_request_was_meant_to_be_sent():
    stalled = Sample(intended=1.0, sent=3.0, ended=3.5, documents=1)
    assert stalled.latency_s == 2.5
    assert summarize([stalled]).late_ms == pytest.approx(2000)


def test_failed_requests_are_counted_and_not_timed():
    found = summarize(
        [
            Sample(0, 0, 1, documents=4, tokens=40),
            Sample(0, 0, 2, documents=4, error="no answer"),
        ]
    )
    assert (found.requests, found.failed, found.max_ms) == (2, 1, 1000)
    assert found.docs_per_s == 2  # four documents in two seconds
    assert found.tokens_per_s == 20
    assert found.errors == ("no answer",)


def test_tokens_are_unknown_when_one_answer_does_not_count_them():
    assert summarize([Sample(0, 0, 1, 1, 5), Sample(0, 0, 1, 1, None)]).tokens_per_s is None


def test_nothing_measured_is_zero_and_no_crash():
    assert summarize([]).docs_per_s == 0


def test_checks_are_counted_apart():
    found = summarize([Sample(0, 0, 1, 1, right=True), Sample(0, 0, 1, 1, right=False)])
    assert (found.checks, found.checks_right) == (2, 1)


@pytest.mark.parametrize(
    ("changes", "met"),
    [
        pytest.param({}, Met.YES, id="fast and whole"),
        pytest.param({"p99_ms": 100.0}, Met.YES, id="just at the limit"),
        pytest.param({"p99_ms": 100.1}, Met.SLOW, id="just over the limit"),
        pytest.param({"p95_ms": 900.0}, Met.YES, id="another percentile does not count"),
        pytest.param({"failed": 1}, Met.FAILURES, id="one failure of none allowed"),
        pytest.param({"failed": 50}, Met.FAILURES, id="everything failed"),
        pytest.param({"requests": 0}, Met.NOTHING, id="nothing was sent"),
        pytest.param({"checks": 10, "checks_right": 5}, Met.YES, id="half of the checks right"),
        pytest.param({"checks": 10, "checks_right": 4}, Met.WRONG, id="noise"),
        pytest.param({"checks": 9, "checks_right": 0}, Met.YES, id="too few checks to say"),
    ],
)
def test_an_objective_is_met_or_missed_for_a_reason(changes, met):
    base = replace(GOOD, p95_ms=50.0, p99_ms=50.0)
    assert judge(Objective(99, 100), replace(base, **changes)) is met


def test_allowed_failures_are_a_share_of_the_requests():
    summary = replace(GOOD, p99_ms=1.0, failed=1)  # of 50
    assert judge(Objective(99, 100, failures=0.02), summary) is Met.YES
    assert judge(Objective(99, 100, failures=0.01), summary) is Met.FAILURES


@pytest.mark.parametrize(
    ("found", "rate"),
    [
        pytest.param([], 4, id="starts where it is told"),
        pytest.param([(4, "yes")], 8, id="doubles while it passes"),
        pytest.param([(4, "slow")], 2, id="halves while it fails"),
        pytest.param([(4, "yes"), (16, "slow")], 8, id="then takes the middle"),
        pytest.param([(4, "yes"), (8, "failures")], math.sqrt(32), id="a failure is a miss too"),
        pytest.param([(10, "yes"), (10.9, "slow")], None, id="ends when it is known to a tenth"),
        pytest.param([(0.06, "slow")], None, id="gives up at a rate that is nearly nothing"),
        pytest.param([(4, "wrong")], None, id="does not search on noise"),
        pytest.param([(2.0**n, "yes") for n in range(MOST_TRIALS)], None, id="ends in any case"),
    ],
)
def test_the_next_rate_follows_from_the_tries(found, rate):
    assert next_rate(trials(*found), first=4) == (rate if rate is None else pytest.approx(rate))


def test_the_search_closes_in_on_what_an_endpoint_carries():
    found = []
    while (rate := next_rate(found, first=1)) is not None:
        found.append(Trial(rate, Met.YES if rate <= 37 else Met.SLOW, GOOD))
    assert best(found).rate == pytest.approx(37, rel=0.1)
    assert len(found) <= MOST_TRIALS


@pytest.mark.parametrize(
    ("wanted", "measured", "replicas", "needed"),
    [
        pytest.param(7, 10, 1, 1, id="seven tenths of one"),
        pytest.param(7.1, 10, 1, 2, id="a little more"),
        pytest.param(70, 20, 2, 10, id="measured with two"),
        pytest.param(0.1, 10, 1, 1, id="never none"),
    ],
)
def test_replicas_are_planned_with_headroom(wanted, measured, replicas, needed):
    assert replicas_for(wanted, measured, replicas=replicas) == needed


def test_advice_holds_the_matching_configuration():
    advice = advise(trials((10, "yes"), (20, "slow")), wanted=30, replicas=1)
    assert advice.replicas == 5
    assert "replicas = 5" in advice.words
    assert advise(trials((10, "slow")), wanted=30, replicas=1) is None
    assert advise(trials((10, "not_asked")), wanted=None, replicas=1) is None


def test_the_best_value_is_the_fastest_batch_within_the_limit():
    rows = [
        Row(size, 64, 256, replace(GOOD, p95_ms=p95, docs_per_s=speed), Usage())
        for size, p95, speed in ((1, 50, 10), (8, 300, 40), (32, 900, 60))
    ]
    assert best_value(rows, limit_ms=380).batch == 8
    assert best_value(rows, limit_ms=10) is None


@pytest.mark.parametrize(
    ("lines", "times"),
    [
        pytest.param(["5", "7.5"], [0, 2.5], id="numbers"),
        pytest.param(['{"at": 5}', '{"at": 6}'], [0, 1], id="objects"),
        pytest.param(["7", "5"], [0, 2], id="not in order"),
        pytest.param(
            [
                '{"time": "2026-11-22T12:00:00.500Z", "path": "/v1/rerank"}',
                '{"time": "2026-11-22T12:00:00.700Z", "path": "/metrics"}',
                '{"time": "2026-11-22T12:00:01Z", "path": "/rerank"}',
            ],
            [0, 0.5],
            id="the gateway's access log, rerank requests only",
        ),
        pytest.param(["5", "started", "null", '{"at": "soon"}'], [0], id="other lines"),
    ],
)
def test_a_log_is_replayed_from_its_first_request_on(lines, times):
    assert replay(lines) == pytest.approx(times)


def test_a_replay_can_be_faster():
    assert replay(["0", "10"], speed=4) == [0, 2.5]


def test_a_log_without_times_is_refused():
    with pytest.raises(ValueError, match="no line"):
        replay(["x"])


def test_the_rate_that_was_sent_does_not_depend_on_when_it_was_answered():
    late = [Sample(float(n), float(n), 100.0, 1) for n in range(11)]
    assert summarize(late).sent_per_s == 1.0
