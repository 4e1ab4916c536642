"""PURE: from a message to what a person reads, before any vendor's format.

It says what broke, where, since when, what rankguard saw, what it did, and what to do next.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo

from alerts.labels import runbook_of
from alerts.message import Kind, Message
from alerts.model import Alert, Status
from alerts.phrases import Phrases

UUID_TAIL = 8
"""Characters of a GPU's UUID that tell cards apart."""

MAX_EVIDENCE = 3
MAX_ALSO = 8
MAX_DIGEST = 40


@dataclass(frozen=True, slots=True)
class Links:
    """Base URLs; empty ones give no link."""

    external_url: str = ""
    dashboard_url: str = ""
    runbook_url: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One labelled line. `key` is the part's name: what, where, since, seen, did, next, also."""

    key: str
    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Link:
    """A named link."""

    label: str
    url: str


@dataclass(frozen=True, slots=True)
class Story:
    """A message in words. Texts are plain: each vendor escapes and cuts them its own way.

    Attributes:
        tone: critical, warning, info, resolved, acknowledged or digest; vendors colour by it.
    """

    headline: str
    tone: str
    lines: tuple[Line, ...]
    links: tuple[Link, ...]


@dataclass(frozen=True, slots=True)
class Author:
    """Writes stories in one language, with times in one zone."""

    phrases: Phrases
    links: Links
    zone: tzinfo

    def write(self, message: Message) -> Story:
        """The story of a message."""
        if message.kind is Kind.DIGEST:
            return self._digest(message)
        lead = message.alerts[0]
        tone = _tone(message)
        headline = f"{self.phrases[f'status.{tone}']}: {self.title(lead)} · {self.where(lead)}"
        if message.kind is Kind.TEST:
            headline = f"{self.phrases['status.test']} · {headline}"
        others = len(message.alerts) - 1 + message.left_out
        if others:
            headline += f" (+{others})"
        return Story(headline, tone, tuple(self._lines(message, lead)), self._links(lead))

    def title(self, alert: Alert) -> str:
        """What broke, by the alert's name; the name itself when it is not one of ours."""
        return self.phrases.get(f"title.{alert.name}", alert.name)

    def where(self, alert: Alert) -> str:
        """Host, GPU index with the tail of its UUID, replica."""
        parts = [alert.host]
        if alert.gpu_uuid:
            index = "" if alert.gpu_index is None else f" {alert.gpu_index}"
            parts.append(f"GPU{index} (…{alert.gpu_uuid[-UUID_TAIL:]})")
        if alert.replica:
            parts.append(self.phrases["word.replica"].format(name=alert.replica))
        return " · ".join(parts)

    def _lines(self, message: Message, lead: Alert) -> list[Line]:
        firing = message.status is Status.FIRING
        seen = ", ".join(
            f"{name} {value}" for name, value in list(lead.evidence.items())[:MAX_EVIDENCE]
        )
        did = lead.action or (self.phrases["word.nothing_done"] if firing else "")
        todo = self.phrases.get(f"next.{lead.name}", "") if firing else ""
        texts = {
            "what": lead.summary,
            "where": self.where(lead),
            "since": self._since(lead),
            "seen": seen,
            "did": did,
            "next": todo,
            "also": self._also(message),
            "note": self._note(message.note),
        }
        return self._labelled(texts)

    def _labelled(self, texts: Mapping[str, str]) -> list[Line]:
        return [
            Line(key, self.phrases[f"label.{key}"], text) for key, text in texts.items() if text
        ]

    def _also(self, message: Message) -> str:
        others = message.alerts[1:]
        parts = [self._brief(alert) for alert in others[:MAX_ALSO]]
        rest = len(others) - MAX_ALSO + message.left_out
        if rest > 0:
            parts.append(self.phrases["word.more"].format(count=rest))
        return "; ".join(parts)

    def _brief(self, alert: Alert) -> str:
        state = f" ({self._state(alert)})" if alert.status is Status.RESOLVED else ""
        return f"{self.title(alert)} · {self.where(alert)}{state}"

    def _state(self, alert: Alert) -> str:
        if alert.status is Status.FIRING:
            return self.phrases["word.firing"]
        return self.phrases["status.resolved"].lower()

    def _note(self, note: str) -> str:
        """A note is a phrase's name, with a name to fill in behind a colon: `stands_in:oncall`."""
        key, _, name = note.partition(":")
        phrase = self.phrases.get(f"note.{key}")
        return note if phrase is None else phrase.format(name=name)

    def _since(self, alert: Alert) -> str:
        text = self._time(alert.started_at)
        if alert.status is Status.RESOLVED and alert.ended_at is not None:
            lasted = self.duration(max(0.0, alert.ended_at - alert.started_at))
            text += f", {self.phrases['word.lasted'].format(duration=lasted)}"
        return text

    def _time(self, at: float) -> str:
        moment = datetime.fromtimestamp(at, tz=self.zone)
        return f"{moment:%Y-%m-%d %H:%M:%S} {moment.tzname() or ''}".strip()

    def duration(self, seconds: float) -> str:
        """`1 h 3 min`: the two largest units."""
        rest = round(seconds)
        parts: list[str] = []
        for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
            count, rest = divmod(rest, size)
            if count or (unit == "s" and not parts):
                parts.append(self.phrases[f"unit.{unit}"].format(n=count))
        return " ".join(parts[:2])

    def _links(self, lead: Alert) -> tuple[Link, ...]:
        base = self.links
        incident = ""
        if base.external_url:
            incident = f"{base.external_url.rstrip('/')}/#incident-{lead.incident}"
        found = {
            "runbook": runbook_of(lead, base.runbook_url),
            "dashboard": base.dashboard_url,
            "incident": incident,
        }
        return tuple(Link(self.phrases[f"label.{key}"], url) for key, url in found.items() if url)

    def _digest(self, message: Message) -> Story:
        firing = sum(1 for alert in message.alerts if alert.status is Status.FIRING)
        count = len(message.alerts) + message.left_out
        summary = self.phrases["word.digest"].format(count=count, firing=firing)
        lines = [
            Line("also", f"{self._span(alert)}", f"{self._brief_all(alert)}")
            for alert in message.alerts[:MAX_DIGEST]
        ]
        rest = count - len(lines)
        if rest > 0:
            more = self.phrases["word.more"].format(count=rest)
            lines.append(Line("also", self.phrases["label.also"], more))
        if message.note:
            lines.append(Line("note", self.phrases["label.note"], self._note(message.note)))
        links = (
            (Link(self.phrases["label.dashboard"], self.links.dashboard_url),)
            if self.links.dashboard_url
            else ()
        )
        headline = f"{self.phrases['status.digest']}: {summary}"
        return Story(headline, "digest", tuple(lines), links)

    def _span(self, alert: Alert) -> str:
        began = datetime.fromtimestamp(alert.started_at, tz=self.zone)
        if alert.status is Status.FIRING or alert.ended_at is None:
            return f"{began:%m-%d %H:%M} –"
        ended = datetime.fromtimestamp(alert.ended_at, tz=self.zone)
        form = "%H:%M" if ended.date() == began.date() else "%m-%d %H:%M"
        return f"{began:%m-%d %H:%M} – {ended.strftime(form)}"

    def _brief_all(self, alert: Alert) -> str:
        return f"{self.title(alert)} · {self.where(alert)} ({self._state(alert)})"


def _tone(message: Message) -> str:
    if message.kind is Kind.ACKNOWLEDGE:
        return "acknowledged"
    if message.status is Status.RESOLVED:
        return "resolved"
    return message.severity.value
