from __future__ import annotations

import pytest

from service.gateway import routing
from service.gateway.routing import Candidate, Choice, Failure, Health, Why


def one(key: str, outstanding: int = 0, *, routable: bool = True, **more: object) -> Candidate:
    return Candidate(key, routable, outstanding, **more)


EJECTED = Health(failures=1, ejected_until=105.0)
ON_TRIAL = Health(failures=1, ejected_until=99.0)


@pytest.mark.parametrize(
    ("candidates", "avoid", "expected"),
    [
        pytest.param([], (), Choice(None, Why.NONE_READY), id="none there"),
        pytest.param(
            [one("a", routable=False)], (), Choice(None, Why.NONE_READY), id="none routable"
        ),
        pytest.param(
            [one("a", 50), one("b", 10)], (), Choice("b", Why.LEAST_LOADED), id="least loaded"
        ),
        pytest.param(
            [one("b", 10), one("a", 10)], (), Choice("a", Why.LEAST_LOADED), id="ties by name"
        ),
        pytest.param(
            [one("a", 0), one("b", 50)],
            {"a"},
            Choice("b", Why.LEAST_LOADED),
            id="not again where it failed",
        ),
        pytest.param(
            [one("a", 0)], {"a"}, Choice("a", Why.LEAST_LOADED), id="unless there is no other"
        ),
        pytest.param(
            [one("a", 0, stalled=True), one("b", 50)],
            (),
            Choice("b", Why.LEAST_LOADED),
            id="a stalled one comes after a busy one",
        ),
        pytest.param(
            [one("a", 0, stalled=True)],
            (),
            Choice("a", Why.LEAST_LOADED),
            id="a stalled one is better than none",
        ),
        pytest.param(
            [one("a", health=EJECTED), one("b", 50)],
            (),
            Choice("b", Why.LEAST_LOADED),
            id="an ejected one is left alone",
        ),
        pytest.param(
            [one("a", health=EJECTED)],
            (),
            Choice(None, Why.ALL_EJECTED, 105.0),
            id="all ejected: look again when the first pause ends",
        ),
        pytest.param(
            [one("a", health=ON_TRIAL)],
            (),
            Choice("a", Why.LEAST_LOADED),
            id="after the pause it gets a chunk",
        ),
        pytest.param(
            [one("a", 1, health=ON_TRIAL)],
            (),
            Choice(None, Why.ALL_FULL),
            id="but only one until that succeeds",
        ),
        pytest.param([one("a", 95)], (), Choice(None, Why.ALL_FULL), id="full"),
        pytest.param(
            [one("a", 95), one("b", health=EJECTED)],
            (),
            Choice(None, Why.ALL_FULL, 105.0),
            id="full, and another comes back",
        ),
    ],
)
def test_choose(candidates, avoid, expected):
    chosen = routing.choose(candidates, tokens=10, capacity=100, now=100.0, avoid=avoid)
    assert chosen == expected


def test_a_chunk_larger_than_the_capacity_goes_to_an_idle_replica():
    choice = routing.choose([one("a", 1), one("b")], tokens=500, capacity=100, now=0.0)
    assert choice.key == "b"


@pytest.mark.parametrize(
    ("health", "failure", "expected"),
    [
        pytest.param(
            Health(), Failure.LOST, Health(1, 1, 100.1), id="a lost connection ejects at once"
        ),
        pytest.param(
            Health(), Failure.UNREACHABLE, Health(1, 1, 100.1), id="so does no connection"
        ),
        pytest.param(Health(2, 2, 99.0), Failure.LOST, Health(3, 3, 100.4), id="pauses double"),
        pytest.param(Health(30, 30, 99.0), Failure.LOST, Health(31, 31, 105.0), id="up to a limit"),
        pytest.param(
            Health(1, 1, 100.05),
            Failure.LOST,
            Health(1, 1, 100.05),
            id="chunks that fail together are one failure",
        ),
        pytest.param(Health(), Failure.ERROR, Health(0, 1, 0.0), id="one error does not eject"),
        pytest.param(Health(0, 2, 0.0), Failure.ERROR, Health(1, 3, 100.1), id="three in a row do"),
        pytest.param(
            Health(), Failure.BUSY, Health(0, 0, 100.2), id="busy pauses and is no failure"
        ),
        pytest.param(
            Health(1, 1, 103.0), Failure.BUSY, Health(1, 1, 103.0), id="busy ends no longer pause"
        ),
        pytest.param(Health(), Failure.TIMEOUT, Health(), id="the request's time is not its fault"),
    ],
)
def test_after_failure(health, failure, expected):
    after = routing.after_failure(health, failure, 100.0)
    assert (after.failures, after.errors) == (expected.failures, expected.errors)
    assert after.ejected_until == pytest.approx(expected.ejected_until)


@pytest.mark.parametrize(
    ("samples", "tokens", "expected"),
    [
        pytest.param([0.001] * 15, 1000, 5.0, id="five seconds while little is known"),
        pytest.param([0.001] * 16, 1000, 3.0, id="three times the usual"),
        pytest.param([0.001] * 16, 10, 0.5, id="never before the floor"),
        pytest.param([0.001] * 19 + [9.0], 1000, 3.0, id="one outlier does not count"),
        pytest.param([0.001] * 10 + [0.01] * 10, 1000, 30.0, id="the slow tenth does"),
    ],
)
def test_hedge_after(samples, tokens, expected):
    assert routing.hedge_after(samples, tokens) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("failure", "reachable"),
    [(Failure.LOST, False), (Failure.UNREACHABLE, False), (Failure.ERROR, True)],
)
def test_only_a_broken_connection_makes_a_replica_unreachable(failure, reachable):
    health = routing.after_failure(Health(errors=2), failure, 100.0)
    assert health.reachable is reachable


def test_an_answered_probe_ends_the_pause_and_keeps_the_trial():
    lost = routing.after_failure(Health(), Failure.LOST, 100.0)
    assert routing.after_contact(lost, 100.01) == Health(1, 1, 100.01, reachable=True)


def test_an_answered_probe_does_not_excuse_errors():
    failing = Health(2, 5, 130.0)
    assert routing.after_contact(failing, 100.0) == failing


def test_retries_of_errors_wait_longer_each_time_up_to_a_limit():
    assert [routing.retry_pause(n) for n in (1, 2, 3, 20)] == [0.1, 0.2, 0.4, 2.0]
