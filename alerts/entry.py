"""A message as a row of the outbox, and the statements that read and write such rows."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from alerts.message import Message

COLUMNS = "seq, body, state, attempts, next_at, detail, done_at, origin"

Row = tuple[int, str, str, int, float, str, "float | None", str]
"""What `COLUMNS` select."""


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


def readable(rows: Iterable[Row]) -> Iterator[Entry]:
    """The entries of those rows that can be read."""
    for row in rows:
        with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
            yield entry_of(row)


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


def entry_of(row: Row) -> Entry:
    """The entry of a row.

    Raises:
        ValueError, KeyError, TypeError, AttributeError: its body is no message.
    """
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
