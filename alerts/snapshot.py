"""The pipeline as status page and metrics show it: immutable values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReceiverSnapshot:
    """One receiver's delivery.

    Attributes:
        pending: messages that wait. failed: messages given up and kept for a person to see.
        oldest_age_s: age of the oldest message that waits; None when none does.
        circuit: closed, open or half_open.
        sent_total, failed_total: messages delivered and tries failed since this process began.
        failing_since: Unix seconds of the first failure in a row; None when the last try worked.
    """

    name: str
    type: str
    pending: int
    failed: int
    oldest_age_s: float | None
    circuit: str
    sent_total: int
    failed_total: int
    last_error: str
    last_sent_at: float | None
    failing_since: float | None = None


@dataclass(frozen=True, slots=True)
class PipelineSnapshot:
    """The whole pipeline at one time.

    Attributes:
        durable: false while the database cannot be written and alerts live in memory only.
        notice: why, in one line; empty when all is well.
        silences: silences in force.
        heartbeat: verdict of the last heartbeat; empty when there was none.
    """

    at: float
    durable: bool
    notice: str
    receivers: tuple[ReceiverSnapshot, ...]
    silences: int = 0
    heartbeat: str = ""
