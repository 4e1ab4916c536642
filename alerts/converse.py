"""PURE: one round of one conversation: what its receiver is told now, if anything."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from alerts import dedup, escalation, talk
from alerts.dedup import News
from alerts.escalation import Escalation
from alerts.grouping import due_at
from alerts.message import Message
from alerts.model import Alert, Status
from alerts.plan import Round, Rules
from alerts.talk import Talk

PENDING_S = 5.0
"""How soon to look again at what could not be decided now."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What came of it.

    Attributes:
        talk: the conversation afterwards; it is over when it tells and expects nothing.
        wake: times at which it may go on by itself, in Unix seconds.
        escalate: fingerprints that the second receivers are to be told of now.
    """

    talk: Talk
    messages: tuple[Message, ...] = ()
    wake: tuple[float, ...] = ()
    escalate: frozenset[str] = frozenset()


def take_turn(
    one: Talk,
    shown: Mapping[str, Alert],
    muted: Collection[str],
    given: Round,
    rules: Rules,
) -> Turn:
    """Compare what the receiver believes with what is the case.

    Args:
        shown: fingerprint -> every cause as people should see it.
        muted: fingerprints that are not told if they were not told already.
    """
    one = _timely(one, shown, given.now)
    firing, resolved = _sides(one, shown, muted)
    taken = bool(firing) and all(
        (fp, alert.incident) in given.acknowledged for fp, alert in firing.items()
    )
    news = _news(one, firing, resolved, given, rules, quiet=taken or _all_in(firing, muted))
    one, messages, wake = _say(
        one, firing, resolved, news, given.now, each=one.receiver in rules.resend_s
    )
    if taken and one.told and not one.acknowledged:
        one, message = talk.acknowledge(one, firing, given.now)
        messages.append(message)
    one, escalate = _escalate(one, firing, wake, given.now, taken=taken)
    if news is News.REPEAT_WAITS:
        wake.append(given.now + PENDING_S)
    elif firing and one.last_told_at is not None:
        again = one.last_told_at + _repeat_s(one, rules)
        wake.append(max(again, given.now + PENDING_S))
    return Turn(one, tuple(messages), tuple(wake), escalate)


def _timely(one: Talk, shown: Mapping[str, Alert], now: float) -> Talk:
    """Without times in the future, and without causes that nothing is known of any more."""
    one = talk.not_after(one, now)
    if shown.keys() >= one.told.keys():
        return one
    return replace(one, told={fp: each for fp, each in one.told.items() if fp in shown})


def _sides(
    one: Talk, shown: Mapping[str, Alert], muted: Collection[str]
) -> tuple[dict[str, Alert], dict[str, Alert]]:
    """What fires and what ended, of what the receiver was or is to be told."""
    firing: dict[str, Alert] = {}
    resolved: dict[str, Alert] = {}
    for fp in sorted(set(one.told) | one.expects):
        alert = shown.get(fp)
        if alert is None:
            continue
        if alert.status is Status.RESOLVED:
            resolved[fp] = alert
        elif fp in muted and fp in one.told:
            # what was told stays told, and nothing about it is news
            told = one.told[fp]
            firing[fp] = replace(alert, incident=told.incident, severity=told.severity)
        else:
            firing[fp] = alert
    return firing, resolved


def _all_in(firing: Mapping[str, Alert], muted: Collection[str]) -> bool:
    return bool(firing) and all(fp in muted for fp in firing)


def _repeat_s(one: Talk, rules: Rules) -> float:
    return rules.resend_s.get(one.receiver, one.timing.repeat_s)


def _news(
    one: Talk,
    firing: Mapping[str, Alert],
    resolved: Mapping[str, Alert],
    given: Round,
    rules: Rules,
    *,
    quiet: bool,
) -> News:
    return dedup.decide(
        told=one.told,
        firing=firing,
        resolved=resolved,
        last_told_at=one.last_told_at,
        repeat_s=_repeat_s(one, rules),
        # a receiver that forgets is told again whoever has taken it
        acknowledged=quiet and one.receiver not in rules.resend_s,
        pending=(one.receiver, one.group) in given.pending,
        now=given.now,
    )


def _say(
    one: Talk,
    firing: Mapping[str, Alert],
    resolved: Mapping[str, Alert],
    news: News,
    now: float,
    *,
    each: bool,
) -> tuple[Talk, list[Message], list[float]]:
    if news is not News.REPEAT:
        if not news.is_change:
            return replace(one, waiting_since=None, expects=frozenset()), [], []
        since = now if one.waiting_since is None else one.waiting_since
        due = due_at(
            waiting_since=since,
            last_told_at=one.last_told_at,
            urgent=news.is_urgent,
            timing=one.timing,
        )
        if now < due:
            return replace(one, waiting_since=since), [], [due]
    after, messages = talk.tell(
        one, firing=firing, resolved=resolved, news=news, now=now, each=each
    )
    return after, messages, []


def _escalate(
    one: Talk, firing: Mapping[str, Alert], wake: list[float], now: float, *, taken: bool
) -> tuple[Talk, frozenset[str]]:
    found = escalation.decide(
        escalate_to=one.escalate_to,
        told_critical_at=one.critical_at,
        after_s=one.escalate_after_s,
        acknowledged=taken,
        escalated=one.escalated,
        now=now,
    )
    if found is Escalation.WAITING and one.critical_at is not None:
        wake.append(one.critical_at + one.escalate_after_s)
    if found is not Escalation.DUE:
        return one, frozenset()
    return replace(one, escalated=True), frozenset(firing)
