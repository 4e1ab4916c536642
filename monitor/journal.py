"""What must survive a `kill -9` of the watchdog: transitions, incidents, replicas, baselines.

One SQLite file in WAL mode; one writer, the loop's thread; anybody may read beside it.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from monitor.incident import Incident
from monitor.rows import (
    INCIDENT_COLUMNS,
    SCHEMA,
    JournalError,
    Transition,
    incidents,
    transitions,
    translated,
)

__all__ = [
    "Journal",
    "JournalError",
    "Transition",
    "read_incidents",
    "read_recent",
    "to_json",
]


class Journal:
    """The writer. Every method is one transaction; raises JournalError."""

    def __init__(self, path: Path) -> None:
        with translated("open"):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=5.0, isolation_level=None)
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(SCHEMA)

    def close(self) -> None:
        self._db.close()

    def record(self, transition: Transition) -> None:
        with translated("write"):
            self._db.execute(
                "INSERT INTO transitions (at, subject, generation, old, new, reason, detail)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    transition.at,
                    transition.subject,
                    transition.generation,
                    transition.old,
                    transition.new,
                    transition.reason,
                    transition.detail,
                ),
            )

    def next_incident_id(self) -> int:
        with translated("read"):
            row = self._db.execute(
                "SELECT seq FROM sqlite_sequence WHERE name = 'incidents'"
            ).fetchone()
        return 1 if row is None else int(row[0]) + 1

    def save_incident(self, incident: Incident) -> None:
        """Insert it, or bring it up to date."""
        values = (
            incident.id,
            incident.name,
            incident.severity.value,
            incident.replica,
            incident.gpu_uuid,
            incident.reason,
            incident.summary,
            incident.started_at,
            incident.detected_s,
            incident.resolved_at,
            incident.recovered_s,
            json.dumps(incident.actions),
            json.dumps(dict(incident.evidence)),
        )
        with translated("write"):
            self._db.execute(
                f"INSERT INTO incidents ({INCIDENT_COLUMNS})"  # noqa: S608 - our own constant
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (id) DO UPDATE SET severity = excluded.severity,"
                " reason = excluded.reason, summary = excluded.summary,"
                " resolved_at = excluded.resolved_at, recovered_s = excluded.recovered_s,"
                " actions = excluded.actions, evidence = excluded.evidence",
                values,
            )

    def mark_told(self, incident_id: int, status: str) -> None:
        """The sink holds this transition of the incident now."""
        with translated("write"):
            self._db.execute("UPDATE incidents SET told = ? WHERE id = ?", (status, incident_id))

    def untold(self) -> list[Incident]:
        """Incidents whose present status the sink has not taken yet, oldest first."""
        return self._incidents(
            "WHERE told != CASE WHEN resolved_at IS NULL THEN 'firing' ELSE 'resolved' END"
            " ORDER BY id"
        )

    def was_told_firing(self, incident_id: int) -> bool:
        with translated("read"):
            row = self._db.execute(
                "SELECT told FROM incidents WHERE id = ?", (incident_id,)
            ).fetchone()
        return row is not None and bool(row[0])

    def open_incidents(self) -> list[Incident]:
        return self._incidents("WHERE resolved_at IS NULL ORDER BY id")

    def save_replica(self, replica_id: str, state: Mapping[str, Any]) -> None:
        with translated("write"):
            self._db.execute(
                "INSERT INTO replicas (id, state) VALUES (?, ?)"
                " ON CONFLICT (id) DO UPDATE SET state = excluded.state",
                (replica_id, json.dumps(state)),
            )

    def replicas(self) -> dict[str, dict[str, Any]]:
        with translated("read"):
            rows = self._db.execute("SELECT id, state FROM replicas").fetchall()
        return {row[0]: json.loads(row[1]) for row in rows}

    def save_baseline(
        self, fingerprint: str, logits: Mapping[str, Sequence[float]], at: float
    ) -> None:
        with translated("write"):
            self._db.execute(
                "INSERT OR IGNORE INTO baselines (fingerprint, at, logits) VALUES (?, ?, ?)",
                (fingerprint, at, json.dumps({k: list(v) for k, v in logits.items()})),
            )

    def baselines(self) -> dict[str, dict[str, tuple[float, ...]]]:
        with translated("read"):
            rows = self._db.execute("SELECT fingerprint, logits FROM baselines").fetchall()
        return {
            row[0]: {name: tuple(values) for name, values in json.loads(row[1]).items()}
            for row in rows
        }

    def note(self, key: str, value: str) -> None:
        with translated("write"):
            self._db.execute(
                "INSERT INTO notes (key, value) VALUES (?, ?)"
                " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                (key, value),
            )

    def noted(self, key: str) -> str | None:
        with translated("read"):
            row = self._db.execute("SELECT value FROM notes WHERE key = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def hold(self, subject: str, at: float, until: float | None, reason: str) -> None:
        with translated("write"):
            self._db.execute(
                "INSERT OR REPLACE INTO holds (subject, at, until, reason) VALUES (?, ?, ?, ?)",
                (subject, at, until, reason),
            )

    def release(self, subject: str) -> None:
        with translated("write"):
            self._db.execute("DELETE FROM holds WHERE subject = ?", (subject,))

    def holds(self) -> dict[str, float | None]:
        """Subject -> Unix time until which it is held, None for no end."""
        with translated("read"):
            return dict(self._db.execute("SELECT subject, until FROM holds").fetchall())

    def prune(self, before: float) -> None:
        """Forget transitions and resolved incidents that are older than a moment."""
        with translated("write"):
            self._db.execute("DELETE FROM transitions WHERE at < ?", (before,))
            self._db.execute(
                "DELETE FROM incidents WHERE resolved_at < ? AND told = 'resolved'", (before,)
            )

    def _incidents(self, where: str) -> list[Incident]:
        with translated("read"):
            return incidents(self._db, where)


def read_incidents(path: Path, limit: int = 200) -> list[dict[str, Any]]:
    """What `rankguard incidents --json` prints, newest first; works with or without a watchdog.

    Raises:
        JournalError: there is no journal, or it is not one.
    """
    with _reader(path) as db:
        return [to_json(one) for one in incidents(db, "ORDER BY id DESC LIMIT ?", (limit,))]


def read_recent(path: Path, limit: int) -> tuple[list[Incident], list[Transition]]:
    """The newest incidents and transitions, newest first; raises JournalError."""
    with _reader(path) as db:
        return (
            incidents(db, "ORDER BY id DESC LIMIT ?", (limit,)),
            transitions(db, limit),
        )


def to_json(incident: Incident) -> dict[str, Any]:
    """The shape of one incident in machine-readable output."""
    return {
        "id": incident.id,
        "name": incident.name,
        "severity": incident.severity.value,
        "status": incident.status.value,
        "started_at": incident.started_at,
        "detected_s": incident.detected_s,
        "resolved_at": incident.resolved_at,
        "recovered_s": incident.recovered_s,
        "reason": incident.reason,
        "replica": incident.replica,
        "gpu_uuid": incident.gpu_uuid,
        "actions": list(incident.actions),
        "summary": incident.summary,
        "evidence": dict(incident.evidence),
    }


@contextlib.contextmanager
def _reader(path: Path) -> Iterator[sqlite3.Connection]:
    if not path.is_file():
        raise JournalError(f"there is no journal at {path}: no watchdog ran here yet")
    with translated("read"):
        # not mode=ro: a WAL file that the writer left behind needs its index written to be read
        db = sqlite3.connect(path, timeout=5.0)
        try:
            db.execute("PRAGMA query_only=ON")
            yield db
        finally:
            db.close()
