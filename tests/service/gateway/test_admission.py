from __future__ import annotations

import pytest

from service.errors import NoCapacity, OverLimit
from service.gateway.admission import Admission, DrainRate


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


def test_it_admits_until_the_limit_and_again_when_a_request_is_done(clock):
    admission = Admission(max_waiting_tokens=100, clock=clock)
    first = admission.admit(60, deadline=1030.0)
    with pytest.raises(OverLimit):
        admission.admit(60, deadline=1030.0)
    first.close()
    admission.admit(60, deadline=1030.0)


def test_a_request_over_the_limit_is_admitted_when_it_is_alone(clock):
    Admission(max_waiting_tokens=100, clock=clock).admit(5000, deadline=1030.0)


def test_nothing_to_score_needs_no_room(clock):
    admission = Admission(max_waiting_tokens=100, clock=clock)
    admission.admit(100, deadline=1030.0)
    admission.admit(0, deadline=1030.0)


def drain(rate: DrainRate, clock: Clock, tokens: int, seconds: int) -> None:
    for _ in range(seconds + 1):
        rate.done(tokens, saturated=True, now=clock.now)
        clock.now += 1.0


def test_retry_after_is_the_time_in_which_enough_drains(clock):
    admission = Admission(max_waiting_tokens=10_000, clock=clock)
    drain(admission.rate, clock, 1000, 20)
    admission.admit(9_000, deadline=clock.now + 30)
    with pytest.raises(OverLimit) as refused:
        admission.admit(6_000, deadline=clock.now + 30)
    assert refused.value.retry_after_s == pytest.approx(5.0, abs=1.0)


def test_it_refuses_at_once_what_cannot_be_done_before_its_deadline(clock):
    admission = Admission(max_waiting_tokens=10**6, clock=clock)
    drain(admission.rate, clock, 1000, 20)
    admission.admit(50_000, deadline=clock.now + 30)
    with pytest.raises(NoCapacity) as refused:
        admission.admit(10, deadline=clock.now + 30)
    assert refused.value.retry_after_s == pytest.approx(20.0, abs=2.0)


@pytest.mark.parametrize("saturated", [True, False])
def test_the_drain_rate_is_learned_only_while_chunks_wait(clock, saturated):
    rate = DrainRate()
    for _ in range(10):
        rate.done(500, saturated=saturated, now=clock.now)
        clock.now += 1.0
    assert rate.per_s(clock.now) == (pytest.approx(500.0, rel=0.2) if saturated else None)


def test_an_outage_does_not_lower_the_drain_rate(clock):
    rate = DrainRate()
    drain(rate, clock, 1000, 10)
    before = rate.per_s(clock.now)
    clock.now += 60.0
    rate.done(1000, saturated=True, now=clock.now, outages=1)
    assert rate.per_s(clock.now) == before


def test_a_rate_that_nobody_measures_any_more_refuses_nobody(clock):
    """The replicas that were so slow may be fast ones by now: refusing, it would never learn."""
    admission = Admission(max_waiting_tokens=10**6, clock=clock)
    drain(admission.rate, clock, 10, 20)
    clock.now += 60.0
    admission.admit(50_000, deadline=clock.now + 30)
    admission.admit(50_000, deadline=clock.now + 30)


def test_a_rate_that_is_measured_anew_does_not_remember_the_last_one(clock):
    rate = DrainRate()
    drain(rate, clock, 10, 20)
    clock.now += 60.0
    drain(rate, clock, 5_000, 5)
    assert rate.per_s(clock.now) == pytest.approx(5_000, rel=0.2)


class TestKeys:
    @pytest.fixture
    def admission(self, clock):
        return Admission(
            max_waiting_tokens=10**6,
            tokens_per_minute=600,
            tokens_per_minute_by_key={"big": 6000},
            clock=clock,
        )

    def test_a_key_that_used_its_minute_is_told_when_to_come_back(self, admission):
        admission.admit(600, deadline=1030.0, key="small")
        with pytest.raises(OverLimit) as refused:
            admission.admit(100, deadline=1030.0, key="small")
        assert refused.value.retry_after_s == 10.0

    def test_one_key_does_not_use_up_another_ones(self, admission):
        admission.admit(600, deadline=1030.0, key="small")
        admission.admit(600, deadline=1030.0, key="other")

    def test_a_key_may_have_its_own_limit(self, admission):
        admission.admit(6000, deadline=1030.0, key="big")
        assert admission.limit("big").limit == 6000

    def test_it_fills_again_with_time(self, admission, clock):
        admission.admit(600, deadline=1030.0, key="small")
        clock.now += 10.0
        admission.admit(100, deadline=1040.0, key="small")
        assert admission.limit("small").remaining == 0

    def test_a_full_key_pays_for_a_request_of_any_size(self, admission, clock):
        admission.admit(1200, deadline=1030.0, key="small")
        clock.now += 60.0
        with pytest.raises(OverLimit):
            admission.admit(100, deadline=1090.0, key="small")
