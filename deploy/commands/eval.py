"""`rankguard eval`: how well an endpoint ranks, per language pair."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deploy.commands.options import ConfigFile, Json, examples

if TYPE_CHECKING:
    from deploy.evaluate.endpoint import Target

NAME = "eval"
EXAMPLES = examples(
    "rankguard eval",
    "rankguard eval --system bm25 --queries 0 -o build/eval",
    "rankguard eval --pair zh-Hans\\>en --pair ar\\>fr --json",
    "rankguard eval --system old=tei+http://127.0.0.1:8080",
)
app = typer.Typer(help="Measure how well an endpoint ranks, per language pair.")

_URL = typer.Option(envvar="RANKGUARD_URL", help="the gateway's URL; default: as configured")


@app.callback(invoke_without_command=True, epilog=EXAMPLES)
def run(
    context: typer.Context,
    config: ConfigFile = None,
    url: Annotated[str, _URL] = "",
    system: Annotated[
        list[str] | None,
        typer.Option(help="a further system: bm25, or [NAME=][DIALECT+]URL; repeatable"),
    ] = None,
    data: Annotated[str, typer.Option(help="udhr, or a folder in BEIR form")] = "udhr",
    pair: Annotated[
        list[str] | None, typer.Option(help="only this language pair, such as zh-Hans>en")
    ] = None,
    queries: Annotated[
        int | None, typer.Option(min=0, help="per pair; 0: all; default: the data set's")
    ] = None,
    candidates: Annotated[str, typer.Option(help="all, or bm25:COUNT")] = "all",
    instruction: Annotated[str, typer.Option(help="sent with every request")] = "",
    seed: Annotated[int, typer.Option(help="of shuffling and resampling")] = 20261122,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="keep everything here, and go on from it")
    ] = None,
    concurrency: Annotated[int, typer.Option(min=1, max=64, help="requests at once")] = 2,
    yes_this_host: Annotated[
        bool, typer.Option("--yes-this-host", help="the endpoint may be on another host")
    ] = False,
    as_json: Json = False,
) -> None:
    """Measure how well an endpoint ranks, per language pair; by default on the shipped set."""
    if context.invoked_subcommand is not None:
        return
    with _explained():
        from deploy.evaluate import report, session
        from deploy.evaluate.dataset import parse_pair

        targets = _targets(config, url, system or [], instruction, yes_this_host=yes_this_host)
        plan = session.Plan(
            dataset=session.load_dataset(data),
            targets=tuple(targets),
            pairs=tuple(parse_pair(each) for each in pair or []),
            queries=queries,
            candidates=candidates,
            seed=seed,
            concurrency=concurrency,
            folder=out,
        )
        outcome = _with_progress(plan)
    if as_json:
        print(json.dumps(outcome.to_json(), ensure_ascii=False, indent=1))
        return
    from rich.console import Console

    console = Console()
    report.print_tables(console, outcome.results, outcome.comparisons)
    console.print(plan.dataset.licence, style="dim", highlight=False)


def _targets(
    config: Path | None, url: str, more: list[str], instruction: str, *, yes_this_host: bool
) -> list[Target | str]:
    from dataclasses import replace

    from deploy.config import load
    from deploy.evaluate.endpoint import EndpointError, Target, parse_target

    if not url:
        url = f"http://127.0.0.1:{load(config).service.port}"
    ours = parse_target(url if "=" in url else f"rankguard={url}")
    ours = replace(ours, key=os.environ.get("RANKGUARD_API_KEY", ""))
    found: list[Target | str] = [ours]
    found += [each if each == "bm25" else parse_target(each) for each in more]
    for each in found:
        if isinstance(each, Target) and not each.is_loopback and not yes_this_host:
            raise EndpointError(f"{each.url} is another host; --yes-this-host allows it")
    return [
        replace(each, instruction=instruction) if isinstance(each, Target) else each
        for each in found
    ]


def _with_progress(plan: Any) -> Any:
    from rich.console import Console
    from rich.progress import Progress

    from deploy.evaluate import session

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("ranking", total=None)
        return session.evaluate(
            plan,
            begin=lambda total: progress.update(task, total=total),
            done=lambda _: progress.advance(task),
        )


@contextmanager
def _explained() -> Iterator[None]:
    """Errors that a person can mend, as sentences with exit code 2 (1 where an endpoint fails)."""
    try:
        import deploy.evaluate.session  # noqa: F401
        from deploy.evaluate.dataset import DataError
        from deploy.evaluate.endpoint import EndpointError
    except ModuleNotFoundError as error:
        print(f"{error.name} is missing: pip install 'rankguard[eval]'", file=sys.stderr)
        raise typer.Exit(2) from None
    try:
        yield
    except DataError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(2) from None
    except EndpointError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(1) from None
