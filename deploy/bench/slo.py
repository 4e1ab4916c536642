"""The highest rate that meets an objective, and how many replicas a wanted rate needs. PURE."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from deploy.bench.latency import Summary

MOST_TRIALS = 12
HEADROOM = 0.7
"""Share of a replica's highest rate to plan with: one of four may be restarting, and queues
grow without bound near 1 (M/D/1: the mean wait doubles from 0.7 to 0.82)."""


@dataclass(frozen=True, slots=True)
class Objective:
    """Latency from the intended send time, at a percentile, and the allowed share of failures."""

    percentile: int
    limit_ms: float
    failures: float = 0.0


class Met(str, Enum):
    """Whether a run met the objective, and if not, why."""

    YES = "yes"
    SLOW = "slow"
    FAILURES = "failures"
    WRONG = "wrong"
    NOTHING = "nothing"
    NOT_ASKED = "not_asked"


@dataclass(frozen=True, slots=True)
class Trial:
    """One run at a rate."""

    rate: float
    met: Met
    summary: Summary


def judge(objective: Objective, summary: Summary) -> Met:
    """Compare a run with the objective.

    `wrong`: of at least ten checks fewer than half had the right document first (one in four
    would be chance): the endpoint answers fast, but noise.
    """
    if not summary.requests or summary.failed == summary.requests:
        return Met.NOTHING if not summary.requests else Met.FAILURES
    if summary.failed > objective.failures * summary.requests:
        return Met.FAILURES
    if summary.checks >= 10 and summary.checks_right * 2 < summary.checks:
        return Met.WRONG
    reached = {50: summary.p50_ms, 95: summary.p95_ms, 99: summary.p99_ms}[objective.percentile]
    return Met.YES if reached <= objective.limit_ms else Met.SLOW


def next_rate(
    trials: Sequence[Trial], *, first: float, resolution: float = 0.1, lowest: float = 0.05
) -> float | None:
    """The rate to try next; None when the answer is known within `resolution`.

    Doubles until a rate fails, halves until one passes, then takes the geometric middle.
    """
    if not trials:
        return first
    if len(trials) >= MOST_TRIALS or any(each.met is Met.WRONG for each in trials):
        return None
    passed = max((each.rate for each in trials if each.met is Met.YES), default=0.0)
    failed = min((each.rate for each in trials if each.met is not Met.YES), default=math.inf)
    if math.isinf(failed):
        return passed * 2
    if passed == 0.0:
        return failed / 2 if failed / 2 >= lowest else None
    if failed <= passed * (1 + resolution):
        return None
    return math.sqrt(passed * failed)


def best(trials: Sequence[Trial]) -> Trial | None:
    """The fastest run that met the objective."""
    met = [each for each in trials if each.met is Met.YES]
    return max(met, key=lambda each: each.rate, default=None)


def replicas_for(wanted: float, measured: float, *, replicas: int) -> int:
    """Replicas that a wanted rate needs.

    Args:
        measured: the highest rate that met the objective, with `replicas` of them running.

    Raises:
        ValueError: a number is not positive.
    """
    if wanted <= 0 or measured <= 0 or replicas < 1:
        raise ValueError("rates and replicas must be positive")
    return max(1, math.ceil(wanted / (measured / replicas * HEADROOM)))
