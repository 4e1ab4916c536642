from __future__ import annotations

import asyncio
import sys

import pytest

from service.gateway.timelimit import TimeLimit


async def test_a_block_in_time_is_left_alone():
    async with TimeLimit(1.0):
        await asyncio.sleep(0)


@pytest.mark.parametrize("seconds", [0.01, 0.0, -1.0])
async def test_a_block_over_time_is_ended(seconds):
    with pytest.raises(asyncio.TimeoutError):
        async with TimeLimit(seconds):
            await asyncio.sleep(10)
    # and the task is as before
    await asyncio.sleep(0)


async def test_a_block_that_fails_fails_as_it_does():
    with pytest.raises(ZeroDivisionError):
        async with TimeLimit(1.0):
            raise ZeroDivisionError


async def test_cancelling_from_outside_is_no_timeout():
    async def work() -> None:
        async with TimeLimit(10.0):
            await asyncio.sleep(10)

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_limits_nest():
    with pytest.raises(asyncio.TimeoutError):
        async with TimeLimit(10.0), TimeLimit(0.01):
            await asyncio.sleep(10)


@pytest.mark.skipif(sys.version_info < (3, 11), reason="tasks do not count cancellations")
async def test_cancelling_in_the_moment_of_the_timeout_is_still_cancelling():
    limit = TimeLimit(10.0)

    async def work() -> None:
        async with limit:
            await asyncio.sleep(10)

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    limit._fire()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
