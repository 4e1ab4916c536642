"""The alert tables in SQLite: transitions taken in, messages to send, what became of them.

Every method is one transaction. Several processes may use the same file: the watchdog sends, the
commands read, silence and acknowledge.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from alerts.message import Message
from alerts.model import Alert, Severity

SCHEMA = """
CREATE TABLE IF NOT EXISTS alert_event(
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  id TEXT NOT NULL UNIQUE,
  body TEXT NOT NULL,
  accepted_at REAL NOT NULL,
  planned INTEGER NOT NULL DEFAULT 0,
  decision TEXT NOT NULL DEFAULT '');
CREATE INDEX IF NOT EXISTS alert_event_planned ON alert_event(planned, seq);
CREATE TABLE IF NOT EXISTS alert_message(
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  key TEXT NOT NULL UNIQUE,
  receiver TEXT NOT NULL,
  conversation TEXT NOT NULL,
  rank INTEGER NOT NULL,
  body TEXT NOT NULL,
  created_at REAL NOT NULL,
  state TEXT NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  next_at REAL NOT NULL,
  done_at REAL,
  detail TEXT NOT NULL DEFAULT '');
CREATE INDEX IF NOT EXISTS alert_message_head
  ON alert_message(receiver, state, conversation, seq);
CREATE TABLE IF NOT EXISTS alert_state(
  kind TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY(kind, key));
"""

RANK = {Severity.CRITICAL: 0, Severity.WARNING: 1, Severity.INFO: 2}
"""What is sent first when several messages are due."""


class State(str, Enum):
    """Where a message stands. Only `PENDING` is sent again."""

    PENDING = "pending"
    SENT = "sent"
    FAILED = "failed"
    EXPIRED = "expired"
    DIGESTED = "digested"


@dataclass(frozen=True, slots=True)
class Entry:
    """A message in the outbox."""

    seq: int
    message: Message
    state: State
    attempts: int
    next_at: float
    detail: str
    done_at: float | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """A transition taken in and not planned yet."""

    seq: int
    alert: Alert


@dataclass(frozen=True, slots=True)
class Backlog:
    """What one receiver has: messages by state, and when the oldest pending one was made."""

    pending: int
    failed: int
    oldest_at: float | None


class Outbox:
    """One connection, used by several threads one at a time."""

    def __init__(self, database: Path | str) -> None:
        """Open the file, make the tables.

        Raises:
            sqlite3.Error: it cannot be opened or written.
        """
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(
            database, timeout=5.0, isolation_level=None, check_same_thread=False
        )
        try:
            self._connection.execute("PRAGMA journal_mode=WAL")
            # a transition that was accepted must outlive a power cut, not only a killed process
            self._connection.execute("PRAGMA synchronous=FULL")
            self._connection.execute("PRAGMA busy_timeout=5000")
            self._connection.executescript(SCHEMA)
        except sqlite3.Error:
            self._connection.close()
            raise

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self._connection.execute("ROLLBACK")
                raise

    # transitions

    def record(self, alerts: Sequence[Alert], now: float) -> int:
        """Keep the transitions that are not known yet, and count them; on disk when it returns."""
        with self._transaction() as connection:
            before = connection.total_changes
            connection.executemany(
                "INSERT OR IGNORE INTO alert_event(id, body, accepted_at) VALUES (?, ?, ?)",
                [(alert.id, _dump(alert.to_json()), now) for alert in alerts],
            )
            return connection.total_changes - before

    def unplanned(self, limit: int) -> list[Event]:
        """The oldest transitions that no decision was taken on."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT seq, body FROM alert_event WHERE planned = 0 ORDER BY seq LIMIT ?", (limit,)
            ).fetchall()
        return [Event(seq, Alert.from_json(json.loads(body))) for seq, body in rows]

    def plan(
        self,
        decisions: Mapping[int, str],
        messages: Sequence[Message],
        state: Mapping[tuple[str, str], str | None],
        now: float,
    ) -> None:
        """Record at once what was decided, what is to be sent, and what the planner knows now.

        Args:
            decisions: transition's sequence number -> reason.
            state: (kind, key) -> JSON, or None to forget it.
        """
        with self._transaction() as connection:
            connection.executemany(
                "UPDATE alert_event SET planned = 1, decision = ? WHERE seq = ?",
                [(reason, seq) for seq, reason in decisions.items()],
            )
            connection.executemany(
                "INSERT OR IGNORE INTO alert_message"
                "(key, receiver, conversation, rank, body, created_at, state, next_at)"
                " VALUES (?, ?, ?, ?, ?, ?, 'pending', ?)",
                [_row(message, now) for message in messages],
            )
            for (kind, key), body in state.items():
                if body is None:
                    connection.execute(
                        "DELETE FROM alert_state WHERE kind = ? AND key = ?", (kind, key)
                    )
                else:
                    connection.execute(
                        "INSERT OR REPLACE INTO alert_state(kind, key, body) VALUES (?, ?, ?)",
                        (kind, key, body),
                    )

    # messages

    def due(self, receiver: str, now: float, horizon_s: float) -> Entry | None:
        """The next message that may be tried: of each conversation only the oldest pending one.

        Args:
            horizon_s: no wait is ever longer than this, so a later time means that the clock was
                set back, and the message is due.
        """
        with self._lock:
            row = self._connection.execute(
                "SELECT seq, body, state, attempts, next_at, detail, done_at FROM alert_message"
                " WHERE seq IN (SELECT MIN(seq) FROM alert_message"
                "   WHERE receiver = ? AND state = 'pending' GROUP BY conversation)"
                " AND (next_at <= ? OR next_at > ?) ORDER BY rank, seq LIMIT 1",
                (receiver, now, now + horizon_s),
            ).fetchone()
        return None if row is None else _entry(row)

    def next_due_at(self, receiver: str) -> float | None:
        """When the next try of this receiver is due; None when nothing waits."""
        with self._lock:
            row = self._connection.execute(
                "SELECT MIN(next_at) FROM alert_message WHERE seq IN"
                " (SELECT MIN(seq) FROM alert_message"
                "   WHERE receiver = ? AND state = 'pending' GROUP BY conversation)",
                (receiver,),
            ).fetchone()
        return None if row is None or row[0] is None else float(row[0])

    def finish(self, seq: int, state: State, detail: str, now: float) -> None:
        """Close a message that was tried."""
        with self._transaction() as connection:
            connection.execute(
                "UPDATE alert_message SET state = ?, detail = ?, done_at = ?,"
                " attempts = attempts + 1 WHERE seq = ? AND state = 'pending'",
                (state.value, detail, now, seq),
            )

    def postpone(self, seq: int, at: float, detail: str) -> None:
        """Keep a message that was tried for another try at `at`."""
        with self._transaction() as connection:
            connection.execute(
                "UPDATE alert_message SET next_at = ?, detail = ?, attempts = attempts + 1"
                " WHERE seq = ? AND state = 'pending'",
                (at, detail, seq),
            )

    def backlog(self, receiver: str) -> Backlog:
        with self._lock:
            row = self._connection.execute(
                "SELECT SUM(state = 'pending'), SUM(state IN ('failed', 'expired')),"
                " MIN(CASE WHEN state = 'pending' THEN created_at END) FROM alert_message"
                " WHERE receiver = ? AND state IN ('pending', 'failed', 'expired')",
                (receiver,),
            ).fetchone()
        return Backlog(int(row[0] or 0), int(row[1] or 0), row[2])

    def entries(self, *, state: State | None = None, limit: int = 100) -> list[Entry]:
        """The newest messages first."""
        with self._lock:
            rows = self._connection.execute(
                "SELECT seq, body, state, attempts, next_at, detail, done_at FROM alert_message"
                " WHERE ? IN ('', state) ORDER BY seq DESC LIMIT ?",
                ("" if state is None else state.value, limit),
            ).fetchall()
        return [_entry(row) for row in rows]


def _dump(body: object) -> str:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))


def _row(message: Message, now: float) -> tuple[object, ...]:
    return (
        message.key,
        message.receiver,
        message.group,
        RANK[message.severity],
        _dump(message.to_json()),
        message.created_at,
        now,
    )


def _entry(row: tuple[int, str, str, int, float, str, float | None]) -> Entry:
    seq, body, state, attempts, next_at, detail, done_at = row
    return Entry(
        seq=seq,
        message=Message.from_json(json.loads(body)),
        state=State(state),
        attempts=attempts,
        next_at=next_at,
        detail=detail,
        done_at=done_at,
    )
