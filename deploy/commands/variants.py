"""`rankguard eval variants`: does it matter how a question is written?"""

from __future__ import annotations

from typing import Annotated

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

NAME = "variants"
EXAMPLES = examples(
    "rankguard eval variants", "rankguard eval variants --pair zh-Hans:en --queries 0"
)
PAIRS = ("zh-Hans:en", "en:de")


def run(
    config: ConfigFile = None,
    url: Url = "",
    pair: Annotated[
        list[str] | None, typer.Option(help="language pair; default zh-Hans:en, en:de")
    ] = None,
    queries: Annotated[int, typer.Option(min=0, help="per pair; 0: all")] = 8,
    key_file: Keys = None,
    seed: Annotated[int, typer.Option(help="of shuffling and resampling")] = 20261122,
    concurrency: Concurrency = 2,
    out: Keep = None,
    yes_this_host: Elsewhere = False,
    as_json: Json = False,
) -> None:
    """Ask the same questions with other punctuation, case and width."""
    with explained():
        from deploy.evaluate import report, session, shipped
        from deploy.evaluate.dataset import parse_pair

        plan = session.Plan(
            dataset=shipped.load(),
            targets=systems(config, url, key_file=key_file, elsewhere=yes_this_host),
            pairs=tuple(parse_pair(each) for each in pair or PAIRS),
            queries=queries,
            seed=seed,
            concurrency=concurrency,
            folder=out,
        )
        outcome = watched(lambda watch: session.vary(plan, watch))
        show(outcome, out, as_json=as_json, view=report.View("written as"))
