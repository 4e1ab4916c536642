"""The answer to a search on the terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

TEXT_CHARS = 160
OPEN_MS = 20
"""An index that was there sooner was open already; nobody wants to read about it."""


def show(answer: dict[str, Any]) -> None:
    """Print the results, each stage's time, and what the second stage changed."""
    console = Console()
    meta = answer["meta"]
    reranked = meta["rerank"]
    grid = Table(box=None, pad_edge=False)
    grid.add_column("#", justify="right", style="dim")
    if reranked:
        grid.add_column("was", justify="right")
        grid.add_column("score", justify="right")
    for name in ("vectors", "words"):
        grid.add_column(name, justify="right", style="dim")
    grid.add_column("source", overflow="fold", style="cyan")
    grid.add_column("passage")
    for number, one in enumerate(answer["results"], start=1):
        cells = [str(number)]
        if reranked:
            relevance = one["relevance_score"]
            cells += [_move(one), "" if relevance is None else f"{relevance:.4f}"]
        cells += [_place(one["dense_rank"]), _place(one["lexical_rank"])]
        passage = Text(one["title"], style="bold")
        passage.append("\n" + _cut(one["text"]), style="not bold")
        grid.add_row(*cells, Text(one["source"]), passage)
    if answer["results"]:
        console.print(grid)
    else:
        console.print("nothing found")
    for line in _lines(meta):
        console.print(Text(line, style="dim"))


def _lines(meta: dict[str, Any]) -> list[str]:
    times = meta["times_ms"]
    parts = [f"embed {times['embed']:.0f} ms ({meta['recall_model']})"]
    if times["open"] >= OPEN_MS:
        parts.append(f"open the index {times['open']:.0f} ms")
    parts.append(f"recall {times['recall']:.0f} ms ({meta['recall']}, {meta['candidates']} found)")
    if times["rerank"] is not None:
        parts.append(f"rerank {times['rerank']:.0f} ms ({meta['rerank_model']})")
    lines = [" · ".join(parts), f"stages: {meta['why']}"]
    change = meta["movement"]
    if change is not None:
        first = "another one is first" if change["is_first_new"] else "the first stayed first"
        lines.append(
            f"reranking: {change['entered']} results came from below, "
            f"{change['moved']} changed place, {first}"
        )
    return lines


def _move(one: dict[str, Any]) -> str:
    moved = one["recall_rank"] - one["rank"]
    arrow = "=" if not moved else f"↑{moved}" if moved > 0 else f"↓{-moved}"
    return f"{one['recall_rank']} {arrow}"


def _place(rank: int | None) -> str:
    return "-" if rank is None else str(rank)


def _cut(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= TEXT_CHARS else words[: TEXT_CHARS - 1] + "…"
