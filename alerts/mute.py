"""PURE: why a new alert is not told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from alerts.incidents import Track
from alerts.inhibit import Causes
from alerts.labels import labels_of
from alerts.model import Alert, Severity
from alerts.plan import Rules
from alerts.silence import Silence, muting

LOOK_AGAIN_S = 600.0
"""The longest sleep within quiet hours: clocks that are put forward or back move their end."""

SOON_S = 60.0


class Mute(str, Enum):
    """The reasons, in the order in which they are looked for."""

    FLAPPING = "flapping"
    SILENCED = "silenced"
    EXPLAINED = "explained_by_cause"
    QUIET = "quiet_hours"
    NO_ROUTE = "no_route"


@dataclass(frozen=True, slots=True)
class Muted:
    """`until` is when it ends by time alone, in Unix seconds; None when something must happen."""

    why: Mute
    until: float | None = None


@dataclass(frozen=True, slots=True)
class Ear:
    """What decides at one time whether people want to hear of an alert."""

    rules: Rules
    silences: Sequence[Silence]
    causes: Causes
    now: float

    def muted(self, alert: Alert, track: Track) -> Muted | None:
        """Why the alert is not told; None when it is."""
        if track.flapping_since is not None:
            return Muted(Mute.FLAPPING)
        silence = muting(self.silences, labels_of(alert), self.now)
        if silence is not None:
            return Muted(Mute.SILENCED, silence.ends_at)
        if self.causes.explaining(alert) is not None:
            return Muted(Mute.EXPLAINED)
        ends = quiet_until(self.rules, alert.severity, self.now)
        return None if ends is None else Muted(Mute.QUIET, ends)


def quiet_until(rules: Rules, severity: Severity, now: float) -> float | None:
    """When to look again at what quiet hours hold back now; None when they do not.

    Their end, or earlier, and always after `now`: the hour that comes twice in autumn has the end
    of the first one in the past, and the one that is left out in spring has no end of its own.
    """
    if rules.quiet is None or severity not in rules.quiet_severities:
        return None
    ends = rules.quiet.ends(datetime.fromtimestamp(now, tz=rules.zone))
    if ends is None:
        return None
    at = ends.timestamp()
    return now + SOON_S if at <= now else min(at, now + LOOK_AGAIN_S)
