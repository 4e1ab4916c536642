"""PURE: does an alert change so often that each change is no news?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True)
class FlapLimits:
    """Flapping: at least `changes` within `window_s`. Over: none for `quiet_s`. Seconds."""

    changes: int = 6
    window_s: float = 600.0
    quiet_s: float = 180.0


class Flap(str, Enum):
    """What the changes say."""

    STEADY = "steady"
    BEGAN = "flapping_began"
    CONTINUES = "flapping"
    ENDED = "flapping_ended"


def assess(changes: Sequence[float], *, flapping: bool, now: float, limits: FlapLimits) -> Flap:
    """Judge the times of the last status changes, newest last, in Unix seconds.

    A clock that was set back makes changes lie in the future; they count as just now.
    """
    last = min(changes[-1], now) if changes else float("-inf")
    if flapping:
        return Flap.ENDED if now - last >= limits.quiet_s else Flap.CONTINUES
    recent = sum(1 for at in changes if now - at <= limits.window_s)
    return Flap.BEGAN if recent >= limits.changes else Flap.STEADY
