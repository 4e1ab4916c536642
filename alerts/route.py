"""PURE: which receivers an alert goes to, and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum

from alerts.grouping import Timing
from alerts.labels import Matcher
from alerts.model import Severity
from alerts.quiet import Hours


class Fit(str, Enum):
    """What a route is to an alert."""

    MATCHED = "matched"
    OTHER_SEVERITY = "other_severity"
    OTHER_LABELS = "other_labels"
    OTHER_TIME = "other_time"
    NOT_REACHED = "not_reached"


@dataclass(frozen=True, slots=True)
class Route:
    """One rule, in the order of the settings.

    Attributes:
        severities: empty: every severity. matchers: all must match. hours: empty: always.
        go_on: later routes are looked at as well.
        group_by: labels that name the conversation; `incident` stands for the cause.
        escalate_to: who is told when nobody acknowledges a critical alert for `escalate_after_s`.
    """

    receivers: tuple[str, ...]
    severities: frozenset[Severity] = frozenset()
    matchers: tuple[Matcher, ...] = ()
    hours: Hours | None = None
    go_on: bool = False
    group_by: tuple[str, ...] = ("incident",)
    timing: Timing = field(default_factory=Timing)
    escalate_to: tuple[str, ...] = ()
    escalate_after_s: float = 900.0


@dataclass(frozen=True, slots=True)
class Step:
    """One route looked at. `why` is one phrase for people."""

    index: int
    route: Route
    fit: Fit
    why: str


def explain(routes: Sequence[Route], labels: Mapping[str, str], local: datetime) -> list[Step]:
    """What each route is to an alert with these labels at this local time."""
    steps: list[Step] = []
    ended = False
    for index, route in enumerate(routes):
        if ended:
            steps.append(Step(index, route, Fit.NOT_REACHED, "an earlier route ended the search"))
            continue
        fit, why = _fit(route, labels, local)
        steps.append(Step(index, route, fit, why))
        ended = fit is Fit.MATCHED and not route.go_on
    return steps


def choose(routes: Sequence[Route], labels: Mapping[str, str], local: datetime) -> list[Route]:
    """The routes that an alert takes, in order."""
    chosen: list[Route] = []
    for route in routes:
        if _fit(route, labels, local)[0] is Fit.MATCHED:
            chosen.append(route)
            if not route.go_on:
                break
    return chosen


def _fit(route: Route, labels: Mapping[str, str], local: datetime) -> tuple[Fit, str]:
    severity = labels.get("severity", "")
    wanted = sorted(each.value for each in route.severities)
    if wanted and severity not in wanted:
        return Fit.OTHER_SEVERITY, f"severity is {severity or 'not set'}, not {' or '.join(wanted)}"
    for matcher in route.matchers:
        if not matcher.matches(labels):
            actual = labels.get(matcher.name, "")
            return Fit.OTHER_LABELS, f"{matcher} does not match {actual!r}"
    if route.hours is not None and not route.hours.holds(local):
        return Fit.OTHER_TIME, f"not in its hours at {local:%a %H:%M}"
    return Fit.MATCHED, "matches"
