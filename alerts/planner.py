"""PURE: from transitions to messages. Holds what is known in memory; the outbox keeps it.

Each round is level-triggered: it compares what every receiver was told with what is the case now,
so a round that is missed or repeated changes nothing but the time.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping

from alerts.held import Held
from alerts.incidents import Track
from alerts.model import Alert, Status
from alerts.plan import Plan, Round, Rules, StateKey, TalkKey
from alerts.talk import Talk
from alerts.working import Working, differ


class Planner:
    """The state, and the round that moves it. Not for several threads."""

    def __init__(self, rules: Rules, state: Mapping[StateKey, str] | None = None) -> None:
        self._rules = rules
        self._tracks: dict[str, Track] = {}
        self._talks: dict[TalkKey, Talk] = {}
        self._held: dict[str, Held] = {}
        for (kind, key), body in (state or {}).items():
            # what another version wrote and this one cannot read is left alone
            with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
                self._restore(kind, key, json.loads(body))

    def _restore(self, kind: str, key: str, body: dict[str, object]) -> None:
        if kind == "track":
            self._tracks[key] = Track.from_json(body)
        elif kind == "talk":
            one = Talk.from_json(body)
            self._talks[one.receiver, one.group] = one
        elif kind == "held":
            self._held[key] = Held.from_json(body)

    def dump(self) -> dict[StateKey, str]:
        """All that is known, as the outbox keeps it."""
        out: dict[StateKey, str | None] = {}
        for fp, track in self._tracks.items():
            differ(out, ("track", fp), None, track)
        for key, one in self._talks.items():
            differ(out, ("talk", "\x1f".join(key)), None, one)
        for name, held in self._held.items():
            differ(out, ("held", name), None, held)
        return {key: body for key, body in out.items() if body is not None}

    def firing(self) -> list[Alert]:
        """Every alert that fires as far as people should know; newest state, no order."""
        return [
            track.alert for track in self._tracks.values() if track.alert.status is Status.FIRING
        ]

    def round(self, given: Round) -> Plan:
        """Take the transitions in and decide what everybody is to be told now."""
        return Working(self._rules, given, self._tracks, self._talks, self._held).run()
