"""Transitions taken in, what was decided on them, and what the planner knows."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from alerts.database import Database
from alerts.entry import dump, insert
from alerts.message import Message
from alerts.model import Alert
from alerts.plan import StateKey

LOG = logging.getLogger("rankguard.alerts")


@dataclass(frozen=True, slots=True)
class Decided:
    """A transition and the word of the decision; empty while none was taken."""

    alert: Alert
    decision: str


class Ledger:
    """The tables of transitions and of the planner's state. Each method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, alerts: Sequence[Alert], now: float) -> None:
        """Keep the transitions whose ids are not known yet; on disk when it returns."""
        rows = [(alert.id, dump(alert.to_json()), now) for alert in alerts]
        self._database.write(
            lambda connection: connection.executemany(
                "INSERT OR IGNORE INTO alert_event(id, body, accepted_at) VALUES (?, ?, ?)", rows
            )
        )

    def unplanned(self, limit: int) -> list[Alert]:
        """The oldest transitions that no decision was taken on."""
        rows = self._database.read(
            lambda connection: connection.execute(
                "SELECT id, body FROM alert_event WHERE planned = 0 ORDER BY seq LIMIT ?", (limit,)
            ).fetchall()
        )
        alerts: list[Alert] = []
        for name, body in rows:
            try:
                alerts.append(Alert.from_json(json.loads(body)))
            except (ValueError, KeyError, TypeError, AttributeError):
                self._give_up(name)
        return alerts

    def _give_up(self, name: str) -> None:
        """A row that cannot be read must not hold up the others."""
        LOG.error("alerts: transition %s cannot be read", name)
        self._database.write(
            lambda connection: connection.execute(
                "UPDATE alert_event SET planned = 1, decision = 'unreadable' WHERE id = ?", (name,)
            )
        )

    def decided(self, limit: int) -> list[Decided]:
        """Transitions with their decisions, the newest first."""
        rows = self._database.read(
            lambda connection: connection.execute(
                "SELECT body, decision FROM alert_event WHERE decision != 'unreadable'"
                " ORDER BY seq DESC LIMIT ?",
                (limit,),
            ).fetchall()
        )
        return [Decided(Alert.from_json(json.loads(body)), decision) for body, decision in rows]

    def plan(
        self,
        decisions: Mapping[str, str],
        messages: Sequence[Message],
        state: Mapping[StateKey, str | None],
        now: float,
    ) -> None:
        """Record at once what was decided, what is to be sent, and what the planner knows now.

        Args:
            decisions: transition's id -> reason.
            state: (kind, key) -> JSON, or None to forget it.
        """
        gone = [key for key, body in state.items() if body is None]
        kept = [(*key, body) for key, body in state.items() if body is not None]

        def work(connection: sqlite3.Connection) -> None:
            connection.executemany(
                "UPDATE alert_event SET planned = 1, decision = ? WHERE id = ?",
                [(reason, each) for each, reason in decisions.items()],
            )
            insert(connection, messages, now)
            connection.executemany("DELETE FROM alert_state WHERE kind = ? AND key = ?", gone)
            connection.executemany(
                "INSERT OR REPLACE INTO alert_state(kind, key, body) VALUES (?, ?, ?)", kept
            )

        self._database.write(work)

    def state(self) -> dict[StateKey, str]:
        """What the planner knew when it last recorded."""
        rows = self._database.read(
            lambda connection: connection.execute(
                "SELECT kind, key, body FROM alert_state"
            ).fetchall()
        )
        return {(kind, key): body for kind, key, body in rows}
