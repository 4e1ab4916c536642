"""Every metric that rankguard exports, from the two tables that declare them.

Rules and dashboards name metrics through `checked`, so a renamed one breaks where it is used.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache

from monitor.metrics import METRICS
from service.metrics import GATEWAY


class Job(str, Enum):
    """The process that exports a metric; the scrape configuration gives it as label `job`."""

    GATEWAY = "rankguard-gateway"
    WATCHDOG = "rankguard-watchdog"


@dataclass(frozen=True, slots=True)
class Series:
    """One metric as it is scraped.

    Attributes:
        name: with `_total` for a counter; a histogram's samples add `_bucket`, `_sum`, `_count`.
        kind: counter, gauge or histogram.
        labels: its own, without the target's.
    """

    name: str
    job: Job
    kind: str
    help: str
    labels: tuple[str, ...]


class UnknownMetric(Exception):
    """An expression asks for a metric or a label that nobody exports."""


TARGET_LABELS = frozenset({"job", "instance", "host", "le", "alertname", "alertstate"})
_NAME = re.compile(r"\brankguard_[a-z0-9_]+")
_SELECTOR = re.compile(r"\b(rankguard_[a-z0-9_]+)\{([^}]*)\}")
_LABEL = re.compile(r"([a-zA-Z_][a-zA-Z0-9_]*)\s*(?:=~|!~|!=|=)\s*\"")


@cache
def catalogue() -> tuple[Series, ...]:
    """All metrics, the gateway's first, in the order of their tables."""
    gateway = (
        Series(row.name, Job.GATEWAY, row.kind.value, row.help, row.labels) for row in GATEWAY
    )
    watchdog = (
        Series(_sample_name(row.name, row.kind), Job.WATCHDOG, row.kind, row.help, row.labels)
        for row in METRICS
    )
    return (*gateway, *watchdog)


@cache
def samples() -> Mapping[str, frozenset[str]]:
    """Sample name -> labels that it may have; one name may come from both processes."""
    found: dict[str, frozenset[str]] = {}
    for series in catalogue():
        suffixes = ("_bucket", "_sum", "_count") if series.kind == "histogram" else ("",)
        for suffix in suffixes:
            name = series.name + suffix
            found[name] = found.get(name, frozenset()) | frozenset(series.labels)
    return found


def metrics_of(expression: str) -> set[str]:
    """The rankguard metrics that a PromQL expression reads."""
    return set(_NAME.findall(expression))


def checked(expression: str, *, besides: Collection[str] = ()) -> str:
    """The expression itself, when everything in it exists.

    Raises:
        UnknownMetric: it reads a metric that is neither in the tables nor in `besides`, or selects
            by a label that the metric does not have.
    """
    known = samples()
    for name in sorted(metrics_of(expression) - set(besides)):
        if name not in known:
            raise UnknownMetric(f"{name}: no such metric, in: {expression}")
    for name, selector in _SELECTOR.findall(expression):
        for label in _LABEL.findall(selector):
            if label not in TARGET_LABELS and label not in known.get(name, frozenset({label})):
                raise UnknownMetric(f"{name} has no label {label}, in: {expression}")
    return expression


def _sample_name(name: str, kind: str) -> str:
    return f"{name}_total" if kind == "counter" else name
