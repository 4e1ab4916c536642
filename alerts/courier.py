"""Delivers one receiver's messages, one at a time, in order. Has no thread of its own."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from alerts import gate as gates
from alerts import retry
from alerts.gate import Circuit, Gate, GateLimits
from alerts.held import digest
from alerts.message import Kind, Outcome, Verdict
from alerts.model import Alert, Status
from alerts.names import DELIVERY_FAILING
from alerts.outbox import Entry, Outbox, State
from alerts.retry import Next, RetryLimits
from alerts.sender import Sender

LOG = logging.getLogger("rankguard.alerts")

CLOSED_AS = {Next.DONE: State.SENT, Next.FAILED: State.FAILED, Next.EXPIRED: State.EXPIRED}

AT_ONCE = 500
"""Messages looked at when many are rolled up or handed to the fallback."""

FRESH_S = 60.0
"""After an outage even messages that are not late join the digest, unless they are this fresh."""

WORTH_A_DIGEST = 3
"""Fewer late messages than this are sent as they are."""


@dataclass(frozen=True, slots=True)
class CourierRules:
    """How one receiver is served.

    Attributes:
        fallback: the receiver that stands in; empty when none does.
        fallback_after_s: how long the receiver may fail before that.
        digest_after_s: messages that are later than this come as one; 0: never.
    """

    retry: RetryLimits = field(default_factory=RetryLimits)
    gate: GateLimits = field(default_factory=GateLimits)
    fallback: str = ""
    fallback_after_s: float = 60.0
    digest_after_s: float = 0.0


@dataclass(slots=True)
class Tally:
    """What a courier did since it was made. Written by its thread only."""

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
        rules: CourierRules,
        clock: Callable[[], float],
        jitter: Callable[[], float],
    ) -> None:
        self.name = name
        self.tally = Tally()
        self.gate = Gate()
        self._sender = sender
        self._outbox = outbox
        self._rules = rules
        self._clock = clock
        self._jitter = jitter

    @property
    def works(self) -> bool:
        """Something was delivered, and nothing has failed since."""
        return self.tally.sent > 0 and self.gate.failing_since is None

    def circuit(self) -> Circuit:
        return self.gate.circuit(self._clock(), self._rules.gate)

    def step(self) -> bool:
        """Try the next message that is due. False when none was tried."""
        now = self._clock()
        if gates.is_ahead(self.gate, now):
            # the clock was set back: nobody waits longer for that
            self.gate = gates.set_back(self.gate, now)
            self._outbox.hasten(self.name, now)
        if gates.ready_at(self.gate, now, self._rules.gate) > now:
            return False
        if self.gate.failed == 0:
            self._roll_up(now)
        limits = self._rules.retry
        horizon_s = max(limits.cap_s, limits.retry_after_cap_s) + 1
        entry = self._outbox.due(self.name, now, horizon_s)
        if entry is None:
            return False
        self.gate = gates.take(self.gate, now, self._rules.gate)
        self._settle(entry, self._send(entry))
        return True

    def wait_s(self, at_most_s: float) -> float:
        """Seconds until the next try may be made."""
        at = self._outbox.next_due_at(self.name)
        if at is None:
            return at_most_s
        now = self._clock()
        at = max(at, gates.ready_at(self.gate, now, self._rules.gate))
        return min(at_most_s, max(0.0, at - now))

    def close(self) -> None:
        self._sender.close()

    def _send(self, entry: Entry) -> Outcome:
        try:
            return self._sender.send(entry.message)
        except Exception as error:
            # a fault of ours in one message must not hold up the others
            LOG.exception("alerts: %s cannot send %s", self.name, entry.message.key)
            return Outcome(Verdict.REFUSED, f"fault in the sender: {type(error).__name__}")

    def _settle(self, entry: Entry, outcome: Outcome) -> None:
        now = self._clock()
        was_failing = self.gate.failed > 0
        self.gate = gates.after(self.gate, outcome, now, self._rules.gate)
        decision = retry.decide(
            outcome,
            attempts=entry.attempts + 1,
            created_at=entry.message.created_at,
            now=now,
            jitter=self._jitter(),
            limits=self._rules.retry,
        )
        # the fallback first: killed in between, the try is made again, and nothing is lost
        if decision.next is Next.DONE:
            self._end_for_fallback(entry, now)
        elif decision.next is not Next.AGAIN:
            self._stand_in(entry, now)
        if decision.next is Next.AGAIN:
            self._outbox.postpone(entry, decision.at, outcome.detail)
        else:
            self._outbox.finish(entry, CLOSED_AS[decision.next], outcome.detail, now)
        if outcome.verdict is Verdict.DELIVERED:
            self._delivered(now, was_failing=was_failing)
        else:
            self._failed(outcome, now)
            # the first one, the one that opens the circuit, and then one in twenty
            loud = self.gate.failed in {0, 1, self._rules.gate.failures} or not (
                self.gate.failed % 20
            )
            level = logging.WARNING if loud else logging.DEBUG
            LOG.log(level, "alert to %s: %s: %s", self.name, decision.reason, outcome.detail)

    def _delivered(self, now: float, *, was_failing: bool) -> None:
        self.tally.sent += 1
        self.tally.last_sent_at = now
        if was_failing:
            LOG.info("alert to %s: it works again", self.name)
            self._outbox.hasten(self.name, now)

    def _end_for_fallback(self, entry: Entry, now: float) -> None:
        """Who was told that it fires is told that it ended."""
        fallback = self._rules.fallback
        ended = entry.message.status is Status.RESOLVED and not entry.origin
        if fallback and ended and self._outbox.stood_in(entry, fallback):
            self._stand_in(entry, now)

    def _failed(self, outcome: Outcome, now: float) -> None:
        self.tally.tries_failed += 1
        self.tally.last_error = outcome.detail
        since = self.gate.failing_since
        if (
            self._rules.fallback
            and since is not None
            and now - since >= self._rules.fallback_after_s
        ):
            before = now - self._rules.fallback_after_s
            for waiting in self._outbox.stale(self.name, before, AT_ONCE):
                self._stand_in(waiting, now)

    def _stand_in(self, entry: Entry, now: float) -> None:
        """Give the message to the fallback, unless it is there in another's place already."""
        fallback = self._rules.fallback
        if not fallback:
            return
        about_fallback = all(
            alert.name == DELIVERY_FAILING and alert.labels.get("receiver") == fallback
            for alert in entry.message.alerts
        )
        if not entry.origin and not about_fallback:
            self._outbox.stand_in(entry, fallback, f"stands_in:{self.name}", now)

    def _roll_up(self, now: float) -> None:
        """After an outage: what is late and over comes as one, what still fires by itself."""
        after_s = self._rules.digest_after_s
        if after_s <= 0:
            return
        late = self._outbox.stale(self.name, now - after_s, AT_ONCE)
        if len(late) < WORTH_A_DIGEST:
            return
        late = self._outbox.stale(self.name, now - FRESH_S, AT_ONCE)
        newest = {entry.message.group: entry.seq for entry in late}
        rolled = [
            entry
            for entry in late
            if entry.message.kind is Kind.DIGEST
            or entry.message.status is Status.RESOLVED
            or newest[entry.message.group] != entry.seq
        ]
        if len(rolled) < WORTH_A_DIGEST:
            return
        alerts: dict[tuple[str, int], Alert] = {}
        left_out = 0
        for entry in rolled:
            left_out += entry.message.left_out
            for alert in entry.message.alerts:
                alerts[alert.fingerprint, alert.incident] = alert
            self._end_for_fallback(entry, now)
        message = digest(
            self.name, list(alerts.values()), now, reason="late_after_outage", left_out=left_out
        )
        self._outbox.roll_up(rolled, replace(message, note="late"), now)
