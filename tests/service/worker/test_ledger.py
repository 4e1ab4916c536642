from __future__ import annotations

import asyncio

import pytest

from service.worker.ledger import Ledger


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


async def test_a_job_is_in_flight_until_it_ends():
    clock = Clock()
    ledger = Ledger(clock)

    with ledger.job(3, canary=False):
        clock.now += 2.0
        with ledger.job(1, canary=False):
            inside = ledger.progress()
    clock.now += 5.0
    after = ledger.progress()

    assert (inside.in_flight, inside.oldest_in_flight_s, inside.last_success_s) == (4, 2.0, None)
    assert (after.completed, after.in_flight, after.oldest_in_flight_s) == (4, 0, None)
    assert after.last_success_s == 5.0


async def test_the_oldest_job_is_the_one_that_still_runs():
    clock = Clock()
    ledger = Ledger(clock)
    first = ledger.job(1, canary=False)
    first.__enter__()
    clock.now += 1.0
    with ledger.job(1, canary=False):
        first.__exit__(None, None, None)
        clock.now += 0.5

        assert ledger.progress().oldest_in_flight_s == 0.5


async def test_a_failed_job_counts_as_failed_and_not_as_success():
    ledger = Ledger(Clock())

    with pytest.raises(ValueError), ledger.job(2, canary=False):
        raise ValueError

    progress = ledger.progress()
    assert (progress.failed, progress.completed, progress.last_success_s) == (2, 0, None)


async def test_a_canary_is_progress_but_no_users_success():
    ledger = Ledger(Clock())

    with ledger.job(4, canary=True):
        pass

    assert ledger.progress().completed == 4
    assert ledger.progress().last_success_s is None


async def test_busy_is_the_time_with_any_users_work_in_flight():
    clock = Clock()
    ledger = Ledger(clock)
    with ledger.job(8, canary=True):
        clock.now += 4.0
    with ledger.job(3, canary=False):
        clock.now += 1.0
        with ledger.job(2, canary=False), ledger.job(8, canary=True):
            clock.now += 1.0
        inside = ledger.progress()
    clock.now += 5.0
    after = ledger.progress()

    assert (inside.busy_s, inside.served) == (2.0, 2)
    assert (after.busy_s, after.served) == (2.0, 5)


async def test_waiting_for_idle_has_a_limit():
    ledger = Ledger(Clock())
    with ledger.job(1, canary=False):
        assert not await ledger.wait_idle(0.01)
        waiting = asyncio.create_task(ledger.wait_idle(5.0))
        await asyncio.sleep(0)
    assert await waiting
