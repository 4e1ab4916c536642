import asyncio
import threading

import numpy as np
import pytest

from service.errors import EngineFailed, InvalidValue, NoCapacity
from service.worker.engines.e5.pool import FAILED_PASSES, Pool


def window(value: int, length: int = 10) -> np.ndarray:
    return np.full(length, value, dtype=np.int32)


class Gate:
    """An embed function that waits until it is opened; its embedding is the window's first id."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.entered = threading.Event()
        self.seen: list[int] = []

    def __call__(self, windows):
        self.entered.set()
        self.open.wait(5)
        self.seen += [int(one[0]) for one in windows]
        return np.array([[one[0]] for one in windows], dtype=np.float32)


@pytest.fixture
def gate():
    gate = Gate()
    yield gate
    gate.open.set()


@pytest.fixture
def pool(gate):
    pool = Pool(gate, 1, 1, max_waiting_tokens=1000, pass_tokens=20)
    yield pool
    gate.open.set()
    pool.close()


async def blocked(pool: Pool, gate: Gate) -> asyncio.Task:
    """Keep the only thread busy with a window of its own."""
    task = asyncio.create_task(pool.embed([window(99)]))
    await asyncio.to_thread(gate.entered.wait, 5)
    return task


async def test_embeddings_come_back_in_order_whatever_their_lengths(pool, gate):
    gate.open.set()
    windows = [window(index, 1 + (index * 7) % 19) for index in range(30)]
    assert (await pool.embed(windows))[:, 0].tolist() == list(range(30))


async def test_nothing_to_embed_is_answered_at_once(pool):
    assert (await pool.embed([])).shape == (0, 1)


async def test_each_pass_is_a_step(pool, gate):
    gate.open.set()
    await pool.embed([window(1), window(2), window(3)])
    assert pool.steps() == 2  # two windows of ten tokens in each


async def test_a_cancelled_job_is_not_computed(pool, gate):
    first = await blocked(pool, gate)
    cancelled = asyncio.create_task(pool.embed([window(index) for index in range(10)]))
    await asyncio.sleep(0)
    cancelled.cancel()
    await asyncio.gather(cancelled, return_exceptions=True)
    assert pool.waiting() == 0
    gate.open.set()
    await first
    await pool.embed([window(42)])
    assert gate.seen == [99, 42]


async def test_a_full_queue_refuses_with_a_time_to_come_back(pool, gate):
    first = await blocked(pool, gate)
    second = asyncio.create_task(pool.embed([window(1, 600)]))
    await asyncio.sleep(0)
    with pytest.raises(NoCapacity) as refused:
        await pool.embed([window(2, 600)])
    assert refused.value.retry_after_s
    gate.open.set()
    await asyncio.gather(first, second)


async def test_a_job_that_never_fits_is_the_callers_error(pool):
    with pytest.raises(InvalidValue) as refused:
        await pool.embed([window(1, 600), window(1, 600)])
    assert refused.value.param == "documents"


async def test_closing_fails_what_waits_and_what_comes_later(pool, gate):
    first = await blocked(pool, gate)
    second = asyncio.create_task(pool.embed([window(1)]))
    await asyncio.sleep(0)
    closing = asyncio.create_task(asyncio.to_thread(pool.close))
    answers = await asyncio.gather(first, second, return_exceptions=True)
    gate.open.set()
    await closing
    assert [type(answer) for answer in answers] == [EngineFailed, EngineFailed]
    with pytest.raises(EngineFailed):
        await pool.embed([window(2)])


async def test_one_failed_pass_fails_its_jobs_and_no_other():
    def embed(windows):
        if any(one[0] == 13 for one in windows):
            raise MemoryError("no room")
        return np.zeros((len(windows), 1), dtype=np.float32)

    causes: list[str] = []
    pool = Pool(embed, 1, 1, dead=causes.append)
    with pytest.raises(EngineFailed):
        await pool.embed([window(13)])
    assert (await pool.embed([window(1)])).shape == (1, 1)
    assert causes == []
    pool.close()


async def test_failing_again_and_again_is_told_once_as_death():
    def embed(windows):
        raise RuntimeError("broken")

    causes: list[str] = []
    pool = Pool(embed, 1, 1, dead=causes.append)
    for _ in range(FAILED_PASSES + 2):
        with pytest.raises(EngineFailed):
            await pool.embed([window(1)])
    pool.close()
    assert len(causes) == 1
    assert "broken" in causes[0]
