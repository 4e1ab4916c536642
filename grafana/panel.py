"""What a dashboard shows, as values; knows nothing of Grafana's JSON.

A query is checked against the metric tables when it is made: a metric that was renamed breaks here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from grafana.catalogue import checked

RUNBOOKS = "http://127.0.0.1:9400/runbooks"
"""Where the watchdog serves them, in the committed JSON; rendering puts the configured place."""


class Look(str, Enum):
    """How a panel draws its numbers."""

    STAT = "stat"
    LINES = "lines"
    STATES = "states"
    HEATMAP = "heatmap"
    TABLE = "table"


class Unit(str, Enum):
    """Grafana's own names of units."""

    NONE = "short"
    RATIO = "percentunit"
    SECONDS = "s"
    BYTES = "bytes"
    PER_SECOND = "cps"
    REQUESTS = "reqps"
    CELSIUS = "celsius"
    WATTS = "watt"
    HERTZ = "hertz"
    TOKENS = "locale"
    AGE = "dtdurations"


@dataclass(frozen=True, slots=True)
class Query:
    """PromQL, and how its series are named: `{{replica}}`.

    Raises:
        grafana.catalogue.UnknownMetric: it reads what nobody exports.
    """

    expr: str
    legend: str = ""

    def __post_init__(self) -> None:
        checked(self.expr)


@dataclass(frozen=True, slots=True)
class Word:
    """A value that is shown as a word in a colour."""

    value: int
    text: str
    color: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One panel.

    Attributes:
        description: what it shows and what to do when it is bad.
        width: of 24 columns.
        steps: (from this value on, colour), the first from minus infinity.
        words: values shown as words.
        limit: a query whose value is drawn as a dashed red line.
        none: what it says when it is empty because nothing is wrong or nothing happened.
        runbooks: what to read when it is bad, by the names of the watchdog's alerts.
    """

    look: Look
    title: str
    description: str
    unit: Unit
    queries: tuple[Query, ...]
    width: int = 8
    height: int = 8
    steps: tuple[tuple[float | None, str], ...] = ((None, "green"),)
    words: tuple[Word, ...] = ()
    limit: Query | None = None
    none: str = ""
    runbooks: tuple[str, ...] = ()
    stacked: bool = False
    least: float | None = None
    most: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under one heading."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True)
class Variable:
    """A choice at the top of the dashboard: the values of `label` on `metric`."""

    name: str
    label: str
    metric: str
    key: str


@dataclass(frozen=True, slots=True)
class Dashboard:
    """One dashboard; `uid` is a part of its URL and never changes."""

    uid: str
    title: str
    description: str
    variables: tuple[Variable, ...]
    rows: tuple[Row, ...]


HOST = Variable("host", "Host", 'up{job=~"rankguard-.*"}', "host")
REPLICA = Variable("replica", "Replica", 'rankguard_replica_phase{host=~"$host"}', "replica")

DOWN_UP = (Word(0, "DOWN", "red"), Word(1, "up", "green"))
BAD_AT_ONE: tuple[tuple[float | None, str], ...] = ((None, "green"), (1.0, "red"))
GOOD_AT_ONE: tuple[tuple[float | None, str], ...] = ((None, "red"), (1.0, "green"))
