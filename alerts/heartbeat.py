"""The dead man's switch: says that the watchdog lives, so that its silence is noticed elsewhere."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from alerts.http import HttpClient, HttpPolicy
from alerts.message import Message, Outcome, Verdict
from alerts.model import Alert, Severity, Status, fingerprint
from alerts.names import WATCHDOG
from alerts.receivers import AlertmanagerReceiver, Receiver
from alerts.sender import Sender
from alerts.senders.build import read_secret
from alerts.senders.post import request
from alerts.settings import AlertSettings

Clock = Callable[[], float]
MakeSender = Callable[[Receiver, AlertSettings, Clock], Sender]

LOG = logging.getLogger("rankguard.alerts")


class UrlBeat:
    """Requests a URL, as the services for cron jobs and dead men's switches want it."""

    def __init__(self, http: HttpClient, method: str, url: str) -> None:
        self._http = http
        self._method = method
        self._url = url

    def beat(self, now: float) -> Outcome:
        del now
        headers = {"User-Agent": "rankguard"}
        return request(self._http, self._method, self._url, None, headers, hide=(self._url,))


class WatchdogBeat:
    """Sends the always-firing Watchdog alert; its receiver ends it when it is not repeated."""

    def __init__(self, sender: Sender, receiver: str, host: str, started_at: float) -> None:
        self._sender = sender
        self._receiver = receiver
        self._host = host
        self._started_at = started_at

    def beat(self, now: float) -> Outcome:
        fp = fingerprint(WATCHDOG, self._host, None, None)
        alert = Alert(
            id=f"{fp}/{now:.0f}",
            fingerprint=fp,
            incident=0,
            name=WATCHDOG,
            severity=Severity.INFO,
            status=Status.FIRING,
            at=now,
            started_at=self._started_at,
            host=self._host,
            reason="alive",
            summary=f"the watchdog of {self._host} is alive; this alert always fires",
        )
        message = Message(
            key=f"{fp}-{now:.0f}",
            receiver=self._receiver,
            group=WATCHDOG,
            status=Status.FIRING,
            severity=Severity.INFO,
            reason="alive",
            alerts=(alert,),
            created_at=now,
        )
        return self._sender.send(message)


class Heartbeat:
    """Beats while the watchdog is healthy. `last` is the last outcome, for the status page."""

    def __init__(
        self, beats: Sequence[UrlBeat | WatchdogBeat], healthy: Callable[[], bool]
    ) -> None:
        self._beats = beats
        self._healthy = healthy
        self.last: Outcome | None = None

    def beat(self, now: float) -> bool:
        """Beat once. False when the watchdog is not healthy, and nothing was sent."""
        if not self._healthy():
            self.last = None
            return False
        outcomes = [each.beat(now) for each in self._beats]
        failed = [each for each in outcomes if each.verdict is not Verdict.DELIVERED]
        for each in failed:
            LOG.warning("heartbeat: %s", each.detail)
        # one that works does not hide one that fails
        self.last = (failed or outcomes)[0]
        return True


def heartbeat_of(
    settings: AlertSettings,
    host: str,
    clock: Clock,
    *,
    healthy: Callable[[], bool],
    make_sender: MakeSender,
) -> Heartbeat | None:
    """The heartbeat that the settings ask for; None when they ask for none.

    Raises:
        alerts.sender.ReceiverError: a secret cannot be read.
    """
    given = settings.heartbeat
    beats: list[UrlBeat | WatchdogBeat] = []
    if given.url or given.url_file:
        policy = HttpPolicy(
            allow_insecure=given.allow_insecure,
            allow_hosts=settings.allow_hosts,
            ca_file=given.ca_file,
            proxy=given.proxy,
            timeout_s=given.timeout_s,
        )
        url = given.url or read_secret(given.url_file)
        beats.append(UrlBeat(HttpClient(policy), given.method, url))
    beats += [
        # a sender of its own: the courier's is in use by the courier's thread
        WatchdogBeat(make_sender(receiver, settings, clock), receiver.name, host, clock())
        for receiver in settings.receivers
        if isinstance(receiver, AlertmanagerReceiver) and receiver.watchdog
    ]
    return Heartbeat(beats, healthy) if beats else None
