"""PURE: may this receiver be tried now? A circuit for receivers that fail, a rate for all."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from alerts.message import Outcome, Verdict


class Circuit(str, Enum):
    """Closed: it works. Open: it fails and is left alone. Half open: the next try is a probe."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class GateLimits:
    """What a receiver bears.

    Attributes:
        failures: failed tries in a row that open the circuit.
        probe_s, probe_cap_s: first and longest wait before a probe; doubles with each failure.
        per_minute: messages a minute in the long run. burst: at once.
    """

    failures: int = 3
    probe_s: float = 5.0
    probe_cap_s: float = 60.0
    per_minute: float = 60.0
    burst: int = 10


@dataclass(frozen=True, slots=True)
class Gate:
    """One receiver's state. Times in Unix seconds.

    Attributes:
        failed: failed tries in a row. failing_since: of the first of them.
        blocked_until: no try before; the circuit's or the receiver's own wish.
        tokens: messages that may be sent at once, as of `filled_at`.
    """

    failed: int = 0
    failing_since: float | None = None
    blocked_until: float = 0.0
    tokens: float = 0.0
    filled_at: float | None = None

    def circuit(self, now: float, limits: GateLimits) -> Circuit:
        if self.failed < limits.failures:
            return Circuit.CLOSED
        return Circuit.OPEN if now < self.blocked_until else Circuit.HALF_OPEN


def ready_at(gate: Gate, now: float, limits: GateLimits) -> float:
    """When the next try may be made, in Unix seconds; not after `now` when it may be made now."""
    if is_ahead(gate, now):
        gate = set_back(gate, now)
    tokens = _tokens(gate, now, limits)
    wait_s = 0.0 if tokens >= 1.0 else (1.0 - tokens) * 60.0 / limits.per_minute
    return max(gate.blocked_until, now + wait_s)


def is_ahead(gate: Gate, now: float) -> bool:
    """Whether the last try lies in the future: the clock was set back since."""
    return gate.filled_at is not None and gate.filled_at > now


def set_back(gate: Gate, now: float) -> Gate:
    """The same gate as if its last try had been just now: what waits, waits no longer for it."""
    by_s = max(0.0, (gate.filled_at if gate.filled_at is not None else now) - now)
    since = gate.failing_since
    return replace(
        gate,
        failing_since=None if since is None else since - by_s,
        blocked_until=max(0.0, gate.blocked_until - by_s),
        filled_at=now,
    )


def take(gate: Gate, now: float, limits: GateLimits) -> Gate:
    """Pay for one try."""
    return replace(gate, tokens=_tokens(gate, now, limits) - 1.0, filled_at=now)


def after(gate: Gate, outcome: Outcome, now: float, limits: GateLimits) -> Gate:
    """What a try does to the gate. A refused message says nothing against the receiver."""
    if outcome.verdict in {Verdict.DELIVERED, Verdict.REFUSED}:
        return replace(gate, failed=0, failing_since=None, blocked_until=0.0)
    failed = gate.failed + 1
    blocked = 0.0
    if failed >= limits.failures:
        doublings = min(failed - limits.failures, 20)
        blocked = now + min(limits.probe_cap_s, limits.probe_s * 2.0**doublings)
    if outcome.retry_after_s is not None:
        # it asked everybody to wait, not only this message
        blocked = max(blocked, now + min(outcome.retry_after_s, 3600.0))
    since = gate.failing_since if gate.failing_since is not None else now
    return replace(gate, failed=failed, failing_since=since, blocked_until=blocked)


def _tokens(gate: Gate, now: float, limits: GateLimits) -> float:
    if gate.filled_at is None:
        return float(limits.burst)
    passed_s = max(0.0, now - gate.filled_at)
    return min(float(limits.burst), gate.tokens + passed_s * limits.per_minute / 60.0)
