"""PURE: from transitions to messages. Holds what is known in memory; the outbox keeps it.

Each round is level-triggered: it compares what every receiver was told with what is the case now,
so a round that is missed or repeated changes nothing but the time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo
from enum import Enum

from alerts import dedup, escalation, incidents, talk
from alerts.dedup import Told
from alerts.escalation import Escalation
from alerts.flap import Flap, FlapLimits
from alerts.grouping import due_at, group_of
from alerts.held import Held, morning_digest
from alerts.incidents import Seen, Track
from alerts.inhibit import Causes
from alerts.labels import labels_of
from alerts.message import Message
from alerts.model import Alert, Severity, Status
from alerts.names import DELIVERY_FAILING, FLAPPING
from alerts.quiet import Hours
from alerts.route import Route, choose
from alerts.silence import Silence, muting
from alerts.talk import Talk

TalkKey = tuple[str, str]
"""(receiver, group)"""

MAX_TRACKS = 20_000
"""Causes remembered; the oldest ended ones are forgotten first."""

PENDING_S = 5.0
"""How soon to look again at what could not be decided now."""


class Mute(str, Enum):
    """Why a new alert is not told."""

    SILENCED = "silenced"
    EXPLAINED = "explained_by_cause"
    FLAPPING = "flapping"
    QUIET = "quiet_hours"
    NO_ROUTE = "no_route"


@dataclass(frozen=True, slots=True)
class Rules:
    """What the settings say.

    Attributes:
        quiet_severities: what the quiet hours hold back.
        resend_s: receiver -> seconds, for receivers that forget what is not repeated.
    """

    routes: tuple[Route, ...]
    zone: tzinfo
    flap: FlapLimits = field(default_factory=FlapLimits)
    quiet: Hours | None = None
    quiet_severities: frozenset[Severity] = frozenset({Severity.WARNING, Severity.INFO})
    resend_s: Mapping[str, float] = field(default_factory=dict)


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
    state: Mapping[tuple[str, str], str | None]
    wake_at: float | None


class Planner:
    """The state, and the round that moves it. Not for several threads."""

    def __init__(self, rules: Rules, state: Mapping[tuple[str, str], str] | None = None) -> None:
        self._rules = rules
        self._tracks: dict[str, Track] = {}
        self._talks: dict[TalkKey, Talk] = {}
        self._held: dict[str, Held] = {}
        for (kind, key), body in (state or {}).items():
            self._restore(kind, key, json.loads(body))

    def _restore(self, kind: str, key: str, body: dict[str, object]) -> None:
        if kind == "track":
            self._tracks[key] = Track.from_json(body)
        elif kind == "talk":
            one = Talk.from_json(body)
            self._talks[one.receiver, one.group] = one
        elif kind == "held":
            self._held[key] = Held.from_json(body)

    def dump(self) -> dict[tuple[str, str], str]:
        """All that is known, as the outbox keeps it."""
        out: dict[tuple[str, str], str | None] = {}
        for fp, track in self._tracks.items():
            _differ(out, ("track", fp), None, track)
        for key, one in self._talks.items():
            _differ(out, ("talk", "\x1f".join(key)), None, one)
        for name, held in self._held.items():
            _differ(out, ("held", name), None, held)
        return {key: body for key, body in out.items() if body is not None}

    def firing(self) -> list[Alert]:
        """Every alert that fires as far as people should know; newest state, no order."""
        return [track.alert for track in self._tracks.values() if track.alert.status is _FIRING]

    def round(self, given: Round) -> Plan:
        """Take the transitions in and decide what everybody is to be told now."""
        return _Working(self._rules, given, self._tracks, self._talks, self._held).run()


_FIRING = Status.FIRING


class _Working:
    """One round's working set."""

    def __init__(
        self,
        rules: Rules,
        given: Round,
        tracks: dict[str, Track],
        talks: dict[TalkKey, Talk],
        held: dict[str, Held],
    ) -> None:
        self.rules = rules
        self.given = given
        self.now = given.now
        self.local = datetime.fromtimestamp(given.now, tz=rules.zone)
        self.tracks, self.talks, self.held = tracks, talks, held
        self.before = (dict(tracks), dict(talks), dict(held))
        self.decisions: dict[str, str] = {}
        self.messages: list[Message] = []
        self.wake: list[float] = []
        self.shown: dict[str, Alert] = {}
        self.muted: dict[str, Mute] = {}

    def run(self) -> Plan:
        self.take_in()
        self.settle()
        self.look()
        self.route()
        self.release_held()
        for key in list(self.talks):
            if key in self.talks:
                self.converse(key)
        self.forget()
        return Plan(self.decisions, self.messages, self.changed(), min(self.wake, default=None))

    # 1. transitions become tracks

    def take_in(self) -> None:
        for alert in self.given.alerts:
            track, seen = incidents.advance(self.tracks.get(alert.fingerprint), alert)
            if track is not None:
                self.tracks[alert.fingerprint] = track
            self.decisions[alert.id] = seen.value

    # 2. flapping begins or ends

    def settle(self) -> None:
        for fp, track in list(self.tracks.items()):
            if track.alert.name == FLAPPING:
                continue
            timely = incidents.not_after(track, self.now)
            after, found = incidents.settle(timely, self.now, self.rules.flap)
            self.tracks[fp] = after
            if found is Flap.BEGAN:
                self._flapping(after, Status.FIRING)
            elif found is Flap.ENDED:
                self._flapping(track, Status.RESOLVED)

    def _flapping(self, track: Track, status: Status) -> None:
        alert = incidents.flapping_alert(track, self.now, status)
        moved, _ = incidents.advance(self.tracks.get(alert.fingerprint), alert)
        if moved is not None:
            self.tracks[alert.fingerprint] = moved

    # 3. what people should believe, and what is muted

    def look(self) -> None:
        for fp, track in self.tracks.items():
            seen = incidents.view(track, self.now, self.rules.flap)
            ended = track.alert.ended_at if seen.status is Status.RESOLVED else None
            self.shown[fp] = replace(track.alert, status=seen.status, ended_at=ended)
            if seen.until is not None:
                self.wake.append(seen.until)
        causes = Causes(alert for alert in self.shown.values() if alert.status is _FIRING)
        for fp, alert in self.shown.items():
            mute = self._mute(alert, self.tracks[fp], causes)
            if mute is not None:
                self.muted[fp] = mute

    def _mute(self, alert: Alert, track: Track, causes: Causes) -> Mute | None:
        if track.flapping_since is not None:
            return Mute.FLAPPING
        silence = muting(self.given.silences, labels_of(alert), self.now)
        if silence is not None:
            self.wake.append(silence.ends_at)
            return Mute.SILENCED
        if causes.explaining(alert) is not None:
            return Mute.EXPLAINED
        quiet_end = self._quiet_ends(alert.severity)
        if quiet_end is not None:
            self.wake.append(quiet_end)
            return Mute.QUIET
        return None

    def _quiet_ends(self, severity: Severity) -> float | None:
        hours = self.rules.quiet
        if hours is None or severity not in self.rules.quiet_severities:
            return None
        ends = hours.ends(self.local)
        return None if ends is None else ends.timestamp()

    # 4. new news finds its conversations

    def route(self) -> None:
        for fp, alert in self.shown.items():
            track = self.tracks[fp]
            mute = self.muted.get(fp)
            if alert.status is _FIRING or track.untold:
                targets = self.targets(alert)
                if not targets:
                    mute = Mute.NO_ROUTE
                for key, route, labels in targets:
                    self._expect(alert, mute, key, route, labels)
            if mute is not None:
                self._note(alert, mute)
            if track.untold:
                self.tracks[fp] = replace(track, untold=0)

    def _expect(
        self,
        alert: Alert,
        mute: Mute | None,
        key: TalkKey,
        route: Route,
        labels: Mapping[str, str],
    ) -> None:
        fp = alert.fingerprint
        known = self.talks.get(key)
        if mute is not None:
            if known is not None and fp in known.expects:
                self.talks[key] = replace(known, expects=known.expects - {fp})
            if mute is Mute.QUIET and (known is None or fp not in known.told):
                self.held[key[0]] = self.held.get(key[0], Held(key[0])).keep(alert)
            return
        if known is None:
            known = Talk(
                receiver=key[0],
                group=key[1],
                labels=labels,
                timing=route.timing,
                opened_at=self.now,
                escalate_to=route.escalate_to,
                escalate_after_s=route.escalate_after_s,
            )
        told = known.told.get(fp)
        if told is None or told.incident != alert.incident:
            self.talks[key] = replace(known, expects=known.expects | {fp})

    def targets(self, alert: Alert) -> list[tuple[TalkKey, Route, Mapping[str, str]]]:
        """The conversations that the routes give an alert; each once."""
        found: dict[TalkKey, tuple[Route, Mapping[str, str]]] = {}
        for route in choose(self.rules.routes, labels_of(alert), self.local):
            group, labels = group_of(alert, route.group_by)
            for receiver in route.receivers:
                # a receiver that fails cannot be told so
                if alert.name == DELIVERY_FAILING and alert.labels.get("receiver") == receiver:
                    continue
                found.setdefault((receiver, group), (route, labels))
        return [(key, route, labels) for key, (route, labels) in found.items()]

    def _note(self, alert: Alert, mute: Mute) -> None:
        seen = self.decisions.get(alert.id)
        if seen in {Seen.OPENED.value, Seen.ESCALATED.value, Seen.RESOLVED.value}:
            self.decisions[alert.id] = f"{seen}: {mute.value}"

    # 5. the morning after quiet hours

    def release_held(self) -> None:
        for receiver, kept in list(self.held.items()):
            current = kept.refresh(self.shown)
            self.held[receiver] = current
            if any(self._quiet_ends(severity) for severity in self.rules.quiet_severities):
                continue
            del self.held[receiver]
            self.messages.append(morning_digest(current, self.now))
            for fp, alert in current.alerts.items():
                if alert.status is _FIRING:
                    self._count_as_told(receiver, fp, alert)

    def _count_as_told(self, receiver: str, fp: str, alert: Alert) -> None:
        for key, _, _ in self.targets(alert):
            known = self.talks.get(key)
            if key[0] == receiver and known is not None:
                told = {**known.told, fp: Told(alert.incident, alert.severity)}
                self.talks[key] = replace(
                    known, told=told, expects=known.expects - {fp}, last_told_at=self.now
                )

    # 6. each conversation

    def converse(self, key: TalkKey) -> None:
        one = talk.not_after(self.talks[key], self.now)
        if not self.shown.keys() >= one.told.keys():  # a cause that nothing is known of any more
            told = {fp: each for fp, each in one.told.items() if fp in self.shown}
            one = replace(one, told=told)
        firing, resolved = self._sides(one)
        taken = bool(firing) and all(
            (fp, alert.incident) in self.given.acknowledged for fp, alert in firing.items()
        )
        muted = bool(firing) and all(fp in self.muted for fp in firing)
        resend_s = self.rules.resend_s.get(one.receiver)
        news = dedup.decide(
            told=one.told,
            firing=firing,
            resolved=resolved,
            last_told_at=one.last_told_at,
            repeat_s=one.timing.repeat_s if resend_s is None else resend_s,
            acknowledged=resend_s is None and (taken or muted),
            pending=key in self.given.pending,
            now=self.now,
        )
        one = self._say(one, firing, resolved, news)
        if taken and one.told and not one.acknowledged:
            one, message = talk.acknowledge(one, firing, self.now)
            self.messages.append(message)
        one = self._escalate(one, firing, taken=taken)
        if news is dedup.News.REPEAT_WAITS:
            self.wake.append(self.now + PENDING_S)
        elif firing and one.last_told_at is not None:
            again = one.last_told_at + (one.timing.repeat_s if resend_s is None else resend_s)
            self.wake.append(max(again, self.now + PENDING_S))
        if one.told or one.expects:
            self.talks[key] = one
        else:
            del self.talks[key]

    def _sides(self, one: Talk) -> tuple[dict[str, Alert], dict[str, Alert]]:
        """What fires and what ended, of what the receiver was or is to be told."""
        firing: dict[str, Alert] = {}
        resolved: dict[str, Alert] = {}
        for fp in sorted(set(one.told) | one.expects):
            alert = self.shown.get(fp)
            if alert is None:
                continue
            if alert.status is Status.RESOLVED:
                resolved[fp] = alert
            elif fp in self.muted and fp in one.told:
                # muted: what was told stays told, and nothing about it is news
                told = one.told[fp]
                firing[fp] = replace(alert, incident=told.incident, severity=told.severity)
            else:
                firing[fp] = alert
        return firing, resolved

    def _say(
        self,
        one: Talk,
        firing: Mapping[str, Alert],
        resolved: Mapping[str, Alert],
        news: dedup.News,
    ) -> Talk:
        if news is dedup.News.REPEAT:
            after, messages = talk.tell(
                one, firing=firing, resolved=resolved, news=news, now=self.now
            )
            self.messages += messages
            return after
        if not news.is_change:
            return replace(one, waiting_since=None, expects=frozenset())
        since = self.now if one.waiting_since is None else one.waiting_since
        due = due_at(
            waiting_since=since,
            last_told_at=one.last_told_at,
            urgent=news.is_urgent,
            timing=one.timing,
        )
        if self.now < due:
            self.wake.append(due)
            return replace(one, waiting_since=since)
        after, messages = talk.tell(one, firing=firing, resolved=resolved, news=news, now=self.now)
        self.messages += messages
        return after

    def _escalate(self, one: Talk, firing: Mapping[str, Alert], *, taken: bool) -> Talk:
        found = escalation.decide(
            escalate_to=one.escalate_to,
            told_critical_at=one.critical_at,
            after_s=one.escalate_after_s,
            acknowledged=taken,
            escalated=one.escalated,
            now=self.now,
        )
        if found is Escalation.WAITING and one.critical_at is not None:
            self.wake.append(one.critical_at + one.escalate_after_s)
        if found is not Escalation.DUE:
            return one
        for receiver in one.escalate_to:
            self._escalate_to(receiver, one, frozenset(firing))
        return replace(one, escalated=True)

    def _escalate_to(self, receiver: str, one: Talk, fps: frozenset[str]) -> None:
        key = (receiver, one.group)
        known = self.talks.get(key)
        if known is None:
            known = Talk(
                receiver=receiver,
                group=one.group,
                labels=one.labels,
                timing=replace(one.timing, wait_s=0.0),
                opened_at=self.now,
            )
        self.talks[key] = replace(known, expects=known.expects | (fps - set(known.told)))
        self.converse(key)

    # 7. what nobody needs any more

    def forget(self) -> None:
        used = {fp for one in self.talks.values() for fp in (*one.told, *one.expects)}
        keep_s = self.rules.flap.window_s
        done = [
            (track.changes[-1], fp)
            for fp, track in self.tracks.items()
            if fp not in used
            and self.shown[fp].status is Status.RESOLVED
            and track.flapping_since is None
        ]
        excess = len(self.tracks) - MAX_TRACKS
        for position, (last, fp) in enumerate(sorted(done)):
            if abs(self.now - last) > keep_s or position < excess:
                del self.tracks[fp]
            else:
                self.wake.append(last + keep_s + 1)

    def changed(self) -> dict[tuple[str, str], str | None]:
        """What differs from before this round, as the outbox keeps it."""
        out: dict[tuple[str, str], str | None] = {}
        tracks, talks, held = self.before
        for fp in tracks.keys() | self.tracks.keys():
            _differ(out, ("track", fp), tracks.get(fp), self.tracks.get(fp))
        for key in talks.keys() | self.talks.keys():
            _differ(out, ("talk", "\x1f".join(key)), talks.get(key), self.talks.get(key))
        for name in held.keys() | self.held.keys():
            _differ(out, ("held", name), held.get(name), self.held.get(name))
        return out


def _differ(
    out: dict[tuple[str, str], str | None],
    key: tuple[str, str],
    old: Track | Talk | Held | None,
    new: Track | Talk | Held | None,
) -> None:
    if new is None:
        out[key] = None
    elif new is not old and new != old:
        out[key] = json.dumps(new.to_json(), ensure_ascii=False, separators=(",", ":"))
