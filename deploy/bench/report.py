"""Capacity results for people and for tools: terminal tables, Markdown, JSON. No decisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from deploy.bench.batches import Row
from deploy.bench.latency import Summary
from deploy.bench.slo import Trial
from deploy.bench.versus import ByLoad, spread

_BATCH_TITLES = (
    "batch", "tokens", "docs/s", "tok/s", "mean", "p50", "p95", "p99", "CPU/doc", "RSS",
    "VRAM",
)  # fmt: skip
"""Latencies of a request and CPU of a document in milliseconds, memory in MiB."""
_LOAD_TITLES = (
    "req/s", "done/s", "docs/s", "mean", "p50", "p95", "p99", "late", "failed", "checks", "met",
)  # fmt: skip
"""Latencies in milliseconds; `late` is how late the generator itself was."""
_VERSUS_TITLES = (
    "clients", "docs", "ours/s", "theirs/s", "ratio", "min", "max", "p50", "p99", "their p50",
    "p99",
)  # fmt: skip
"""Documents per second on each side, their ratio by round, latencies in milliseconds."""


@dataclass(frozen=True, slots=True)
class Cells:
    """A table as words: titles and rows."""

    titles: Sequence[str]
    rows: Sequence[Sequence[str]]


def batch_cells(rows: Sequence[Row]) -> Cells:
    return Cells(_BATCH_TITLES, [_batch_row(row) for row in rows])


def load_cells(trials: Sequence[Trial]) -> Cells:
    return Cells(_LOAD_TITLES, [_load_row(each) for each in trials])


def versus_cells(found: Sequence[ByLoad]) -> Cells:
    return Cells(_VERSUS_TITLES, [_versus_row(each) for each in found])


def table(cells: Cells) -> Table:
    """The table for a terminal."""
    found = Table(box=None, pad_edge=False, header_style="bold")
    for title in cells.titles:
        found.add_column(title, justify="right")
    for row in cells.rows:
        found.add_row(*row)
    return found


def markdown(cells: Cells) -> str:
    lines = [f"| {' | '.join(cells.titles)} |", "|" + "---:|" * len(cells.titles)]
    lines += [f"| {' | '.join(row)} |" for row in cells.rows]
    return "\n".join(lines) + "\n"


def batch_json(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """The `rows` of `rankguard bench --json`."""
    return [
        {
            "batch": row.batch,
            "doc_tokens": row.doc_tokens,
            "doc_chars": row.doc_chars,
            **summary_json(row.summary),
            "rss_mb": _round(row.usage.rss_mb),
            "vram_mb": _round(row.usage.vram_mb),
            "cpu_ms_per_doc": _round(row.cpu_ms_per_doc),
        }
        for row in rows
    ]


def summary_json(summary: Summary) -> dict[str, Any]:
    return {
        "requests": summary.requests,
        "failed": summary.failed,
        "docs_per_s": _round(summary.docs_per_s),
        "requests_per_s": _round(summary.requests_per_s),
        "tokens_per_s": _round(summary.tokens_per_s),
        "mean_ms": _round(summary.mean_ms),
        "p50_ms": _round(summary.p50_ms),
        "p95_ms": _round(summary.p95_ms),
        "p99_ms": _round(summary.p99_ms),
        "max_ms": _round(summary.max_ms),
        "late_ms": _round(summary.late_ms),
        "checks": {"asked": summary.checks, "right_first": summary.checks_right},
        "errors": list(summary.errors),
    }


def load_json(trials: Sequence[Trial]) -> list[dict[str, Any]]:
    return [
        {"rate": _round(each.rate), "met": each.met.value, **summary_json(each.summary)}
        for each in trials
    ]


def _batch_row(row: Row) -> list[str]:
    one = row.summary
    return [
        str(row.batch),
        str(row.doc_tokens),
        f"{one.docs_per_s:.1f}",
        _known(one.tokens_per_s),
        *(f"{each:.0f}" for each in (one.mean_ms, one.p50_ms, one.p95_ms, one.p99_ms)),
        "-" if row.cpu_ms_per_doc is None else f"{row.cpu_ms_per_doc:.1f}",
        _known(row.usage.rss_mb),
        _known(row.usage.vram_mb),
    ]


def _load_row(trial: Trial) -> list[str]:
    one = trial.summary
    return [
        f"{trial.rate:.2f}",
        f"{one.requests_per_s:.2f}",
        f"{one.docs_per_s:.1f}",
        *(f"{each:.0f}" for each in (one.mean_ms, one.p50_ms, one.p95_ms, one.p99_ms)),
        f"{one.late_ms:.0f}",
        f"{one.failed}/{one.requests}",
        f"{one.checks_right}/{one.checks}",
        trial.met.value.replace("_", " "),
    ]


def _versus_row(each: ByLoad) -> list[str]:
    ratio = spread(each.ratios)
    ours = [run.summary for run in each.ours]
    theirs = [run.summary for run in each.theirs]

    def middle(summaries: Sequence[Summary], name: str) -> float:
        return spread([getattr(one, name) for one in summaries])["median"]

    return [
        str(each.shape.clients),
        str(each.shape.documents),
        f"{middle(ours, 'docs_per_s'):.1f}",
        f"{middle(theirs, 'docs_per_s'):.1f}",
        *(f"{ratio[name]:.2f}" for name in ("median", "min", "max")),
        f"{middle(ours, 'p50_ms'):.1f}",
        f"{middle(ours, 'p99_ms'):.1f}",
        f"{middle(theirs, 'p50_ms'):.1f}",
        f"{middle(theirs, 'p99_ms'):.1f}",
    ]


def _known(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"


def _round(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
