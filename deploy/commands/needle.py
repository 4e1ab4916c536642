"""`rankguard eval needle`: is the answer found, wherever it is in a long document?"""

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

NAME = "needle"
EXAMPLES = examples(
    "rankguard eval needle",
    "rankguard eval needle --tokens 1024 --tokens 8192 --tokens 32768 -o build/needle",
    "rankguard eval needle --ask zh-Hans --documents-in en --queries 8",
)


def run(
    config: ConfigFile = None,
    url: Url = "",
    tokens: Annotated[
        list[int] | None,
        typer.Option(min=256, help="length of a document, about; default 1024, 4096"),
    ] = None,
    depth: Annotated[
        list[int] | None, typer.Option(min=0, max=100, help="default 0, 25, 50, 75, 100 per cent")
    ] = None,
    ask: Annotated[str, typer.Option(help="language of the questions")] = "zh-Hans",
    documents_in: Annotated[str, typer.Option(help="language of the documents")] = "en",
    queries: Annotated[int, typer.Option(min=1, max=30, help="per length and depth")] = 4,
    documents: Annotated[int, typer.Option(min=2, max=100, help="per query")] = 6,
    key_file: Keys = None,
    seed: Annotated[int, typer.Option(help="of the filler")] = 20261122,
    concurrency: Concurrency = 1,
    out: Keep = None,
    yes_this_host: Elsewhere = False,
    as_json: Json = False,
) -> None:
    """Measure by length and depth: one of several long documents holds the answer."""
    with explained():
        from deploy.evaluate import needle, report, session, shipped

        haystack = needle.Haystack(
            query_lang=ask,
            doc_lang=documents_in,
            chars={each: needle.chars(each, documents_in) for each in tokens or needle.LENGTHS},
            depths=tuple(needle.DEPTHS if depth is None else depth),
            queries=queries,
            documents=documents,
            seed=seed,
        )
        plan = session.Plan(
            dataset=shipped.load(),
            targets=systems(config, url, key_file=key_file, elsewhere=yes_this_host),
            seed=seed,
            concurrency=concurrency,
            folder=out,
        )
        outcome = watched(lambda watch: session.find_needles(plan, haystack, watch))
        show(
            outcome,
            out,
            as_json=as_json,
            view=report.View("length and depth", "ndcg_at_3", ("mrr_at_10",)),
        )
