"""A result for people: terminal table, Markdown, CSV. No decisions."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text as Words

from deploy.evaluate.result import PairResult, SystemResult
from deploy.evaluate.session import Outcome

COLUMNS = ("ndcg_at_10", "mrr_at_10", "map", "recall_at_100")
TITLES = ("NDCG@10", "MRR@10", "MAP", "R@100")
_SHADES = ((0.9, "bold green"), (0.75, "green"), (0.5, "yellow"), (0.25, "dark_orange"), (0, "red"))


def print_tables(console: Console, outcome: Outcome, *, first_column: str) -> None:
    """One row per language pair; further systems as NDCG@10 columns beside the first."""
    first, others = outcome.results[0], outcome.results[1:]
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(first_column, no_wrap=True)
    table.add_column("queries", justify="right")
    table.add_column(f"NDCG@10 {first.system}" if others else "NDCG@10", justify="right")
    table.add_column("95 % interval", justify="right", style="dim", no_wrap=True)
    for title in TITLES[1:]:
        table.add_column(title, justify="right")
    for other in others:
        table.add_column(f"NDCG@10 {other.system}", justify="right")
    for place, pair in enumerate(first.pairs):
        table.add_row(*_cells(pair, [other.pairs[place] for other in others]))
    table.add_section()
    table.add_row(*_cells(first.mean, [other.mean for other in others]), style="bold")
    console.print(table)
    for line in sentences(outcome):
        console.print(line, style="dim", highlight=False)


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
        if each is not None
    ]
    return lines


def markdown(outcome: Outcome) -> str:
    """The same tables, one per system."""
    lines = []
    for result in outcome.results:
        lines += [
            f"### {result.dataset}: {result.system}",
            "",
            "| query | documents | queries | " + " | ".join(TITLES) + " | 95 % interval |",
            "|---|---|---|---|---|---|---|---|",
        ]
        for pair in (*result.pairs, result.mean):
            values = " | ".join(f"{getattr(pair, name):.3f}" for name in COLUMNS)
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
        ["dataset", "system", "query_lang", "doc_lang", "queries", *COLUMNS, "low95", "high95"]
    )
    for result in results:
        for pair in (*result.pairs, result.mean):
            values = [f"{getattr(pair, name):.6f}" for name in COLUMNS]
            bounds = [f"{each:.6f}" for each in pair.ci95]
            names = [result.dataset, result.system, pair.query_lang, pair.doc_lang]
            writer.writerow([*names, pair.queries, *values, *bounds])
    return buffer.getvalue()


def _cells(pair: PairResult, others: Sequence[PairResult]) -> list[str | Words]:
    name = pair.query_lang if pair.query_lang == "mean" else f"{pair.query_lang} → {pair.doc_lang}"
    low, high = pair.ci95
    return [
        name,
        str(pair.queries),
        _shaded(pair.ndcg_at_10),
        f"{low:.2f} to {high:.2f}",
        *(f"{getattr(pair, column):.3f}" for column in COLUMNS[1:]),
        *(_shaded(other.ndcg_at_10) for other in others),
    ]


def _shaded(value: float) -> Words:
    style = next(style for bound, style in _SHADES if value >= bound)
    return Words(f"{value:.3f}", style=style)
