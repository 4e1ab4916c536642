"""Messages to send and what became of them. Each method is one transaction."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Sequence
from dataclasses import replace

from alerts.database import Database
from alerts.entry import COLUMNS, Backlog, Entry, State, entry_of, insert, readable
from alerts.message import Message

__all__ = ["Backlog", "Entry", "Outbox", "State"]

KEEP_S = 7 * 86400.0
"""How long messages and transitions that are done with stay, for people to look at."""

KEEP_ROWS = 20_000
"""And how many of them at most."""

MAX_PENDING = 10_000
"""Messages that may wait for one receiver; the oldest beyond that expire, and are counted."""


LOG = logging.getLogger("rankguard.alerts")


class Outbox:
    """The table of messages."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # delivery

    def due(self, receiver: str, now: float, horizon_s: float) -> Entry | None:
        """The next message that may be tried: of each conversation only the oldest pending one.

        Args:
            horizon_s: no wait is ever longer than this, so a later time means that the clock was
                set back, and the message is due; as is one that was never tried.
        """
        row = self._database.read(
            lambda connection: connection.execute(
                f"SELECT {COLUMNS} FROM alert_message"  # noqa: S608 names of ours
                " WHERE seq IN (SELECT MIN(seq) FROM alert_message"
                "   WHERE receiver = ? AND state = 'pending' GROUP BY conversation)"
                " AND (attempts = 0 OR next_at <= ? OR next_at > ?) ORDER BY rank, seq LIMIT 1",
                (receiver, now, now + horizon_s),
            ).fetchone()
        )
        if row is None:
            return None
        try:
            return entry_of(row)
        except (ValueError, KeyError, TypeError, AttributeError):
            self._give_up(row[0], now)
            return self.due(receiver, now, horizon_s)

    def _give_up(self, seq: int, now: float) -> None:
        """A row that cannot be read must not hold up the others."""
        LOG.error("alerts: message %d cannot be read", seq)
        self._database.write(
            lambda connection: connection.execute(
                "UPDATE alert_message SET state = 'failed', done_at = ?, detail = 'unreadable'"
                " WHERE seq = ?",
                (now, seq),
            )
        )

    def next_due_at(self, receiver: str) -> float | None:
        """When the next try of this receiver is due; None when nothing waits."""
        row = self._database.read(
            lambda connection: connection.execute(
                "SELECT MIN(CASE attempts WHEN 0 THEN 0 ELSE next_at END) FROM alert_message"
                " WHERE seq IN"
                " (SELECT MIN(seq) FROM alert_message"
                "   WHERE receiver = ? AND state = 'pending' GROUP BY conversation)",
                (receiver,),
            ).fetchone()
        )
        return None if row[0] is None else float(row[0])

    def finish(self, entry: Entry, state: State, detail: str, now: float) -> None:
        """Close a message that was tried."""
        self._update(
            "state = ?, detail = ?, done_at = ?, attempts = attempts + 1",
            (state.value, detail, now),
            entry,
        )

    def postpone(self, entry: Entry, at: float, detail: str) -> None:
        """Keep a message that was tried for another try at `at`."""
        self._update("next_at = ?, detail = ?, attempts = attempts + 1", (at, detail), entry)

    def _update(self, changes: str, values: tuple[object, ...], entry: Entry) -> None:
        self._database.write(
            lambda connection: connection.execute(
                f"UPDATE alert_message SET {changes}"  # noqa: S608 texts of ours
                " WHERE key = ? AND state = 'pending'",
                (*values, entry.message.key),
            )
        )

    def hasten(self, receiver: str, now: float) -> None:
        """The receiver works again: what waits for it need not wait longer."""
        self._database.write(
            lambda connection: connection.execute(
                "UPDATE alert_message SET next_at = ? WHERE receiver = ? AND state = 'pending'"
                " AND next_at > ?",
                (now, receiver, now),
            )
        )

    def stale(self, receiver: str, before: float, limit: int) -> list[Entry]:
        """Pending messages made before `before`, oldest first."""
        rows = self._database.read(
            lambda connection: connection.execute(
                f"SELECT {COLUMNS} FROM alert_message"  # noqa: S608 names of ours
                " WHERE receiver = ? AND state = 'pending' AND created_at < ? ORDER BY seq LIMIT ?",
                (receiver, before, limit),
            ).fetchall()
        )
        return list(readable(rows))

    def roll_up(self, entries: Sequence[Entry], message: Message, now: float) -> None:
        """Replace several waiting messages by one."""

        def work(connection: sqlite3.Connection) -> None:
            connection.executemany(
                "UPDATE alert_message SET state = 'digested', done_at = ?, detail = ?"
                " WHERE key = ? AND state = 'pending'",
                [(now, f"in {message.key}", entry.message.key) for entry in entries],
            )
            insert(connection, [message], now)

        self._database.write(work)

    def stand_in(self, entry: Entry, fallback: str, note: str, now: float) -> bool:
        """Give the message to another receiver as well; once. False when it was given before."""
        name = entry.message.receiver
        twin = replace(
            entry.message, key=f"{entry.message.key}-{fallback}"[:64], receiver=fallback, note=note
        )

        def work(connection: sqlite3.Connection) -> bool:
            before = connection.total_changes
            insert(connection, [twin], now, origin=name)
            return connection.total_changes > before

        return self._database.write(work)

    def stood_in(self, entry: Entry, fallback: str) -> bool:
        """Whether the fallback was told of this conversation in the receiver's place."""
        row = self._database.read(
            lambda connection: connection.execute(
                "SELECT 1 FROM alert_message"
                " WHERE receiver = ? AND conversation = ? AND origin = ? LIMIT 1",
                (fallback, entry.message.group, entry.message.receiver),
            ).fetchone()
        )
        return row is not None

    # looking

    def pending_conversations(self) -> set[tuple[str, str]]:
        """(receiver, conversation) of every message that is not delivered yet."""
        rows = self._database.read(
            lambda connection: connection.execute(
                "SELECT DISTINCT receiver, conversation FROM alert_message WHERE state = 'pending'"
            ).fetchall()
        )
        return {(receiver, conversation) for receiver, conversation in rows}

    def backlog(self, receiver: str) -> Backlog:
        row = self._database.read(
            lambda connection: connection.execute(
                "SELECT SUM(state = 'pending'), SUM(state IN ('failed', 'expired')),"
                " MIN(CASE WHEN state = 'pending' THEN created_at END) FROM alert_message"
                " WHERE receiver = ? AND state IN ('pending', 'failed', 'expired')",
                (receiver,),
            ).fetchone()
        )
        return Backlog(int(row[0] or 0), int(row[1] or 0), row[2])

    def entries(self, *, state: State | None = None, limit: int = 100) -> list[Entry]:
        """The newest messages first."""
        rows = self._database.read(
            lambda connection: connection.execute(
                f"SELECT {COLUMNS} FROM alert_message"  # noqa: S608 names of ours
                " WHERE ? IN ('', state) ORDER BY seq DESC LIMIT ?",
                ("" if state is None else state.value, limit),
            ).fetchall()
        )
        return list(readable(rows))

    def retry(self, key: str, now: float) -> bool:
        """Put a message that was given up back in line. False when there is none such."""
        return self._database.write(
            lambda connection: (
                connection.execute(
                    "UPDATE alert_message SET state = 'pending', next_at = ?, done_at = NULL"
                    " WHERE key = ? AND state IN ('failed', 'expired')",
                    (now, key),
                ).rowcount
                > 0
            )
        )

    def abandon(self, receivers: Sequence[str], now: float) -> int:
        """Give up what waits for receivers other than these, which nobody would ever send.

        Returns how many messages there were; they stay to be seen.
        """

        def work(connection: sqlite3.Connection) -> int:
            waiting = connection.execute(
                "SELECT DISTINCT receiver FROM alert_message WHERE state = 'pending'"
            ).fetchall()
            return sum(
                connection.execute(
                    "UPDATE alert_message SET state = 'failed', done_at = ?, detail = ?"
                    " WHERE state = 'pending' AND receiver = ?",
                    (now, f"receiver {name} is not in the settings any more", name),
                ).rowcount
                for (name,) in waiting
                if name not in receivers
            )

        return self._database.write(work)

    def prune(self, receivers: Sequence[str], now: float) -> None:
        """Forget what is long done with, and expire what is over the bound."""

        def work(connection: sqlite3.Connection) -> None:
            for receiver in receivers:
                connection.execute(
                    "UPDATE alert_message SET state = 'expired', done_at = ?,"
                    " detail = 'too many messages wait for this receiver' WHERE seq IN"
                    " (SELECT seq FROM alert_message WHERE receiver = ? AND state = 'pending'"
                    # what matters most and came last is kept
                    "  ORDER BY rank, seq DESC LIMIT -1 OFFSET ?)",
                    (now, receiver, MAX_PENDING),
                )
            for table, done in (
                ("alert_message", "state != 'pending'"),
                ("alert_event", "planned"),
            ):
                times = "done_at" if table == "alert_message" else "accepted_at"
                connection.execute(
                    f"DELETE FROM {table} WHERE {done} AND ({times} < ? OR seq <="  # noqa: S608 names of ours
                    f" (SELECT MAX(seq) FROM {table}) - ?)",
                    (now - KEEP_S, KEEP_ROWS),
                )

        self._database.write(work)
