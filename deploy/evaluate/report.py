"""A result for people: terminal table, Markdown, CSV. No decisions."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table
from rich.text import Text as Words

from deploy.evaluate import published
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


def print_systems(console: Console, outcome: Outcome) -> None:
    """One row per system: its means, and how sure it is that it differs from the first."""
    console.print(_named_rows(_SYSTEM_COLUMNS, _system_rows(outcome)))
    pairs, queries = len(outcome.results[0].pairs), outcome.results[0].mean.queries
    console.print(
        f"means over {pairs} language pairs, {queries} queries; gain: NDCG@10 over the "
        "first, p by the paired randomization test",
        style="dim",
    )


def print_published(console: Console) -> None:
    """The authors' own figures, under their name."""
    rows = [(model, *(f"{value:.2f}" for value in values)) for model, values in published.ROWS]
    console.print(_named_rows(("published", *published.COLUMNS), rows, style="dim"))
    console.print(published.SOURCE, style="dim")


def _named_rows(titles: Sequence[str], rows: Iterable[Sequence[str]], style: str = "") -> Table:
    """A name, and figures to the right of it."""
    table = Table(box=None, pad_edge=False, header_style="bold", style=style)
    for place, title in enumerate(titles):
        table.add_column(title, justify="right" if place else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


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
    """A row per system where there are several, then a table per system."""
    lines = []
    if len(outcome.results) > 1:
        lines += [f"| {' | '.join(_SYSTEM_COLUMNS)} |", "|---" * len(_SYSTEM_COLUMNS) + "|"]
        lines += [f"| {' | '.join(row)} |" for row in _system_rows(outcome)]
        lines.append("")
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


_SYSTEM_COLUMNS = (
    "system", "NDCG@10", "95 %", "MRR@10", "MAP", "R@100", "s/request", "gain", "p",
)  # fmt: skip


def _system_rows(outcome: Outcome) -> list[tuple[str, ...]]:
    tests = {each.against: each for each in outcome.comparisons}
    rows = []
    for result in outcome.results:
        mean, test = result.mean, tests.get(result.system)
        rows.append(
            (
                result.system,
                f"{mean.ndcg_at_10:.3f}",
                f"{mean.ci95[0]:.2f}-{mean.ci95[1]:.2f}",
                *(f"{each:.3f}" for each in (mean.mrr_at_10, mean.map, mean.recall_at_100)),
                f"{result.took_s:.3f}",
                # the comparison is the first's gain over this one
                "" if test is None else f"{0.0 - test.difference:+.3f}",
                "" if test is None else f"{test.p:.4f}",
            )
        )
    return rows


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
