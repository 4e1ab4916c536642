"""Capacity results as pictures (`matplotlib`, no display needed)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from deploy.bench.batches import Row
from deploy.bench.slo import Objective, Trial

_DPI = 130


def batches(rows: Sequence[Row], path: Path) -> None:
    """Write a PNG: documents per second and latency against batch size, one line per length."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    speed, latency = figure.subplots(1, 2)
    for length in dict.fromkeys(row.doc_tokens for row in rows):
        own = [row for row in rows if row.doc_tokens == length]
        sizes = [row.batch for row in own]
        speed.plot(sizes, [r.summary.docs_per_s for r in own], "o-", label=f"{length} tokens")
        (line,) = latency.plot(sizes, [r.summary.p50_ms for r in own], "o-", label=f"{length}, p50")
        latency.plot(sizes, [r.summary.p95_ms for r in own], ":", color=line.get_color())
    speed.set_ylabel("documents per second")
    latency.set_ylabel("ms per request (dotted: p95)")
    for axes in (speed, latency):
        axes.set_xscale("log", base=2)
        axes.set_xticks(sizes_of(rows), [str(size) for size in sizes_of(rows)])
        axes.set_xlabel("documents in a request")
        axes.set_ylim(bottom=0)
        axes.legend(frameon=False)
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=_DPI)


def rates(trials: Sequence[Trial], objective: Objective | None, path: Path) -> None:
    """Write a PNG: latency percentiles against the rate that was sent."""
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    ordered = sorted(trials, key=lambda each: each.rate)
    sent = [each.rate for each in ordered]
    for name, label in (("p50_ms", "p50"), ("p95_ms", "p95"), ("p99_ms", "p99")):
        axes.plot(sent, [getattr(each.summary, name) for each in ordered], "o-", label=label)
    if objective is not None:
        axes.axhline(objective.limit_ms, color="grey", linestyle="--", label="objective")
    axes.set_xlabel("requests per second, sent at set times")
    axes.set_ylabel("ms from the set time to the answer")
    axes.set_yscale("log")
    axes.legend(frameon=False)
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=_DPI)


def sizes_of(rows: Sequence[Row]) -> list[int]:
    return sorted({row.batch for row in rows})
