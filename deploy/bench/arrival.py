"""When an open loop sends: times set before the run. PURE: seeded."""

from __future__ import annotations

import random


def poisson(rate: float, seconds: float, *, seed: int) -> list[float]:
    """Arrival times in seconds from the start, independent of each other, `rate` a second.

    Raises:
        ValueError: rate or duration is not positive.
    """
    return bursts(rate, seconds, size=1, seed=seed)


def bursts(rate: float, seconds: float, *, size: int, seed: int) -> list[float]:
    """Like `poisson`, but `size` requests at each time and the same mean rate."""
    if rate <= 0 or seconds <= 0 or size < 1:
        raise ValueError("rate, duration and burst size must be positive")
    source = random.Random(seed)
    times: list[float] = []
    at = source.expovariate(rate / size)
    while at < seconds:
        times += [at] * size
        at += source.expovariate(rate / size)
    return times
