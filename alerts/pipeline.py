"""From a transition to a delivered message: the part that the watchdog embeds.

`accept` makes a transition durable. One thread plans: transitions become messages in the outbox.
One thread per receiver delivers, so that a hanging receiver holds up nobody else.
"""

from __future__ import annotations

import hashlib
import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from alerts.courier import Courier
from alerts.message import Message
from alerts.model import Alert, Severity
from alerts.outbox import Event, Outbox
from alerts.retry import RetryLimits
from alerts.sender import Sender
from alerts.senders.build import build
from alerts.settings import AlertSettings, Receiver

LOG = logging.getLogger("rankguard.alerts")

IDLE_S = 1.0
"""How long a thread sleeps at most: other processes write to the same tables."""

AFTER_ERROR_S = 5.0

BATCH = 500
"""Transitions planned in one transaction."""


@dataclass(frozen=True, slots=True)
class ReceiverSnapshot:
    """One receiver's delivery. Counts of tries and sent messages are since this process began.

    Attributes:
        failed: messages given up and kept for a person to see.
        oldest_age_s: age of the oldest message that waits; None when none does.
        circuit: closed, open or half_open.
    """

    name: str
    type: str
    pending: int
    failed: int
    oldest_age_s: float | None
    circuit: str
    sent_total: int
    failed_total: int
    last_error: str
    last_sent_at: float | None


@dataclass(frozen=True, slots=True)
class PipelineSnapshot:
    """The pipeline as status page and metrics show it.

    Attributes:
        durable: false while the database cannot be written and alerts live in memory only.
        notice: why, in one line; empty when all is well.
    """

    at: float
    durable: bool
    notice: str
    receivers: tuple[ReceiverSnapshot, ...]


class Pipeline:
    """Alerts of one watchdog."""

    def __init__(
        self,
        settings: AlertSettings,
        database: Path,
        *,
        host: str,
        clock: Callable[[], float] = time.time,
        jitter: Callable[[], float] = random.random,
        make_sender: Callable[[Receiver, AlertSettings, Callable[[], float]], Sender] = build,
    ) -> None:
        """Open the tables and build the receivers; starts nothing.

        Raises:
            alerts.senders.build.SecretError: a receiver's secret cannot be read.
        """
        self._settings = settings
        self._host = host
        self._clock = clock
        self._outbox = Outbox(database)
        self._types = {receiver.name: receiver.type for receiver in settings.receivers}
        self.couriers = tuple(
            Courier(
                receiver.name,
                make_sender(receiver, settings, clock),
                self._outbox,
                limits=RetryLimits(),
                clock=clock,
                jitter=jitter,
            )
            for receiver in settings.receivers
        )
        self._stop = threading.Event()
        self._wake = threading.Condition()
        self._threads: list[threading.Thread] = []

    # what the watchdog calls

    def accept(self, alerts: Sequence[Alert]) -> None:
        """Keep the transitions; durable when it returns, and nothing new for an id seen before."""
        if alerts:
            self._outbox.record(alerts, self._clock())
            self._notify()

    def start(self) -> None:
        """Start planning and delivering, beginning with what an earlier process left."""
        jobs: list[tuple[str, Callable[[], float]]] = [("plan", self._plan_job)]
        jobs += [(courier.name, _deliver_job(courier)) for courier in self.couriers]
        for name, job in jobs:
            thread = threading.Thread(
                target=self._loop, args=(name, job), name=f"alerts-{name}", daemon=True
            )
            thread.start()
            self._threads.append(thread)

    def stop(self, timeout_s: float) -> None:
        """Stop the threads.

        A try in progress may finish within `timeout_s`; the rest waits on disk for the next start.
        """
        until = time.monotonic() + timeout_s
        self._stop.set()
        self._notify()
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        if not any(thread.is_alive() for thread in self._threads):
            self._outbox.close()

    def snapshot(self) -> PipelineSnapshot:
        """What waits, what failed, what was sent."""
        now = self._clock()
        return PipelineSnapshot(
            at=now,
            durable=True,
            notice="",
            receivers=tuple(self._receiver_snapshot(courier, now) for courier in self.couriers),
        )

    # one step of each job; tests call these without threads

    def plan_once(self) -> bool:
        """Turn waiting transitions into messages. False when there were none."""
        events = self._outbox.unplanned(BATCH)
        if not events:
            return False
        now = self._clock()
        messages = [message for event in events for message in self._messages(event, now)]
        self._outbox.plan({event.seq: "routed" for event in events}, messages, {}, now)
        self._notify()
        return True

    def deliver_once(self) -> bool:
        """One try for each receiver that has a message due. False when none had."""
        tried = [courier.step() for courier in self.couriers]
        return any(tried)

    def _messages(self, event: Event, now: float) -> list[Message]:
        alert = event.alert
        return [
            Message(
                key=hashlib.sha256(f"{name}\x1f{alert.id}".encode()).hexdigest()[:32],
                receiver=name,
                group=f"{alert.fingerprint}/{alert.incident}",
                status=alert.status,
                severity=alert.severity,
                reason=alert.reason,
                alerts=(alert,),
                created_at=now,
            )
            for name in self._receivers_of(alert.severity)
        ]

    def _receivers_of(self, severity: Severity) -> tuple[str, ...]:
        if not self._settings.routes:
            wanted = severity in {Severity.CRITICAL, Severity.WARNING}
            return tuple(self._types) if wanted else ()
        for route in self._settings.routes:
            if not route.severity or severity in route.severity:
                return route.receivers
        return ()

    def _receiver_snapshot(self, courier: Courier, now: float) -> ReceiverSnapshot:
        backlog = self._outbox.backlog(courier.name)
        tally = courier.tally
        return ReceiverSnapshot(
            name=courier.name,
            type=self._types[courier.name],
            pending=backlog.pending,
            failed=backlog.failed,
            oldest_age_s=None if backlog.oldest_at is None else max(0.0, now - backlog.oldest_at),
            circuit="closed",
            sent_total=tally.sent,
            failed_total=tally.tries_failed,
            last_error=tally.last_error,
            last_sent_at=tally.last_sent_at,
        )

    # threads

    def _plan_job(self) -> float:
        return 0.0 if self.plan_once() else IDLE_S

    def _loop(self, name: str, job: Callable[[], float]) -> None:
        while not self._stop.is_set():
            try:
                wait_s = job()
            except Exception:
                LOG.exception("alerts: %s failed, trying again in %g s", name, AFTER_ERROR_S)
                wait_s = AFTER_ERROR_S
            if wait_s > 0:
                with self._wake:
                    if not self._stop.is_set():
                        self._wake.wait(wait_s)

    def _notify(self) -> None:
        with self._wake:
            self._wake.notify_all()


def _deliver_job(courier: Courier) -> Callable[[], float]:
    def job() -> float:
        return 0.0 if courier.step() else courier.wait_s(IDLE_S)

    return job
