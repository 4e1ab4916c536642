"""From a transition to a delivered message: the part that the watchdog embeds.

`accept` makes a transition durable. One thread plans: transitions become messages in the outbox.
One thread per receiver delivers, so that a hanging receiver holds up nobody else.
"""

from __future__ import annotations

import contextlib
import logging
import random
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from alerts.courier import Courier
from alerts.crew import Crew
from alerts.database import Database
from alerts.delivery import delivery_alerts
from alerts.desk import Desk
from alerts.heartbeat import heartbeat_of
from alerts.ledger import Ledger
from alerts.message import Message
from alerts.model import Alert
from alerts.orders import Orders
from alerts.outbox import Outbox
from alerts.plan import Round
from alerts.planner import Planner
from alerts.receivers import AlertmanagerReceiver, Receiver
from alerts.rules import courier_rules_of, rules_of
from alerts.sender import Sender
from alerts.senders.build import build
from alerts.settings import AlertSettings
from alerts.snapshot import PipelineSnapshot, ReceiverSnapshot
from alerts.trim import trim

__all__ = ["Pipeline", "PipelineSnapshot", "ReceiverSnapshot"]

LOG = logging.getLogger("rankguard.alerts")

PLAN_IDLE_S = 1.0
"""How long the planner sleeps at most: commands write silences to the same tables."""

DELIVER_IDLE_S = 5.0

HEAL_S = 10.0
"""Between two tries to move from memory back to disk."""

PRUNE_S = 600.0

STUCK_S = 60.0
"""A planner that has not turned for so long tells nobody anything: the heartbeat stops."""

BATCH = 500
"""Transitions planned in one transaction."""

Clock = Callable[[], float]
MakeSender = Callable[[Receiver, AlertSettings, Clock], Sender]


class Pipeline:
    """Alerts of one watchdog."""

    def __init__(
        self,
        settings: AlertSettings,
        database: Path,
        *,
        host: str,
        clock: Clock = time.time,
        jitter: Callable[[], float] = random.random,
        healthy: Callable[[], bool] = lambda: True,
        make_sender: MakeSender = build,
    ) -> None:
        """Open the tables and build the receivers; starts nothing.

        Args:
            healthy: asked before every heartbeat; must not block.

        Raises:
            alerts.senders.build.SecretError: a receiver's secret cannot be read.
            alerts.senders.apprise.AppriseMissing: a receiver needs Apprise.
            alerts.senders.template.TemplateError: a webhook's template cannot be used.
        """
        self._settings = settings
        self._host = host
        self._clock = clock
        senders = [(each, make_sender(each, settings, clock)) for each in settings.receivers]
        self._heartbeat = heartbeat_of(
            settings,
            host,
            clock,
            healthy=lambda: healthy() and self._turns(),
            make_sender=make_sender,
        )
        self._turned_at = time.monotonic()
        self._database = Database(database)
        self._ledger = Ledger(self._database)
        self._outbox = Outbox(self._database)
        self._orders = Orders(self._database)
        self.desk = Desk(self._database, clock)
        self._planner = Planner(rules_of(settings), self._ledger.state())
        self._blind = not self._database.durable
        self.couriers = tuple(
            Courier(
                receiver.name,
                sender,
                self._outbox,
                rules=courier_rules_of(receiver),
                clock=clock,
                jitter=jitter,
            )
            for receiver, sender in senders
        )
        self._abandon(clock())
        self._types = {receiver.name: receiver.type for receiver in settings.receivers}
        self._wake_at: float | None = clock()
        self._orders_seen: object = None
        self._healed_at = self._pruned_at = self._rounded_at = clock()
        self._last = PipelineSnapshot(clock(), self._database.durable, self._database.notice, ())
        self._crew = Crew()

    # what the watchdog calls

    def accept(self, alerts: Sequence[Alert]) -> None:
        """Keep the transitions; durable when it returns, and nothing new for an id seen before."""
        if alerts:
            self._ledger.record([trim(alert) for alert in alerts], self._clock())
            self._crew.wake()

    def acknowledge(
        self, incident: int, *, author: str, comment: str = "", fingerprint: str = ""
    ) -> list[Alert]:
        """Somebody takes an incident: no repeats, no escalation. The alerts that were taken."""
        taken = self.desk.acknowledge(
            incident=incident, author=author, comment=comment, fingerprint=fingerprint
        )
        self._crew.wake()
        return taken

    def start(self) -> None:
        """Start planning and delivering, beginning with what an earlier process left."""
        self._turned_at = time.monotonic()
        self._crew.begin("plan", self._plan_job)
        for courier in self.couriers:
            self._crew.begin(courier.name, _deliver_job(courier))
        if self._heartbeat is not None:
            self._crew.begin("heartbeat", self._beat_job, wakes=False)

    def stop(self, timeout_s: float) -> None:
        """Stop the threads.

        A try in progress may finish within `timeout_s`; the rest waits on disk for the next start.
        """
        if self._crew.stop(timeout_s):
            for courier in self.couriers:
                courier.close()
            self._database.close()

    def snapshot(self) -> PipelineSnapshot:
        """What waits, what failed, what was sent. Reads the tables; a few milliseconds.

        After `stop` it is the last one that was asked for.
        """
        with contextlib.suppress(sqlite3.ProgrammingError):  # the database is closed
            self._last = self._look()
        return self._last

    def _look(self) -> PipelineSnapshot:
        now = self._clock()
        beat = self._heartbeat.last if self._heartbeat is not None else None
        return PipelineSnapshot(
            at=now,
            durable=self._database.durable,
            notice=self._database.notice or ("" if self._turns() else "the planner stands still"),
            receivers=tuple(self._receiver_snapshot(courier, now) for courier in self.couriers),
            silences=len(self.desk.silences()),
            heartbeat=beat.verdict.value if beat is not None else "",
        )

    # one step of each job; tests call these without threads

    def plan_once(self) -> bool:
        """Take in transitions and decide what is to be sent. False when there was no cause to."""
        planned = self._plan()
        self._turned_at = time.monotonic()
        return planned

    def _plan(self) -> bool:
        now = self._clock()
        self._keep_house(now)
        alerts = self._ledger.unplanned(BATCH)
        silences = self._orders.silences(now)
        acknowledged = frozenset(
            (each.fingerprint, each.incident) for each in self._orders.acknowledgements()
        )
        orders = (tuple(each.id for each in silences), acknowledged)
        due = self._wake_at is not None and self._wake_at <= now
        if not (alerts or due or orders != self._orders_seen or now < self._rounded_at):
            return False
        pending = self._outbox.pending_conversations()
        plan = self._planner.round(Round(alerts, silences, acknowledged, pending, now))
        try:
            self._ledger.plan(plan.decisions, self._honest(plan.messages), plan.state, now)
        except BaseException:
            # the planner must not know of messages that were not recorded
            self._planner = Planner(rules_of(self._settings), self._ledger.state())
            raise
        self._wake_at, self._orders_seen, self._rounded_at = plan.wake_at, orders, now
        if plan.messages:
            self._crew.wake()
        return bool(alerts or plan.messages)

    def deliver_once(self) -> bool:
        """One try for each receiver that has a message due. False when none had."""
        tried = [courier.step() for courier in self.couriers]
        return any(tried)

    def beat_once(self) -> bool:
        """One heartbeat. False when there is none, or the watchdog is not healthy."""
        return self._heartbeat is not None and self._heartbeat.beat(self._clock())

    # inside

    def _keep_house(self, now: float) -> None:
        alerts = delivery_alerts(
            self.couriers,
            self._planner.firing(),
            host=self._host,
            now=now,
            after_s=self._settings.delivery_failing_s,
        )
        if alerts:
            self._ledger.record(alerts, now)
        if not self._database.durable and abs(now - self._healed_at) >= HEAL_S:
            self._healed_at = now
            self._heal()
        if abs(now - self._pruned_at) >= PRUNE_S:
            self._pruned_at = now
            self._outbox.prune([courier.name for courier in self.couriers], now)
            self._orders.prune(now)

    def _abandon(self, now: float) -> None:
        gone = self._outbox.abandon([courier.name for courier in self.couriers], now)
        if gone:
            LOG.warning("alerts: %d messages waited for receivers that are gone", gone)

    def _heal(self) -> None:
        """Back to disk, with what this process knows in place of what the file last knew."""
        if self._blind:
            # it began without the file: what the file knows and this process does not stays true
            if self._database.heal():
                state = {**self._ledger.state(), **self._planner.dump()}
                self._planner = Planner(rules_of(self._settings), state)
                self._blind = False
        else:
            self._database.heal(self._planner.dump())

    def _honest(self, messages: Sequence[Message]) -> Sequence[Message]:
        """Each says so while nothing of it is on disk."""
        if self._database.durable:
            return messages
        return [replace(message, note=message.note or "memory") for message in messages]

    def _receiver_snapshot(self, courier: Courier, now: float) -> ReceiverSnapshot:
        backlog = self._outbox.backlog(courier.name)
        tally = courier.tally
        return ReceiverSnapshot(
            name=courier.name,
            type=self._types[courier.name],
            pending=backlog.pending,
            failed=backlog.failed,
            oldest_age_s=None if backlog.oldest_at is None else max(0.0, now - backlog.oldest_at),
            circuit=courier.circuit().value,
            sent_total=tally.sent,
            failed_total=tally.tries_failed,
            last_error=tally.last_error,
            last_sent_at=tally.last_sent_at,
            failing_since=courier.gate.failing_since,
        )

    # threads

    def _turns(self) -> bool:
        return not self._crew.at_work or time.monotonic() - self._turned_at < STUCK_S

    def _plan_job(self) -> float:
        if self.plan_once():
            return 0.0
        if self._wake_at is None:
            return PLAN_IDLE_S
        return min(PLAN_IDLE_S, max(0.01, self._wake_at - self._clock()))

    def _beat_job(self) -> float:
        self.beat_once()
        return self._beat_interval_s()

    def _beat_interval_s(self) -> float:
        resends = [
            receiver.resend_s
            for receiver in self._settings.receivers
            if isinstance(receiver, AlertmanagerReceiver)
        ]
        return min([self._settings.heartbeat.interval_s, *resends])


def _deliver_job(courier: Courier) -> Callable[[], float]:
    def job() -> float:
        return 0.0 if courier.step() else courier.wait_s(DELIVER_IDLE_S)

    return job
