from __future__ import annotations

import pytest

from monitor.collectors.gateway import parse, quantile, subtract
from monitor.model import Reason
from monitor.scaling import Load, Place, Placement, ScalingLimits, ScalingState, place, resize

A, B = Place("A", usable=True, free_ratio=0.9), Place("B", usable=True, free_ratio=0.8)


@pytest.mark.parametrize(
    ("places", "taken", "preferred", "engine", "expected"),
    [
        pytest.param([], {}, None, "vllm", Placement(), id="no cards at all"),
        pytest.param([A, B], {}, None, "vllm", Placement("A"), id="the card with most room"),
        pytest.param([A, B], {}, "B", "vllm", Placement("B"), id="where it was before"),
        pytest.param([A, B], {"A": 1}, "A", "vllm", Placement("B"), id="a card of its own first"),
        pytest.param([A, B], {}, None, "embedded", Placement(), id="a CPU engine needs none"),
        pytest.param(
            [Place("A", usable=False), B], {}, "A", "vllm", Placement("B"), id="never an unfit one"
        ),
        pytest.param(
            [Place("A", usable=True, cordoned=True), B], {}, "A", "", Placement("B"), id="cordoned"
        ),
        pytest.param(
            [Place("A", usable=True, free_ratio=0.1)],
            {},
            "A",
            "vllm",
            Placement(refused=Reason.GPU_MEMORY_HELD),
            id="memory held by somebody: wait",
        ),
        pytest.param(
            [Place("A", usable=False)],
            {},
            "A",
            "vllm",
            Placement(refused=Reason.NO_GPU),
            id="no fit card: wait",
        ),
    ],
)
def test_a_replica_is_placed(places, taken, preferred, engine, expected):
    assert place(places, taken, preferred=preferred, engine=engine) == expected


LIMITS = ScalingLimits(1, 4, tokens_per_replica=1000)
BUSY, IDLE = Load(5000, 0.2), Load(0, None)


def sizes(loads, limits=LIMITS, start=1):
    state, found = ScalingState(start), []
    for second, load in enumerate(loads):
        state = resize(state, load, limits, 100.0 + second)
        found.append(state.size)
    return found


def test_a_queue_that_stays_adds_one_replica_at_a_time():
    found = sizes([BUSY] * 100)

    assert found[14] == 1
    assert found[15] == 2
    assert found[74] == 2  # the cooldown
    assert found[75] == 3


def test_it_never_leaves_its_bounds():
    assert max(sizes([BUSY] * 1000)) == 4
    assert min(sizes([IDLE] * 2000, start=4)) == 1


def test_a_burst_changes_nothing():
    assert set(sizes([BUSY] * 10 + [IDLE] * 200)) == {1}


def test_load_that_swings_does_not_make_it_swing():
    wave = [BUSY if second % 20 < 10 else IDLE for second in range(3600)]

    assert set(sizes(wave, start=2)) == {2}


def test_blindness_is_no_reason_to_take_replicas_away():
    assert set(sizes([None] * 2000, start=3)) == {3}


def test_late_answers_without_a_queue_are_long_documents():
    assert set(sizes([Load(0, 2.0)] * 500)) == {1}


def test_late_answers_with_work_waiting_are_too_few_replicas():
    assert max(sizes([Load(400, 2.0)] * 30)) == 2


def test_equal_bounds_scale_nothing():
    assert set(sizes([BUSY] * 100, ScalingLimits(2, 2), start=2)) == {2}


def test_the_gateways_metrics_are_read():
    text = """# HELP
rankguard_request_duration_seconds_bucket{le="0.1",route="/v1/rerank"} 10.0
rankguard_request_duration_seconds_bucket{le="0.38",route="/v1/rerank"} 19.0
rankguard_request_duration_seconds_bucket{le="+Inf",route="/v1/rerank"} 20.0
rankguard_request_duration_seconds_bucket{le="0.1",route="/rerank"} 0.0
rankguard_waiting_tokens 1234.0
rankguard_poison_requests_total 3.0
"""
    counted = parse(text)
    buckets = counted.buckets

    assert (counted.queued_tokens, counted.poison) == (1234.0, 3.0)
    assert quantile(buckets, 0.95) == 0.38
    assert quantile(subtract(buckets, buckets), 0.95) is None
    assert subtract({1.0: 3.0}, {1.0: 9.0}) == {1.0: 3.0}
