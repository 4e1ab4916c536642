"""The journal's tables, and its rows as values."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from alerts.model import Severity
from monitor.incident import Incident

SCHEMA = """
CREATE TABLE IF NOT EXISTS transitions (
    id INTEGER PRIMARY KEY, at REAL NOT NULL, subject TEXT NOT NULL, generation INTEGER,
    old TEXT NOT NULL, new TEXT NOT NULL, reason TEXT NOT NULL, detail TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS incidents (
    id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, severity TEXT NOT NULL,
    replica TEXT, gpu_uuid TEXT, reason TEXT NOT NULL, summary TEXT NOT NULL,
    started_at REAL NOT NULL, detected_s REAL NOT NULL, resolved_at REAL, recovered_s REAL,
    actions TEXT NOT NULL, evidence TEXT NOT NULL, told TEXT NOT NULL DEFAULT '');
CREATE TABLE IF NOT EXISTS replicas (id TEXT PRIMARY KEY, state TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS baselines (
    fingerprint TEXT PRIMARY KEY, at REAL NOT NULL, logits TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS holds (
    subject TEXT PRIMARY KEY, at REAL NOT NULL, until REAL, reason TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS notes (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS transitions_at ON transitions (at);
"""
INCIDENT_COLUMNS = (
    "id, name, severity, replica, gpu_uuid, reason, summary, started_at, detected_s, "
    "resolved_at, recovered_s, actions, evidence"
)


class JournalError(Exception):
    """The journal could not be read or written; the words say which and why."""


@dataclass(frozen=True, slots=True)
class Transition:
    """One change of one subject (`replica-0`, `gpu GPU-…`, `watchdog`) and its reason."""

    at: float
    subject: str
    old: str
    new: str
    reason: str
    generation: int | None = None
    detail: str = ""


@contextlib.contextmanager
def translated(what: str) -> Iterator[None]:
    """What SQLite and the disk refuse is a JournalError."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise JournalError(f"cannot {what} the journal: {error}") from error


def incidents(db: sqlite3.Connection, where: str, values: Sequence[Any] = ()) -> list[Incident]:
    """Incidents that a condition, an order and a limit leave."""
    query = f"SELECT {INCIDENT_COLUMNS} FROM incidents {where}"  # noqa: S608 - our own constants
    return [
        Incident(
            id=row[0],
            name=row[1],
            severity=Severity(row[2]),
            replica=row[3],
            gpu_uuid=row[4],
            reason=row[5],
            summary=row[6],
            started_at=row[7],
            detected_s=row[8],
            resolved_at=row[9],
            recovered_s=row[10],
            actions=tuple(json.loads(row[11])),
            evidence=json.loads(row[12]),
        )
        for row in db.execute(query, values).fetchall()
    ]


def transitions(db: sqlite3.Connection, limit: int) -> list[Transition]:
    """Newest first."""
    rows = db.execute(
        "SELECT at, subject, old, new, reason, generation, detail FROM transitions"
        " ORDER BY id DESC LIMIT ?",
        (limit,),
    ).fetchall()
    return [Transition(*row) for row in rows]
