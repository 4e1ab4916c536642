"""PURE: one round: transitions in, what everybody is to be told now out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from alerts import incidents
from alerts.converse import take_turn
from alerts.dedup import Told
from alerts.flap import Flap
from alerts.grouping import group_of
from alerts.held import Held, morning_digest
from alerts.incidents import Seen, Track
from alerts.inhibit import Causes
from alerts.labels import labels_of
from alerts.message import Message
from alerts.model import Alert, Status
from alerts.mute import Ear, Mute, quiet_until
from alerts.names import DELIVERY_FAILING, FLAPPING
from alerts.plan import Plan, Round, Rules, StateKey, TalkKey
from alerts.route import Route, choose
from alerts.talk import Talk

HOURS_S = 60.0
"""How soon to look again whether a route's hours have begun or ended."""

MAX_TRACKS = 20_000
"""Causes remembered; the oldest ended ones are forgotten first."""


class Working:
    """One round's working set; `run` goes through its numbered steps."""

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
        self.retire()
        self.take_in()
        self.settle()
        self.look()
        self.route()
        self.release_held()
        for key in list(self.talks):
            if key in self.talks:
                self.converse(key)
        self.forget()
        if self.tracks and any(route.hours is not None for route in self.rules.routes):
            self.wake.append(self.now + HOURS_S)
        return Plan(self.decisions, self.messages, self.changed(), min(self.wake, default=None))

    # 0. the settings may have changed since the state was written

    def retire(self) -> None:
        """Receivers that are not in the settings any more are told nothing more."""
        known = self.rules.receivers
        if known is None:
            return
        for key, one in list(self.talks.items()):
            if key[0] not in known:
                del self.talks[key]
            elif not known.issuperset(one.escalate_to):
                self.talks[key] = replace(one, escalate_to=())
        for name in self.held.keys() - known:
            del self.held[name]

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
        causes = Causes(alert for alert in self.shown.values() if alert.status is Status.FIRING)
        ear = Ear(self.rules, self.given.silences, causes, self.now)
        for fp, alert in self.shown.items():
            found = ear.muted(alert, self.tracks[fp])
            if found is None:
                continue
            self.muted[fp] = found.why
            if found.until is not None:
                self.wake.append(found.until)

    # 4. new news finds its conversations

    def route(self) -> None:
        for fp, alert in self.shown.items():
            track = self.tracks[fp]
            mute = self.muted.get(fp)
            if alert.status is Status.FIRING or track.untold:
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
            held = mute is Mute.QUIET and key[0] not in self.rules.no_digest
            if held and (known is None or fp not in known.told):
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
        elif route.escalate_to and not known.escalate_to:
            # begun by a lesser alert, by another route, or under other settings
            known = replace(
                known, escalate_to=route.escalate_to, escalate_after_s=route.escalate_after_s
            )
            self.talks[key] = known
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
            severities = self.rules.quiet_severities
            if any(quiet_until(self.rules, each, self.now) is not None for each in severities):
                continue
            del self.held[receiver]
            self.messages.append(morning_digest(current, self.now))
            for fp, alert in current.alerts.items():
                if alert.status is Status.FIRING:
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
        turn = take_turn(self.talks[key], self.shown, self.muted, self.given, self.rules)
        self.messages += turn.messages
        self.wake += turn.wake
        if turn.talk.told or turn.talk.expects:
            self.talks[key] = turn.talk
        else:
            del self.talks[key]
        if turn.escalate:
            for receiver in turn.talk.escalate_to:
                self._escalate_to(receiver, turn.talk, turn.escalate)

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

    def changed(self) -> dict[StateKey, str | None]:
        """What differs from before this round, as the outbox keeps it."""
        out: dict[StateKey, str | None] = {}
        tracks, talks, held = self.before
        for fp in tracks.keys() | self.tracks.keys():
            differ(out, ("track", fp), tracks.get(fp), self.tracks.get(fp))
        for key in talks.keys() | self.talks.keys():
            differ(out, ("talk", "\x1f".join(key)), talks.get(key), self.talks.get(key))
        for name in held.keys() | self.held.keys():
            differ(out, ("held", name), held.get(name), self.held.get(name))
        return out


def differ(
    out: dict[StateKey, str | None],
    key: StateKey,
    old: Track | Talk | Held | None,
    new: Track | Talk | Held | None,
) -> None:
    if new is None:
        out[key] = None
    elif new is not old and new != old:
        out[key] = json.dumps(new.to_json(), separators=(",", ":"))
