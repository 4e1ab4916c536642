"""A result for people: terminal table, Markdown, CSV. No decisions."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table
from rich.text import Text as Words

from deploy.evaluate.result import PairResult, SystemResult
from deploy.evaluate.session import Outcome

TITLES: Mapping[str, str] = {
    "ndcg_at_10": "NDCG@10",
    "ndcg_at_3": "NDCG@3",
    "mrr_at_10": "MRR@10",
    "map": "MAP",
    "recall_at_100": "R@100",
}
"""Metric in the result -> column title."""
_SHADES = ((0.9, "bold green"), (0.75, "green"), (0.5, "yellow"), (0.25, "dark_orange"), (0, "red"))


@dataclass(frozen=True, slots=True)
class View:
    """What a terminal table shows: the first column's title, the shaded metric, further ones."""

    first: str = "language pair"
    main: str = "ndcg_at_10"
    more: tuple[str, ...] = ("mrr_at_10", "map", "recall_at_100")

    @property
    def has_interval(self) -> bool:
        """The interval in a result is that of NDCG@10; beside another metric it would mislead."""
        return self.main == "ndcg_at_10"


def print_tables(console: Console, outcome: Outcome, view: View) -> None:
    """One row per pair; further systems as columns of the main metric beside the first."""
    first, others = outcome.results[0], outcome.results[1:]
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(view.first, no_wrap=True)
    table.add_column("n", justify="right")
    main = TITLES[view.main]
    table.add_column(f"{main}\n{first.system}" if others else main, justify="right")
    if view.has_interval:
        table.add_column("NDCG@10\n95 %" if others else "95 %", justify="right", style="dim")
    for name in view.more:
        table.add_column(TITLES[name], justify="right")
    for other in others:
        table.add_column(f"{main}\n{other.system}", justify="right")
    for place, pair in enumerate(first.pairs):
        table.add_row(*_cells(view, pair, [other.pairs[place] for other in others]))
    table.add_section()
    table.add_row(*_cells(view, first.mean, [other.mean for other in others]), style="bold")
    console.print(table)
    for line in sentences(outcome):
        console.print(line, style="dim")


def sentences(outcome: Outcome) -> list[str]:
    """What the table does not say: differences, significance, threshold, cut documents."""
    lines = [
        f"{each.system} - {each.against}: {each.difference:+.4f} NDCG@10 over {each.queries} "
        f"queries, p = {each.p:.4f} (paired randomization test)"
        for each in outcome.comparisons
    ]
    lines += [
        f"{each.system} cut {each.truncated} documents that were too long for it"
        for each in outcome.results
        if each.truncated
    ]
    lines += [
        f"{name}: keeping scores of at least {each.score:.4f} keeps {each.recall:.0%} of the "
        f"relevant documents, and {each.precision:.0%} of what is kept is relevant"
        for name, each in outcome.thresholds.items()
        if each is not None and each.calibration_error is not None
    ]
    return lines


def markdown(outcome: Outcome) -> str:
    """The same tables, one per system."""
    lines = []
    for result in outcome.results:
        lines += [
            f"### {result.dataset}: {result.system}",
            "",
            "| query | documents | queries | " + " | ".join(TITLES.values()) + " | 95 % interval |",
            "|---" * (len(TITLES) + 4) + "|",
        ]
        for pair in (*result.pairs, result.mean):
            values = " | ".join(f"{getattr(pair, name):.3f}" for name in TITLES)
            low, high = pair.ci95
            lines.append(
                f"| {pair.query_lang} | {pair.doc_lang} | {pair.queries} | {values} "
                f"| {low:.3f} to {high:.3f} |"
            )
        lines.append("")
    lines += [f"- {line}" for line in sentences(outcome)]
    return "\n".join(lines).rstrip() + "\n"


def comma_separated(results: Sequence[SystemResult]) -> str:
    """One row per system and pair, with a header."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(
        ["dataset", "system", "query_lang", "doc_lang", "queries", *TITLES, "low95", "high95"]
    )
    for result in results:
        for pair in (*result.pairs, result.mean):
            values = [f"{getattr(pair, name):.6f}" for name in TITLES]
            bounds = [f"{each:.6f}" for each in pair.ci95]
            names = [result.dataset, result.system, pair.query_lang, pair.doc_lang]
            writer.writerow([*names, pair.queries, *values, *bounds])
    return buffer.getvalue()


def _cells(view: View, pair: PairResult, others: Sequence[PairResult]) -> list[str | Words]:
    name = pair.query_lang if pair.query_lang == "mean" else f"{pair.query_lang} → {pair.doc_lang}"
    low, high = pair.ci95
    return [
        name,
        str(pair.queries),
        _shaded(getattr(pair, view.main)),
        *([f"{low:.2f}-{high:.2f}"] if view.has_interval else []),
        *(f"{getattr(pair, column):.3f}" for column in view.more),
        *(_shaded(getattr(other, view.main)) for other in others),
    ]


def _shaded(value: float) -> Words:
    style = next(style for bound, style in _SHADES if value >= bound)
    return Words(f"{value:.3f}", style=style)
