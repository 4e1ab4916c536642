"""Delivers one receiver's messages, one at a time, in order. Has no thread of its own."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from alerts import retry
from alerts.message import Verdict
from alerts.outbox import Outbox, State
from alerts.retry import Next, RetryLimits
from alerts.sender import Sender

LOG = logging.getLogger("rankguard.alerts")

CLOSED_AS = {Next.DONE: State.SENT, Next.FAILED: State.FAILED, Next.EXPIRED: State.EXPIRED}


@dataclass(slots=True)
class Tally:
    """What a courier did since it was made."""

    sent: int = 0
    tries_failed: int = 0
    last_error: str = ""
    last_sent_at: float | None = None


class Courier:
    """One receiver's delivery."""

    def __init__(
        self,
        name: str,
        sender: Sender,
        outbox: Outbox,
        *,
        limits: RetryLimits,
        clock: Callable[[], float],
        jitter: Callable[[], float],
    ) -> None:
        self.name = name
        self.tally = Tally()
        self._sender = sender
        self._outbox = outbox
        self._limits = limits
        self._clock = clock
        self._jitter = jitter

    def step(self) -> bool:
        """Try the next message that is due. False when there was none."""
        limits = self._limits
        horizon_s = max(limits.cap_s, limits.retry_after_cap_s) + 1
        entry = self._outbox.due(self.name, self._clock(), horizon_s)
        if entry is None:
            return False
        outcome = self._sender.send(entry.message)
        now = self._clock()
        decision = retry.decide(
            outcome,
            attempts=entry.attempts + 1,
            created_at=entry.message.created_at,
            now=now,
            jitter=self._jitter(),
            limits=limits,
        )
        if outcome.verdict is Verdict.DELIVERED:
            self.tally.sent += 1
            self.tally.last_sent_at = now
        else:
            self.tally.tries_failed += 1
            self.tally.last_error = outcome.detail
            LOG.warning("alert to %s: %s: %s", self.name, decision.reason, outcome.detail)
        if decision.next is Next.AGAIN:
            self._outbox.postpone(entry.seq, decision.at, outcome.detail)
        else:
            self._outbox.finish(entry.seq, CLOSED_AS[decision.next], outcome.detail, now)
        return True

    def wait_s(self, at_most_s: float) -> float:
        """Seconds until the next try is due."""
        at = self._outbox.next_due_at(self.name)
        if at is None:
            return at_most_s
        return min(at_most_s, max(0.0, at - self._clock()))
