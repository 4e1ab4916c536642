"""When growing memory is a leak, and when it only looks like one."""

from __future__ import annotations

import math
import random

import pytest

from monitor.leak import LeakLimits, MemoryTrack

MIB = 2**20
LIMITS = LeakLimits(bytes_per_h=100 * MIB, window_s=3600.0, settle_s=600.0)


def grown(hours: float, used, limits=LIMITS, every_s=30.0) -> float | None:
    """The growth found after so many hours; `used` maps hours to MiB."""
    track = MemoryTrack(0.0)
    for tick in range(int(hours * 3600 / every_s)):
        at = tick * every_s
        track.see(int(used(at / 3600) * MIB), limits, at)
    return track.growth(limits)


NOISE = random.Random(7)


@pytest.mark.parametrize(
    ("hours", "used", "leaks"),
    [
        pytest.param(3, lambda h: 1000, False, id="flat"),
        pytest.param(3, lambda h: 1000 + 200 * h, True, id="a straight line"),
        pytest.param(3, lambda h: 1000 + 90 * h, False, id="a line below the limit"),
        pytest.param(1, lambda h: 1000 + 200 * h, False, id="too early to say"),
        pytest.param(3, lambda h: 5000 - 200 * h, False, id="it shrinks"),
        pytest.param(3, lambda h: 1000 + 200 * h + NOISE.uniform(-40, 40), True, id="a noisy line"),
        pytest.param(3, lambda h: 1000 + NOISE.uniform(-200, 200), False, id="noise alone"),
        pytest.param(3, lambda h: 1000 + 3000 * (h > 2.5), False, id="one step"),
        pytest.param(3, lambda h: 1000 + 3000 * (h > 2.25), False, id="one step, early"),
        pytest.param(
            3, lambda h: 1000 + 500 * (int(h * 6) % 2), False, id="up and down with the load"
        ),
        pytest.param(
            3, lambda h: 1000 + 200 * h + 100 * math.sin(40 * h), True, id="a line under a wave"
        ),
        pytest.param(
            3, lambda h: 4000 * (1 - math.exp(-6 * h)), False, id="a cache that fills and is full"
        ),
        pytest.param(3, lambda h: 1000 + 50 * int(h * 4), True, id="a staircase that does not end"),
    ],
)
def test_memory_leaks_when_it_grows_and_goes_on_growing(hours, used, leaks):
    assert (grown(hours, used) is not None) is leaks


def test_the_growth_is_told_in_bytes_per_hour():
    assert grown(3, lambda h: 1000 + 200 * h) == pytest.approx(200 * MIB, rel=0.02)


def test_growth_at_the_beginning_does_not_count():
    quick = LeakLimits(100 * MIB, window_s=600.0, settle_s=600.0)

    assert grown(0.33, lambda h: 1000 + 6000 * min(h, 0.16), quick) is None


def test_without_a_limit_nothing_is_a_leak():
    assert grown(3, lambda h: 1000 + 9000 * h, LeakLimits(None)) is None


def test_the_memory_of_a_track_is_bounded():
    track = MemoryTrack(0.0)
    for tick in range(20_000):
        track.see(tick, LIMITS, tick * 0.5 + 1000)

    assert len(track._samples) <= 62
