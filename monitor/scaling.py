"""PURE: how many replicas there shall be, and on which card one is placed.

Load is what is queued and how late answers are, never how busy a card is: a card under any load
at all reads near 100 %.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from monitor.model import Reason


@dataclass(frozen=True, slots=True)
class Place:
    """One card as a place for a replica.

    Attributes:
        usable: nothing is wrong with it that forbids a start. cordoned: an operator forbade it.
        free_ratio: memory that nobody alive holds, 0 to 1; None when it cannot be read.
    """

    uuid: str
    usable: bool
    cordoned: bool = False
    free_ratio: float | None = None


@dataclass(frozen=True, slots=True)
class Placement:
    """A card, or no card with a reason to wait; neither: the replica needs none."""

    gpu_uuid: str | None = None
    refused: Reason | None = None


CPU_ENGINES = frozenset({"embedded", "remote"})
"""Engines that need no card, and that no card's fault concerns."""

_LEAST_FREE = 0.5  # an engine takes most of a card: on one that is half full it cannot start


def place(
    places: Sequence[Place],
    taken: Mapping[str, int],
    *,
    preferred: str | None,
    engine: str,
) -> Placement:
    """Where the next process of a replica goes.

    Args:
        taken: replicas already on each card.
        preferred: where it was before: its files are warm there.
        engine: what it ran last, empty when not known yet; one that computes on the CPU needs
            no card.
    """
    if engine in CPU_ENGINES or not places:
        return Placement()
    fit = [
        one
        for one in places
        if one.usable
        and not one.cordoned
        and (one.free_ratio is None or one.free_ratio >= _LEAST_FREE)
    ]
    if not fit:
        well = any(one.usable and not one.cordoned for one in places)
        return Placement(refused=Reason.GPU_MEMORY_HELD if well else Reason.NO_GPU)
    best = min(
        fit,
        key=lambda one: (
            taken.get(one.uuid, 0),
            one.uuid != preferred,
            -(one.free_ratio or 0.0),
            one.uuid,
        ),
    )
    return Placement(best.uuid)


@dataclass(frozen=True, slots=True)
class Load:
    """What the gateway reports.

    Attributes:
        queued_tokens: estimated tokens admitted and not answered.
        p95_s: of the last minute; None when nothing was asked.
        poison: requests that the gateway's process refused because engines ended at them.
    """

    queued_tokens: float
    p95_s: float | None
    poison: float = 0.0


@dataclass(frozen=True, slots=True)
class ScalingLimits:
    """How eager scaling is.

    Attributes:
        low, high: fewest and most replicas; equal: no scaling.
        slo_s: latency objective at p95.
        tokens_per_replica: queued tokens for which one replica is enough.
        up_after_s, down_after_s: how long the load must ask for it.
        cooldown_s: after a change, before the next one.
    """

    low: int
    high: int
    slo_s: float = 0.38
    tokens_per_replica: float = 32_768.0
    up_after_s: float = 15.0
    down_after_s: float = 300.0
    cooldown_s: float = 60.0


@dataclass(frozen=True, slots=True)
class ScalingState:
    """What scaling remembers; moments of `time.monotonic()`."""

    size: int
    over_since: float | None = None
    under_since: float | None = None
    changed_at: float | None = None


def resize(
    state: ScalingState, load: Load | None, limits: ScalingLimits, now: float
) -> ScalingState:
    """The next state; `size` is how many replicas there shall be.

    Without a load that can be read nothing changes: blindness is no reason to take replicas away.
    """
    size = min(max(state.size, limits.low), limits.high)
    if size != state.size:
        return ScalingState(size, changed_at=now)
    if load is None or limits.low == limits.high:
        return ScalingState(size, changed_at=state.changed_at)
    over = _over(load, size, limits)
    under = not over and _under(load, size, limits)
    over_since = (state.over_since or now) if over else None
    under_since = (state.under_since or now) if under else None
    kept = ScalingState(size, over_since, under_since, state.changed_at)
    if state.changed_at is not None and now - state.changed_at < limits.cooldown_s:
        return kept
    if over_since is not None and now - over_since >= limits.up_after_s and size < limits.high:
        return ScalingState(size + 1, changed_at=now)
    if under_since is not None and now - under_since >= limits.down_after_s and size > limits.low:
        return ScalingState(size - 1, changed_at=now)
    return kept


def _over(load: Load, size: int, limits: ScalingLimits) -> bool:
    late = load.p95_s is not None and load.p95_s > limits.slo_s
    # late answers alone may be long documents; late with work waiting is too few replicas
    waiting = load.queued_tokens > limits.tokens_per_replica * size
    return waiting or (late and load.queued_tokens > limits.tokens_per_replica * size / 4)


def _under(load: Load, size: int, limits: ScalingLimits) -> bool:
    """One fewer would still have room to spare: the gap to `over` keeps it from swinging."""
    late = load.p95_s is not None and load.p95_s > 0.5 * limits.slo_s
    return not late and load.queued_tokens < 0.25 * limits.tokens_per_replica * (size - 1)
