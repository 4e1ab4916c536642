"""Messages to send and what became of them. Each method is one transaction."""

from __future__ import annotations

import contextlib
import json
import logging
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from alerts.database import Database
from alerts.message import Message

KEEP_S = 7 * 86400.0
"""How long messages and transitions that are done with stay, for people to look at."""

KEEP_ROWS = 20_000
"""And how many of them at most."""

MAX_PENDING = 10_000
"""Messages that may wait for one receiver; the oldest beyond that expire, and are counted."""

_COLUMNS = "seq, body, state, attempts, next_at, detail, done_at, origin"


_Row = tuple[int, str, str, int, float, str, "float | None", str]

LOG = logging.getLogger("rankguard.alerts")


class State(str, Enum):
    """Where a message stands. Only `PENDING` is sent again."""

    PENDING = "pending"
    SENT = "sent"
    FAILED = "failed"
    EXPIRED = "expired"
    DIGESTED = "digested"


@dataclass(frozen=True, slots=True)
class Entry:
    """A message in the outbox.

    Attributes:
        origin: the receiver that this one stands in for; empty when it is its own.
    """

    seq: int
    message: Message
    state: State
    attempts: int
    next_at: float
    detail: str
    done_at: float | None = None
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Backlog:
    """What one receiver has: messages by state, and when the oldest pending one was made."""

    pending: int
    failed: int
    oldest_at: float | None


class Outbox:
    """The table of messages."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # delivery

    def due(self, receiver: str, now: float, horizon_s: float) -> Entry | None:
        """The next message that may be tried: of each conversation only the oldest pending one.

        Args:
            horizon_s: no wait is ever longer than this, so a later time means that the clock was
                set back, and the message is due.
        """
        row = self._database.read(
            lambda connection: connection.execute(
                f"SELECT {_COLUMNS} FROM alert_message"  # noqa: S608 names of ours
                " WHERE seq IN (SELECT MIN(seq) FROM alert_message"
                "   WHERE receiver = ? AND state = 'pending' GROUP BY conversation)"
                " AND (next_at <= ? OR next_at > ?) ORDER BY rank, seq LIMIT 1",
                (receiver, now, now + horizon_s),
            ).fetchone()
        )
        if row is None:
            return None
        try:
            return _entry(row)
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
                "SELECT MIN(next_at) FROM alert_message WHERE seq IN"
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
                f"SELECT {_COLUMNS} FROM alert_message"  # noqa: S608 names of ours
                " WHERE receiver = ? AND state = 'pending' AND created_at < ? ORDER BY seq LIMIT ?",
                (receiver, before, limit),
            ).fetchall()
        )
        return list(_readable(rows))

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
                f"SELECT {_COLUMNS} FROM alert_message"  # noqa: S608 names of ours
                " WHERE ? IN ('', state) ORDER BY seq DESC LIMIT ?",
                ("" if state is None else state.value, limit),
            ).fetchall()
        )
        return list(_readable(rows))

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

    def prune(self, receivers: Sequence[str], now: float) -> None:
        """Forget what is long done with, and expire what is over the bound."""

        def work(connection: sqlite3.Connection) -> None:
            for receiver in receivers:
                connection.execute(
                    "UPDATE alert_message SET state = 'expired', done_at = ?,"
                    " detail = 'too many messages wait for this receiver' WHERE seq IN"
                    " (SELECT seq FROM alert_message WHERE receiver = ? AND state = 'pending'"
                    "  ORDER BY seq DESC LIMIT -1 OFFSET ?)",
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


def _readable(rows: Iterable[_Row]) -> Iterator[Entry]:
    for row in rows:
        with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
            yield _entry(row)


def insert(
    connection: sqlite3.Connection, messages: Sequence[Message], now: float, origin: str = ""
) -> None:
    """Within a transaction: put messages in line; one whose key is known stays as it is."""
    connection.executemany(
        "INSERT OR IGNORE INTO alert_message"
        "(key, receiver, conversation, rank, body, created_at, state, next_at, origin)"
        " VALUES (?, ?, ?, ?, ?, ?, 'pending', ?, ?)",
        [
            (
                message.key,
                message.receiver,
                message.group,
                message.severity.rank,
                dump(message.to_json()),
                message.created_at,
                now,
                origin,
            )
            for message in messages
        ],
    )


def dump(body: object) -> str:
    """JSON as it is kept."""
    # ASCII: SQLite takes no lone surrogates, and a log line may hold one
    return json.dumps(body, separators=(",", ":"))


def _entry(row: _Row) -> Entry:
    seq, body, state, attempts, next_at, detail, done_at, origin = row
    return Entry(
        seq=seq,
        message=Message.from_json(json.loads(body)),
        state=State(state),
        attempts=attempts,
        next_at=next_at,
        detail=detail,
        done_at=done_at,
        origin=origin,
    )
