"""PURE: an alert's labels and annotations, and the matchers that choose by them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from alerts.model import Alert

MAX_PATTERN = 200
"""Characters of a matcher's value: bounds the work of a regular expression."""

_MATCHER = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*(=~|!~|!=|=)\s*(.*?)\s*", re.DOTALL)


class MatcherError(ValueError):
    """A matcher's text cannot be read."""


@dataclass(frozen=True, slots=True)
class Matcher:
    """`name op value`, as in Alertmanager: an absent label is empty, patterns are anchored."""

    name: str
    op: str
    value: str

    def matches(self, labels: Mapping[str, str]) -> bool:
        actual = labels.get(self.name, "")
        if self.op in {"=", "!="}:
            return (actual == self.value) == (self.op == "=")
        return (re.fullmatch(self.value, actual) is not None) == (self.op == "=~")

    def __str__(self) -> str:
        return f'{self.name}{self.op}"{self.value}"'


def parse_matcher(text: str) -> Matcher:
    """Read `severity=critical`, `host!="h1"`, `alertname=~Gpu.*` or `replica!~replica-[01]`.

    Raises:
        MatcherError: it is none of these.
    """
    found = _MATCHER.fullmatch(text)
    if found is None:
        raise MatcherError(f"{text!r} is not a matcher such as severity=critical or host=~gpu.*")
    name, op, value = found.groups()
    if len(value) >= 2 and value[0] == value[-1] == '"':
        value = value[1:-1]
    if len(value) > MAX_PATTERN:
        raise MatcherError(f"{name}: the value is longer than {MAX_PATTERN} characters")
    if "~" in op:
        try:
            re.compile(value)
        except re.error as error:
            raise MatcherError(f"{name}: {value!r} is not a regular expression: {error}") from None
    return Matcher(name, op, value)


def all_match(matchers: Iterable[Matcher], labels: Mapping[str, str]) -> bool:
    return all(matcher.matches(labels) for matcher in matchers)


def labels_of(alert: Alert) -> dict[str, str]:
    """What identifies and routes the alert; the same for firing and resolved, so no numbers."""
    labels = {
        **dict(alert.labels),
        "alertname": alert.name,
        "severity": alert.severity.value,
        "host": alert.host,
        "replica": alert.replica or "",
        "gpu_uuid": alert.gpu_uuid or "",
    }
    return {name: value for name, value in labels.items() if value}


def runbook_of(alert: Alert, base: str) -> str:
    """The URL of the alert's runbook: its own when it is one, else `<base>/<name>.md`; or empty."""
    if alert.runbook.startswith(("http://", "https://")):
        return alert.runbook
    return f"{base.rstrip('/')}/{alert.name}.md" if base else ""


def annotations_of(alert: Alert, runbook_base: str = "") -> dict[str, str]:
    """What explains the alert; may change while it fires."""
    annotations = {
        "summary": alert.summary,
        "reason": alert.reason,
        "action": alert.action,
        "runbook_url": runbook_of(alert, runbook_base),
        "incident": str(alert.incident),
        "gpu": "" if alert.gpu_index is None else str(alert.gpu_index),
        **{f"evidence_{name}": value for name, value in alert.evidence.items()},
    }
    return {name: value for name, value in annotations.items() if value}


def common(each: list[dict[str, str]]) -> dict[str, str]:
    """The pairs that all of them have."""
    first: Mapping[str, str] = each[0] if each else {}
    return {
        name: value
        for name, value in first.items()
        if all(other.get(name) == value for other in each)
    }
