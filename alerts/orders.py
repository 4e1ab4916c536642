"""What people ordered: silences and acknowledgements. Written by commands and the API alike."""

from __future__ import annotations

import json
import logging
import sqlite3
from dataclasses import dataclass, replace

from alerts.database import Database
from alerts.silence import Silence

KEEP_S = 7 * 86400.0
"""How long an ended silence stays to be seen; acknowledgements stay ten times as long."""

MAX_SILENCES = 1000

LOG = logging.getLogger("rankguard.alerts")


class TooManySilences(Exception):
    """A silence more than can be looked through for every alert."""


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """Somebody has taken an incident. `at` is in Unix seconds."""

    fingerprint: str
    incident: int
    author: str
    comment: str
    at: float


class Orders:
    """The tables of silences and acknowledgements."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add_silence(self, silence: Silence) -> None:
        """Keep a silence; one with the same id is replaced.

        Raises:
            TooManySilences: there are `MAX_SILENCES` in force.
        """
        body = json.dumps(silence.to_json(), ensure_ascii=False)

        def work(connection: sqlite3.Connection) -> None:
            count = connection.execute(
                "SELECT COUNT(*) FROM alert_silence WHERE ends_at > ?", (silence.starts_at,)
            ).fetchone()[0]
            if count >= MAX_SILENCES:
                raise TooManySilences(f"there are {count} silences; expire some first")
            connection.execute(
                "INSERT OR REPLACE INTO alert_silence(id, body, ends_at) VALUES (?, ?, ?)",
                (silence.id, body, silence.ends_at),
            )

        self._database.write(work)

    def silences(self, now: float | None = None) -> list[Silence]:
        """Those that have not ended at `now`; all that are kept when it is None."""
        rows = self._database.read(
            lambda connection: connection.execute(
                "SELECT id, body FROM alert_silence WHERE ends_at > ? ORDER BY ends_at",
                (now if now is not None else -1.0,),
            ).fetchall()
        )
        found: list[Silence] = []
        for name, body in rows:
            try:
                found.append(Silence.from_json(json.loads(body)))
            except (ValueError, KeyError, TypeError, AttributeError):
                self._give_up(name)
        return found

    def _give_up(self, name: str) -> None:
        """A row that cannot be read silences nothing, and must not stop what people are told."""
        LOG.error("alerts: silence %s cannot be read", name)
        self._database.write(
            lambda connection: connection.execute(
                "UPDATE alert_silence SET ends_at = -1 WHERE id = ?", (name,)
            )
        )

    def expire_silence(self, silence_id: str, now: float) -> bool:
        """End a silence now. False when there is none such in force; a prefix of the id will do."""
        found = [each for each in self.silences(now) if each.id.startswith(silence_id)]
        if len(found) != 1 or not silence_id:
            return False
        ended = replace(found[0], ends_at=now)
        body = json.dumps(ended.to_json(), ensure_ascii=False)
        self._database.write(
            lambda connection: connection.execute(
                "UPDATE alert_silence SET body = ?, ends_at = ? WHERE id = ?", (body, now, ended.id)
            )
        )
        return True

    def acknowledge(self, given: Acknowledgement) -> None:
        """Keep an acknowledgement; the first author stays."""
        self._database.write(
            lambda connection: connection.execute(
                "INSERT OR IGNORE INTO alert_ack(fingerprint, incident, author, comment, at)"
                " VALUES (?, ?, ?, ?, ?)",
                (given.fingerprint, given.incident, given.author, given.comment, given.at),
            )
        )

    def acknowledgements(self) -> list[Acknowledgement]:
        """The newest first."""
        rows = self._database.read(
            lambda connection: connection.execute(
                "SELECT fingerprint, incident, author, comment, at FROM alert_ack"
                " ORDER BY at DESC LIMIT 10000"
            ).fetchall()
        )
        return [Acknowledgement(*row) for row in rows]

    def prune(self, now: float) -> None:
        """Forget what is long over."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM alert_silence WHERE ends_at < ?", (now - KEEP_S,))
            connection.execute("DELETE FROM alert_ack WHERE at < ?", (now - 10 * KEEP_S,))

        self._database.write(work)
