"""The alert tables' database: a file when it can be written, memory when it cannot.

When the disk is full, read-only or broken, alerts must still go out: everything moves to a
database in memory, says so, and moves back when the file takes writes again.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

LOG = logging.getLogger("rankguard.alerts")

T = TypeVar("T")

BUSY_MS = 5000
"""How long a statement waits for another process's transaction."""

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
  origin TEXT NOT NULL DEFAULT '',
  detail TEXT NOT NULL DEFAULT '');
CREATE INDEX IF NOT EXISTS alert_message_head
  ON alert_message(receiver, state, conversation, seq);
CREATE TABLE IF NOT EXISTS alert_state(
  kind TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY(kind, key));
CREATE TABLE IF NOT EXISTS alert_silence(
  id TEXT PRIMARY KEY, body TEXT NOT NULL, ends_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS alert_ack(
  fingerprint TEXT NOT NULL, incident INTEGER NOT NULL, author TEXT NOT NULL,
  comment TEXT NOT NULL, at REAL NOT NULL, PRIMARY KEY(fingerprint, incident));
"""

_COPIED = {
    "alert_event": ("id", "body", "accepted_at", "planned", "decision"),
    "alert_message": (
        "key",
        "receiver",
        "conversation",
        "rank",
        "body",
        "created_at",
        "state",
        "attempts",
        "next_at",
        "done_at",
        "origin",
        "detail",
    ),
    "alert_state": ("kind", "key", "body"),
    "alert_silence": ("id", "body", "ends_at"),
    "alert_ack": ("fingerprint", "incident", "author", "comment", "at"),
}
"""What moves between file and memory; sequence numbers are given anew, in the same order."""


class Database:
    """One connection, used by several threads one at a time."""

    def __init__(self, path: Path) -> None:
        """Open the file, or begin in memory when it cannot be written. Does not raise for that."""
        self._path = path
        self._lock = threading.RLock()
        self.notice = ""
        self.moves = 0
        try:
            self._connection = _open(path)
        except sqlite3.Error as error:
            self._connection = self._to_memory(error, _open_to_read(path))

    @property
    def durable(self) -> bool:
        return not self.notice

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work`; on the copy in memory when the file fails."""
        with self._lock:
            try:
                return work(self._connection)
            except sqlite3.ProgrammingError:
                raise
            except sqlite3.Error as error:
                self._give_up(error)
                return work(self._connection)

    def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` as one transaction; on the copy in memory when the file fails."""
        with self._lock:
            try:
                return _transaction(self._connection, work)
            except (sqlite3.ProgrammingError, sqlite3.IntegrityError):
                raise
            except sqlite3.Error as error:
                self._give_up(error)
                return _transaction(self._connection, work)

    def heal(self, state: Mapping[tuple[str, str], str] | None = None) -> bool:
        """Try to move back to the file. True when it was done now.

        Args:
            state: what the planner knows, in place of all that the file says it knew.
        """

        def bring(connection: sqlite3.Connection) -> None:
            _copy(self._connection, connection)
            if state is not None:
                connection.execute("DELETE FROM alert_state")
                connection.executemany(
                    "INSERT INTO alert_state(kind, key, body) VALUES (?, ?, ?)",
                    [(*key, body) for key, body in state.items()],
                )

        with self._lock:
            if self.durable:
                return False
            try:
                disk = _open(self._path)
            except sqlite3.Error:
                return False
            try:
                _transaction(disk, bring)
            except sqlite3.Error:
                disk.close()
                return False
            self._connection.close()
            self._connection = disk
            LOG.warning("alerts: the database takes writes again, all is on disk")
            self.notice = ""
            self.moves += 1
            return True

    def _give_up(self, error: sqlite3.Error) -> None:
        if not self.durable:  # memory itself fails: nothing is left to go to
            raise error
        self._connection = self._to_memory(error, self._connection)

    def _to_memory(
        self, error: sqlite3.Error, disk: sqlite3.Connection | None
    ) -> sqlite3.Connection:
        memory = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        memory.executescript(SCHEMA)
        if disk is not None:
            with contextlib.suppress(sqlite3.Error):
                disk.execute("ROLLBACK")
            _transaction(memory, lambda connection: _salvage(disk, connection))
            with contextlib.suppress(sqlite3.Error):
                disk.close()
        self.notice = f"alerts are kept in memory only: {self._path.name}: {error}"
        self.moves += 1
        LOG.error("%s", self.notice)
        return memory


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=BUSY_MS / 1000, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        # a transition that was accepted must outlive a power cut, not only a killed process
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(f"PRAGMA busy_timeout={BUSY_MS}")
        connection.executescript(SCHEMA)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _open_to_read(path: Path) -> sqlite3.Connection | None:
    """What an earlier process left can be sent from memory even when the file takes no writes."""
    for mode in ("mode=ro", "immutable=1"):
        with contextlib.suppress(sqlite3.Error):
            connection = sqlite3.connect(
                f"file:{quote(str(path))}?{mode}",
                uri=True,
                isolation_level=None,
                check_same_thread=False,
            )
            try:
                connection.execute("SELECT COUNT(*) FROM alert_event").fetchone()
            except sqlite3.Error:
                connection.close()
                continue
            return connection
    return None


def _transaction(connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = work(connection)
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise
    return result


def _copy(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    """Bring every row of the alert tables over; a row that the target has becomes the source's."""
    for table in _COPIED:
        _put(target, table, source.execute(_select(table, "ORDER BY rowid")))


def _salvage(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    """Bring over what can be read: a damaged page costs its own rows and no others.

    What lies behind the damage is read from the other end.
    """
    for table in _COPIED:
        try:
            _put(target, table, source.execute(_select(table, "ORDER BY rowid")))
        except sqlite3.Error as error:
            LOG.error("alerts: %s can be read in part only: %s", table, error)  # noqa: TRY400 no trace
            with contextlib.suppress(sqlite3.Error):
                _put(target, table, source.execute(_select(table, "ORDER BY rowid DESC")))


def _select(table: str, order: str) -> str:
    return f"SELECT {', '.join(_COPIED[table])} FROM {table} {order}"  # noqa: S608 names of ours


def _put(target: sqlite3.Connection, table: str, rows: Iterable[tuple[object, ...]]) -> None:
    columns = _COPIED[table]
    names = ", ".join(columns)
    marks = ", ".join("?" for _ in columns)
    keys = {"alert_state": "kind, key", "alert_ack": "fingerprint, incident"}.get(table, columns[0])
    changes = ", ".join(f"{name} = excluded.{name}" for name in columns)
    target.executemany(
        f"INSERT INTO {table}({names}) VALUES ({marks})"  # noqa: S608 names of ours
        f" ON CONFLICT({keys}) DO UPDATE SET {changes}",
        rows,
    )
