"""The decision that Serve's controller makes is the single host's own."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from prometheus_client import CollectorRegistry

from deploy.ray.scaling import LATE, QUEUED, GatewayLoad, Loads, Resize, load_of
from monitor.scaling import Load
from service.metrics import GatewayMetrics

EAGER = {"low": 1, "high": 4, "tokens_per_replica": 100.0, "up_after_s": 0.0, "down_after_s": 0.0}


def context(size, state=None, **metrics):
    found = {name: {"a": value, "b": value} for name, value in metrics.items()}
    return SimpleNamespace(
        target_num_replicas=size, policy_state=state or {}, aggregated_metrics=found
    )


@pytest.mark.parametrize(
    ("size", "metrics", "expected"),
    [
        pytest.param(1, {QUEUED: 150.0, LATE: 0.0}, 2, id="more waits than one is enough for"),
        pytest.param(2, {QUEUED: 60.0, LATE: 0.5}, 3, id="late with work waiting"),
        pytest.param(2, {QUEUED: 10.0, LATE: 0.0}, 1, id="little to do"),
        pytest.param(4, {QUEUED: 9e9, LATE: 9.0}, 4, id="never over the bound"),
        pytest.param(3, {}, 3, id="nothing is reported: nothing changes"),
        pytest.param(9, {QUEUED: 0.0, LATE: 0.0}, 4, id="back into the bounds"),
    ],
)
def test_how_many_replicas_there_shall_be(size, metrics, expected):
    assert Resize(**EAGER)(context(size, **metrics))[0] == expected


def test_it_waits_before_the_next_change():
    resize = Resize(**EAGER, cooldown_s=3600.0)

    size, state = resize(context(1, **{QUEUED: 1000.0, LATE: 0.0}))
    again, _ = resize(context(size, state, **{QUEUED: 1000.0, LATE: 0.0}))

    assert (size, again) == (2, 2)


def test_what_was_changed_by_hand_is_where_it_goes_on_from():
    _, state = Resize(**EAGER)(context(1, **{QUEUED: 150.0, LATE: 0.0}))

    assert Resize(**EAGER, cooldown_s=0.0)(context(2, state, **{QUEUED: 250.0}))[0] == 3


def test_gateways_add_up_and_the_slowest_counts():
    loads = Loads(clock=lambda: 0.0)
    loads.told("a", Load(100.0, 0.2))
    loads.told("b", Load(50.0, None))
    loads.told("a", Load(30.0, 0.3))

    assert loads.report() == {QUEUED: 80.0, LATE: 0.3}


def test_a_gateway_that_ended_is_forgotten():
    now = [0.0]
    loads = Loads(clock=lambda: now[0])
    loads.told("a", Load(100.0, 0.2))
    now[0] = 20.0
    loads.told("b", Load(1.0, None))

    assert loads.report() == {QUEUED: 1.0, LATE: 0.0}


def test_the_load_is_what_the_last_to_be_told_knows():
    assert load_of({QUEUED: {"a": 1.0, "b": 3.0}, LATE: {"a": 0.0, "b": 0.4}}) == Load(3.0, 0.4)
    assert load_of({QUEUED: {"a": 0.0}, LATE: {"a": 0.0}}) == Load(0.0, None)
    assert load_of(None) is None


def test_a_gateway_reads_its_own_metrics_now_and_then():
    now = [0.0]
    metrics = GatewayMetrics(CollectorRegistry())
    own = GatewayLoad(metrics.registry, clock=lambda: now[0])
    metrics.waiting_tokens.set(500.0)
    for _ in range(20):
        metrics.request_seconds.labels("/v1/rerank").observe(0.3)

    first = own.read()
    metrics.waiting_tokens.set(0.0)
    soon = own.read()
    now[0] = 6.0
    later = own.read()

    assert first == soon == Load(500.0, 0.38)
    assert later == Load(0.0, None)
