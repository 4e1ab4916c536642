"""docs/metrics.md: every metric and every alert rule, from the tables that make them.

`python -m deploy.render.reference` prints it; a test compares.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

from deploy.config import Config
from deploy.render.rules.book import rule_book
from deploy.render.rules.model import AlertRule
from grafana.catalogue import Job, Series, catalogue

_HEAD = """# Metrics and alert rules

Generated from the tables in the code: `python -m deploy.render.reference > docs/metrics.md`.
Units are base units. GPU series carry `uuid`, `gpu` (index), `model_name` and `pci_bus_id`;
Prometheus adds `job` and `host`. A reading that failed has no series; it never shows an old value.
Thresholds are those of the default configuration; `rankguard render prometheus` takes yours.
"""
_TITLES = {
    Job.GATEWAY: "## Gateway (`[service] port`, `/metrics`)",
    Job.WATCHDOG: "## Watchdog (`[monitor] port`, `/metrics`)",
}


def reference(config: Config) -> str:
    """The whole document."""
    parts = [_HEAD]
    for job, title in _TITLES.items():
        rows = [_metric(series) for series in catalogue() if series.job is job]
        parts.append(f"{title}\n\n{_table(('metric', 'type', 'labels', 'is'), rows)}")
    for group in rule_book(config):
        if group.recordings:
            rows = [(f"`{item.name}`", _code(item.expr)) for item in group.recordings]
            parts.append(f"## Recorded series\n\n{_table(('series', 'expression'), rows)}")
    for group in rule_book(config):
        rows = [_alert(rule) for rule in group.alerts]
        head = ("alert", "severity", "for", "when", "do")
        parts.append(f"## Alert rules: {group.name}\n\n{_table(head, rows)}")
    return "\n".join(parts)


def _metric(series: Series) -> tuple[str, ...]:
    own = [label for label in series.labels if label not in {"gpu", "model_name", "pci_bus_id"}]
    return (f"`{series.name}`", series.kind, ", ".join(own), series.help)


def _alert(rule: AlertRule) -> tuple[str, ...]:
    name = f"**{rule.name}**"
    if rule.same_as:
        name += f"<br>runbook [{rule.same_as}](../deploy/runbooks/{rule.same_as}.md)"
    return (name, rule.severity.value, rule.hold, _code(rule.expr), rule.action)


def _code(expr: str) -> str:
    return "`" + " ".join(expr.split()).replace("|", "\\|") + "`"


def _table(head: Iterable[str], rows: Iterable[tuple[str, ...]]) -> str:
    columns = list(head)
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(reference(Config()))
