"""The comparison as a picture (`matplotlib`, no display needed)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from deploy.bench.bare.outcome import RATIOS
from deploy.bench.versus import ByLoad, spread

_TITLES = {
    "unique_defaults": "unique documents, each with its defaults",
    "unique_same_settings": "unique documents, same engine settings",
    "repeated": "the same request again and again",
}


def write(comparisons: Mapping[str, Sequence[ByLoad]], path: Path) -> None:
    """Write a PNG: documents per second above, their ratio below, a column per comparison."""
    figure = Figure(figsize=(4.4 * len(comparisons), 6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, len(comparisons), squeeze=False)
    for column, (name, found) in enumerate(comparisons.items()):
        _speeds(axes[0][column], found)
        _ratios(axes[1][column], found, RATIOS[name])
        axes[0][column].set_title(_TITLES[name], fontsize=10)
    axes[0][0].set_ylabel("documents per second")
    axes[1][0].set_ylabel("ours over bare vLLM\n(bar: median; line: all rounds)")
    figure.savefig(path, dpi=130)


def _speeds(axes: Axes, found: Sequence[ByLoad]) -> None:
    for offset, name, label in ((-0.2, "ours", "rankguard"), (0.2, "theirs", "bare vLLM")):
        axes.bar(
            [at + offset for at in range(len(found))],
            [
                spread([r.summary.docs_per_s for r in getattr(each, name)])["median"]
                for each in found
            ],
            width=0.4,
            label=label,
        )
    if any(each.shape.repeated for each in found):
        axes.set_yscale("log")
    _label_loads(axes, found)
    axes.legend(frameon=False, fontsize=8)


def _ratios(axes: Axes, found: Sequence[ByLoad], target: float) -> None:
    spreads = [spread(each.ratios) for each in found]
    middles = [each["median"] for each in spreads]
    axes.bar(
        range(len(found)),
        middles,
        yerr=[
            [each["median"] - each["min"] for each in spreads],
            [each["max"] - each["median"] for each in spreads],
        ],
        capsize=3,
        color="tab:green",
    )
    axes.axhline(target, color="black", linestyle="--", linewidth=1)
    axes.annotate(f"target {target:g}", (0, target), fontsize=8, va="bottom")
    _label_loads(axes, found)


def _label_loads(axes: Axes, found: Sequence[ByLoad]) -> None:
    names = [f"{each.shape.clients} x {each.shape.documents}" for each in found]
    axes.set_xticks(range(len(found)), names, rotation=45, fontsize=8)
    axes.set_xlabel("clients x documents", fontsize=8)
    axes.grid(axis="y", alpha=0.3)
