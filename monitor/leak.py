"""PURE: whether memory grows and goes on growing: the slope over a window, robust against steps.

A worker takes memory while it warms up and gives some back now and then. So the first minutes do
not count, the slope is the median over all pairs of samples that lie far apart (Theil and Sen), and
the floor of each third of the window must lie above that of the one before.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

_POINTS = 60  # samples behind a slope: the window is thinned to so many
_STEP = 0.2  # of the growth must lie in either half of it


@dataclass(frozen=True, slots=True)
class LeakLimits:
    """When growth is a leak.

    Attributes:
        bytes_per_h: growth from which it is one; None: never.
        window_s: how long it must have grown like that.
        settle_s: at the beginning of a generation memory may grow as it likes.
    """

    bytes_per_h: float | None = None
    window_s: float = 3600.0
    settle_s: float = 600.0


class MemoryTrack:
    """Samples of one kind of memory of one generation; bounded."""

    def __init__(self, began: float) -> None:
        """Begin with the generation, at `time.monotonic()` seconds."""
        self._began = began
        self._samples: deque[tuple[float, int]] = deque(maxlen=2 * _POINTS)

    def see(self, used_bytes: int, limits: LeakLimits, now: float) -> None:
        """Take one reading; those that come faster than the window needs are left out."""
        if now - self._began < limits.settle_s:
            return
        every_s = limits.window_s / _POINTS
        if self._samples and now - self._samples[-1][0] < every_s * 0.99:
            return
        self._samples.append((now, used_bytes))
        while len(self._samples) > 2 and now - self._samples[1][0] >= limits.window_s:
            self._samples.popleft()

    def growth(self, limits: LeakLimits) -> float | None:
        """Bytes per hour when it leaks, None when it does not or when it is too early to say."""
        limit = limits.bytes_per_h
        samples = tuple(self._samples)
        if limit is None or len(samples) < 9:
            return None
        if samples[-1][0] - samples[0][0] < 0.95 * limits.window_s:
            return None
        found = slope(samples) * 3600.0
        return found if found >= limit and keeps_growing(samples) else None


def slope(samples: Sequence[tuple[float, int]]) -> float:
    """Bytes per second: the median over pairs that are at least a third of the window apart."""
    third = len(samples) // 3
    slopes = [
        (later - earlier) / (then - at)
        for index, (at, earlier) in enumerate(samples)
        for then, later in samples[index + third :]
        if then > at
    ]
    return median(slopes) if slopes else 0.0


def keeps_growing(samples: Sequence[tuple[float, int]]) -> bool:
    """Whether the floor rises from each third of the window to the next: not in a single step."""
    third = len(samples) // 3
    first, second, last = (
        min(used for _, used in samples[begin : begin + third]) for begin in (0, third, 2 * third)
    )
    least = _STEP * (last - first)
    return last > first and second - first >= least and last - second >= least
