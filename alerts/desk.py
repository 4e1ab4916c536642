"""What a person may do with alerts, by command or API: silence, acknowledge, look, retry."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from alerts.database import Database
from alerts.grouping import cause_of
from alerts.incidents import Track
from alerts.labels import parse_matcher
from alerts.ledger import Decided, Ledger
from alerts.model import Alert, Status
from alerts.orders import Acknowledgement, Orders
from alerts.outbox import Entry, Outbox, State
from alerts.silence import Silence, check


@dataclass(frozen=True, slots=True)
class SilenceRequest:
    """A silence as somebody asks for it.

    Attributes:
        matchers: texts such as `host=gpu-1`. None at all needs `maintenance`.
        duration_s: seconds from now.
    """

    matchers: Sequence[str]
    duration_s: float
    author: str
    comment: str
    maintenance: bool = False


class Desk:
    """Works on the tables; the watchdog sees it within a second, whichever process wrote."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._ledger = Ledger(database)
        self._outbox = Outbox(database)
        self._orders = Orders(database)

    def silence(self, wanted: SilenceRequest) -> Silence:
        """Add a silence.

        Raises:
            alerts.labels.MatcherError, alerts.silence.SilenceError: it cannot be accepted.
            alerts.orders.TooManySilences: there are too many.
        """
        now = self._clock()
        made = Silence(
            id=secrets.token_hex(4),
            matchers=tuple(parse_matcher(text) for text in wanted.matchers),
            starts_at=now,
            ends_at=now + wanted.duration_s,
            author=wanted.author,
            comment=wanted.comment,
        )
        check(made, maintenance=wanted.maintenance)
        self._orders.add_silence(made)
        return made

    def silences(self, *, ended: bool = False) -> list[Silence]:
        """Those in force or still to come; with `ended` the past week's as well."""
        return self._orders.silences(None if ended else self._clock())

    def expire_silence(self, silence_id: str) -> bool:
        """End a silence now; the beginning of its id is enough. False when not exactly one fits."""
        return self._orders.expire_silence(silence_id, self._clock())

    def firing(self) -> list[Alert]:
        """What fires as far as the pipeline knows, oldest first."""
        tracks = [
            Track.from_json(json.loads(body))
            for (kind, _), body in self._ledger.state().items()
            if kind == "track"
        ]
        found = [track.alert for track in tracks if track.alert.status is Status.FIRING]
        return sorted(found, key=lambda alert: (alert.started_at, alert.fingerprint))

    def acknowledge(
        self, *, author: str, comment: str = "", incident: int | None = None, fingerprint: str = ""
    ) -> list[Alert]:
        """Take an incident by its number, or with a fingerprint (its beginning will do).

        All that fires on the same object is taken with it: it came in the same message.
        Returns what was taken; nothing when nothing that fires fits.
        """
        firing = self.firing()
        named = {
            cause_of(alert)
            for alert in firing
            if (incident is not None and alert.incident == incident)
            or (fingerprint and alert.fingerprint.startswith(fingerprint))
        }
        taken = [alert for alert in firing if cause_of(alert) in named]
        for alert in taken:
            self._orders.acknowledge(
                Acknowledgement(alert.fingerprint, alert.incident, author, comment, self._clock())
            )
        return taken

    def acknowledgements(self) -> list[Acknowledgement]:
        return self._orders.acknowledgements()

    def decisions(self, limit: int = 100) -> list[Decided]:
        """Transitions and what was decided on them, the newest first."""
        return self._ledger.decided(limit)

    def outbox(self, state: State | None = None, limit: int = 100) -> list[Entry]:
        """Messages, the newest first."""
        return self._outbox.entries(state=state, limit=limit)

    def retry(self, key: str) -> bool:
        """Put a message that was given up back in line. False when there is none such."""
        return self._outbox.retry(key, self._clock())
