"""NDCG@10 per language pair as a picture (`matplotlib`, no display needed)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from deploy.evaluate.result import SystemResult

_CELL_IN = 0.42
_DPI = 130
AXES = {"ndcg_at_3": ("depth of the answer", "length")}  # the metric of needle tests
TITLE = {"ndcg_at_10": "NDCG@10", "ndcg_at_3": "NDCG@3"}
_DARK_BELOW = 0.45  # viridis is dark there: white digits on it


def draw(result: SystemResult, path: Path, *, metric: str = "ndcg_at_10") -> None:
    """Write a PNG: query languages down, document languages across, empty where not measured."""
    rows = list(dict.fromkeys(pair.query_lang for pair in result.pairs))
    columns = list(dict.fromkeys(pair.doc_lang for pair in result.pairs))
    values = np.full((len(rows), len(columns)), np.nan)
    for pair in result.pairs:
        values[rows.index(pair.query_lang), columns.index(pair.doc_lang)] = getattr(pair, metric)
    size = (max(5.0, 2.4 + _CELL_IN * len(columns)), max(2.6, 1.9 + _CELL_IN * len(rows)))
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    image = axes.imshow(values, vmin=0, vmax=1, cmap="viridis", aspect="auto")
    axes.set_xticks(range(len(columns)), columns, rotation=60, ha="right")
    axes.set_yticks(range(len(rows)), rows)
    across, down = AXES.get(metric, ("documents", "queries"))
    axes.set_xlabel(across)
    axes.set_ylabel(down)
    for row, column in zip(*np.nonzero(~np.isnan(values)), strict=True):
        value = values[row, column]
        shade = "white" if value < _DARK_BELOW else "black"
        axes.text(column, row, f"{100 * value:.0f}", ha="center", va="center", color=shade, size=7)
    figure.suptitle(
        f"{result.system} on {result.dataset}\n{TITLE[metric]} x 100, mean "
        f"{100 * getattr(result.mean, metric):.1f}, {result.mean.queries} queries",
        size=9,
    )
    figure.colorbar(image, ax=axes, shrink=0.9)
    figure.savefig(path, dpi=_DPI)
