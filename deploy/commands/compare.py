"""`rankguard eval compare`: our ranking beside its peers', and beside what was published."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from deploy.commands.measuring import (
    Concurrency,
    Elsewhere,
    Keep,
    Keys,
    Url,
    explained,
    show,
    systems,
    watched,
)
from deploy.commands.options import ConfigFile, Json, examples

if TYPE_CHECKING:
    from rich.console import Console

    from deploy.evaluate.session import Outcome

NAME = "compare"
EXAMPLES = examples(
    "rankguard eval compare",
    "rankguard eval compare bm25 embedding --data libreoffice-help --pair de:en",
    "rankguard eval compare folder:/models/bge-reranker-v2-m3 old=tei+http://127.0.0.1:8080",
)


def run(
    peers: Annotated[
        list[str] | None,
        typer.Argument(
            help="bm25, embedding, folder:CROSS_ENCODER or [NAME=][DIALECT+]URL; default bm25",
            show_default=False,
        ),
    ] = None,
    config: ConfigFile = None,
    url: Url = "",
    data: Annotated[str, typer.Option(help="as rankguard eval has it")] = "udhr",
    pair: Annotated[list[str] | None, typer.Option(help="only this language pair")] = None,
    queries: Annotated[
        int | None, typer.Option(min=0, help="per pair; 0: all; default: the data set's")
    ] = None,
    candidates: Annotated[str, typer.Option(help="all, bm25:COUNT or embedding:COUNT")] = "all",
    key_file: Keys = None,
    seed: Annotated[int, typer.Option(help="of shuffling and resampling")] = 20261122,
    concurrency: Concurrency = 2,
    out: Keep = None,
    yes_this_host: Elsewhere = False,
    as_json: Json = False,
) -> None:
    """One row a system on the same questions, tested pair by pair; then the published figures."""
    with explained():
        from deploy.evaluate import choice, session
        from deploy.evaluate.dataset import parse_pair

        plan = session.Plan(
            dataset=choice.dataset(data, "", None),
            targets=systems(
                config, url, peers or [session.BM25], key_file=key_file, elsewhere=yes_this_host
            ),
            pairs=tuple(parse_pair(each) for each in pair or []),
            queries=queries,
            candidates=candidates,
            seed=seed,
            concurrency=concurrency,
            folder=out,
        )
        outcome = watched(lambda watch: session.evaluate(plan, watch))
        show(outcome, out, as_json=as_json, tables=_tables)


def _tables(console: Console, outcome: Outcome) -> None:
    from deploy.evaluate import report

    report.print_systems(console, outcome)
    console.print()
    report.print_published(console)
