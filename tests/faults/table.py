"""Results for people: a line each while it runs, and the table of docs/measurements.md."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tests.faults.result import Result


def line(result: Result) -> str:
    def seconds(value: float | None) -> str:
        return "      -" if value is None else f"{value:6.2f}s"

    verdict = "ok" if result.ok else f"FAILED: {result.why}"
    return (
        f"{result.id:5} {result.name:44} detected {seconds(result.detected_s)}"
        f" recovered {seconds(result.recovered_s)} sent {result.sent:5} failed {result.failed:3}"
        f" restarts {result.restarts}  {verdict}"
    )


def markdown(results: Sequence[Result]) -> str:
    """A row each, in the order of their numbers."""
    rows = [
        "| | fault | must act | detected | recovered | restarts | requests | failed |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for one in sorted(results, key=_order):
        cells = (
            one.id,
            one.name,
            "yes" if one.must_act else "no",
            _seconds(one.detected_s),
            _seconds(one.recovered_s),
            str(one.restarts),
            str(one.sent),
            str(one.failed),
        )
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.2f} s"


def _order(result: Result) -> tuple[int, str]:
    number = re.match(r"\d+", result.id)
    return int(number.group()) if number else 0, result.id
