"""PURE values: what the planner goes by, what one round works from, and what it decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import tzinfo

from alerts.flap import FlapLimits
from alerts.message import Message
from alerts.model import Alert, Severity
from alerts.quiet import Hours
from alerts.route import Route
from alerts.silence import Silence

TalkKey = tuple[str, str]
"""(receiver, group)"""

StateKey = tuple[str, str]
"""(kind, key) of something that the planner knows, as the outbox keeps it."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the settings say.

    Attributes:
        quiet_severities: what the quiet hours hold back.
        resend_s: receiver -> seconds, for receivers that forget what is not repeated.
        no_digest: receivers that open and close incidents and have no use for a digest.
        receivers: the names in the settings; None: whatever the routes say.
    """

    routes: tuple[Route, ...]
    zone: tzinfo
    flap: FlapLimits = field(default_factory=FlapLimits)
    quiet: Hours | None = None
    quiet_severities: frozenset[Severity] = frozenset({Severity.WARNING, Severity.INFO})
    resend_s: Mapping[str, float] = field(default_factory=dict)
    no_digest: frozenset[str] = frozenset()
    receivers: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Round:
    """What one round works from.

    Attributes:
        acknowledged: (fingerprint, incident) pairs that somebody has taken.
        pending: conversations with a message that is not delivered yet.
        now: Unix seconds.
    """

    alerts: Sequence[Alert]
    silences: Sequence[Silence]
    acknowledged: AbstractSet[tuple[str, int]]
    pending: AbstractSet[TalkKey]
    now: float


@dataclass(frozen=True, slots=True)
class Plan:
    """What one round decided.

    Attributes:
        decisions: alert id -> reason.
        state: (kind, key) -> JSON to keep, or None to forget; only what changed.
        wake_at: when time alone may change something, in Unix seconds; None when it cannot.
    """

    decisions: Mapping[str, str]
    messages: Sequence[Message]
    state: Mapping[StateKey, str | None]
    wake_at: float | None
