"""PURE: what the gateway's own counters say that somebody must be told."""

from __future__ import annotations

from dataclasses import dataclass

from monitor.cardhealth import Finding

_QUIET_S = 600.0  # as long as the gateway refuses a text


@dataclass(frozen=True, slots=True)
class Refusals:
    """Requests refused because engines ended at them; moments of `time.monotonic()`.

    Attributes:
        total: of the gateway's present process; None before the first look.
        recent: since it was quiet last. at: of the newest.
    """

    total: float | None = None
    recent: float = 0.0
    at: float | None = None

    def after(self, total: float, now: float) -> Refusals:
        """The next state; a counter that went back began anew."""
        known = total if self.total is None else self.total
        added = total - known if total >= known else total
        if added <= 0:
            return Refusals(total, self.recent, self.at)
        quiet = self.at is None or now - self.at >= _QUIET_S
        return Refusals(total, added if quiet else self.recent + added, now)

    def missed(self) -> Refusals:
        """The gateway did not answer; one that never did yet begins to count from nothing."""
        return Refusals(0.0) if self.total is None else self

    def findings(self, now: float) -> tuple[Finding, ...]:
        if self.at is None or now - self.at >= _QUIET_S:
            return ()
        detail = f"{self.recent:.0f} requests refused: engines ended while they scored them"
        return (Finding("PoisonRequest", "poison_request", detail),)
