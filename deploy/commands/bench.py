"""`rankguard bench`: how much an endpoint carries, and how fast."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deploy.commands import starts
from deploy.commands.measuring import Elsewhere, Keys, Url, explained, finish
from deploy.commands.options import ConfigFile, Json, examples

if TYPE_CHECKING:
    from deploy.evaluate.endpoint import Target

NAME = "bench"
EXAMPLES = examples(
    "rankguard bench",
    "rankguard bench --batch 1 --batch 16 --tokens 256 -o build/bench",
    "rankguard bench load --rate 5",
    "rankguard bench load --slo-ms 380 --wanted 20",
    "rankguard bench compare tei+http://127.0.0.1:8080",
    "rankguard bench start",
)
app = typer.Typer(help="Measure how much an endpoint carries, and how fast.")
app.command(epilog=starts.START)(starts.start)
app.command(epilog=starts.PREFIX)(starts.prefix)

Out = Annotated[Path | None, typer.Option("--out", "-o", help="write JSON, Markdown and plot here")]
Seed = Annotated[
    int | None,
    typer.Option(help="of texts and arrival times; default: a new one, so no cache helps"),
]
Pids = Annotated[
    list[int] | None,
    typer.Option("--pid", help="a process to count memory of; default: the local replicas"),
]
Repeated = Annotated[
    bool, typer.Option("--repeated", help="the same request again and again, for the caches")
]


@app.callback(invoke_without_command=True, epilog=EXAMPLES)
def run(
    context: typer.Context,
    config: ConfigFile = None,
    url: Url = "",
    batch: Annotated[list[int] | None, typer.Option(min=1, help="documents in a request")] = None,
    tokens: Annotated[list[int] | None, typer.Option(min=8, help="tokens in a document")] = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="per cell, at least")] = 4.0,
    clients: Annotated[int, typer.Option(min=1, max=256, help="that wait and ask again")] = 1,
    slo_ms: Annotated[float, typer.Option(min=1, help="p95 that the best value keeps")] = 380.0,
    pid: Pids = None,
    key_file: Keys = None,
    seed: Seed = None,
    repeated: Repeated = False,
    out: Out = None,
    yes_this_host: Elsewhere = False,
    as_json: Json = False,
) -> None:
    """Measure latency, throughput and memory for batch sizes and document lengths."""
    if context.invoked_subcommand is not None:
        return
    with explained():
        from deploy.bench import batches, plot, report, session
        from deploy.bench.keep import Kept

        target, pids = _endpoint(config, url, pid, key_file, elsewhere=yes_this_host)
        grid = batches.Grid(
            batches=tuple(batch or batches.BATCHES),
            lengths=tuple(tokens or batches.LENGTHS),
            seconds=seconds,
            clients=clients,
            repeated=repeated,
            pids=tuple(pids),
        )
        cells = len(grid.batches) * len(grid.lengths)
        rows, body = _progress(
            "measuring",
            cells,
            lambda tick: session.batch_table(target, grid, seed=_seed(seed), done=tick),
        )
        best = batches.best_value(rows, limit_ms=slo_ms)
        body["best_value"] = None if best is None else report.batch_json([best])[0]
        words = [
            f"no batch size keeps p95 within {slo_ms:g} ms"
            if best is None
            else f"best value with p95 within {slo_ms:g} ms: {best.batch} documents of "
            f"{best.doc_tokens} tokens, {best.summary.docs_per_s:.1f} documents/s",
            (
                f"{body['checks']['right_first']} of {body['checks']['asked']} known questions had "
                "the right one of four documents first"
            ),
        ]
        kept = Kept("batches", "Batch table", report.batch_cells(rows), words, body)
        finish(kept, out, lambda path: plot.batches(rows, path), as_json=as_json)


@app.command(
    epilog=examples(
        "rankguard bench load --rate 5 --seconds 30",
        "rankguard bench load --slo-ms 380 --percentile 95 --documents 4 --tokens 512",
        "rankguard bench load --slo-ms 500 --wanted 40 --replicas 2",
        "rankguard bench load --replay gateway.log --speed 2",
    )
)
def load(
    config: ConfigFile = None,
    url: Url = "",
    rate: Annotated[float, typer.Option(min=0.01, help="requests a second, or the first")] = 2.0,
    slo_ms: Annotated[
        float | None, typer.Option(min=1, help="search the highest rate within this")
    ] = None,
    percentile: Annotated[int, typer.Option(help="50, 95 or 99, of the objective")] = 99,
    documents: Annotated[int, typer.Option(min=1, help="in a request")] = 10,
    tokens: Annotated[int, typer.Option(min=8, help="in a document")] = 128,
    seconds: Annotated[float, typer.Option(min=0.1, help="per run")] = 10.0,
    burst: Annotated[int, typer.Option(min=1, help="requests that arrive together")] = 1,
    replay: Annotated[
        Path | None, typer.Option(help="arrival times from this log of the gateway")
    ] = None,
    speed: Annotated[float, typer.Option(min=0.01, help="of the replay; 2 is twice as fast")] = 1.0,
    wanted: Annotated[float | None, typer.Option(min=0.01, help="rate to size for")] = None,
    replicas: Annotated[int, typer.Option(min=1, help="that serve now")] = 1,
    key_file: Keys = None,
    seed: Seed = None,
    repeated: Repeated = False,
    out: Out = None,
    yes_this_host: Elsewhere = False,
    as_json: Json = False,
) -> None:
    """Send at set times, whatever the answers do; with --slo-ms, find the highest rate it keeps."""
    with explained():
        from deploy.bench import arrival, plot, report, session, sizing, slo
        from deploy.bench.keep import Kept
        from deploy.evaluate.dataset import DataError

        if percentile not in {50, 95, 99}:
            raise DataError("--percentile is 50, 95 or 99")
        objective = None if slo_ms is None else slo.Objective(percentile, slo_ms)
        target, _ = _endpoint(config, url, None, key_file, elsewhere=yes_this_host)
        times = () if replay is None else tuple(arrival.read_log(replay, speed=speed))
        offered = session.Offered(
            documents, tokens, seconds, rate, burst, repeated, objective, times
        )
        trials, body = _progress(
            "runs",
            None if objective else 1,
            lambda tick: session.offered_load(target, offered, seed=_seed(seed), done=tick),
        )
        advice = sizing.advise(trials, wanted=wanted, replicas=replicas)
        body["advice"] = None if advice is None else advice.to_json()
        words = [] if advice is None else [advice.words]
        kept = Kept("load", "Load", report.load_cells(trials), words, body)
        finish(kept, out, lambda path: plot.rates(trials, objective, path), as_json=as_json)
        if not any(each.met in {slo.Met.YES, slo.Met.NOT_ASKED} for each in trials):
            raise typer.Exit(1)


@app.command(
    epilog=examples(
        "rankguard bench compare vllm+http://127.0.0.1:8001",
        "rankguard bench compare bare=http://127.0.0.1:8001 --clients 1 --clients 16 --rounds 5",
    )
)
def compare(
    other: Annotated[str, typer.Argument(help="[NAME=][DIALECT+]URL to compare with")],
    config: ConfigFile = None,
    url: Url = "",
    clients: Annotated[list[int] | None, typer.Option(min=1, help="default 1, 4")] = None,
    documents: Annotated[list[int] | None, typer.Option(min=1, help="default 10, 100")] = None,
    tokens: Annotated[int, typer.Option(min=8, help="in a document")] = 128,
    rounds: Annotated[int, typer.Option(min=1, max=50)] = 3,
    seconds: Annotated[float, typer.Option(min=0.1, help="per run")] = 3.0,
    pid: Pids = None,
    other_pid: Annotated[list[int] | None, typer.Option(help="its processes, for CPU")] = None,
    key_file: Keys = None,
    seed: Seed = None,
    repeated: Repeated = False,
    out: Out = None,
    yes_this_host: Elsewhere = False,
    as_json: Json = False,
) -> None:
    """Compare with another endpoint: short runs in turn, the ratio of each round and its spread."""
    with explained():
        from deploy.bench import report, session, versus
        from deploy.bench.keep import Kept

        target, pids = _endpoint(config, url, pid, key_file, elsewhere=yes_this_host)
        against, _ = _endpoint(config, other, [], key_file, elsewhere=yes_this_host)
        shapes = [
            versus.Shape(count, size, tokens, repeated)
            for count in clients or (1, 4)
            for size in documents or (10, 100)
        ]
        found, body = _progress(
            "runs",
            len(shapes) * (rounds + 1) * 2,
            lambda tick: session.side_by_side(
                versus.Side(target, tuple(pids)),
                versus.Side(against, tuple(other_pid or ())),
                shapes,
                rounds=rounds,
                seconds=seconds,
                seed=_seed(seed),
                done=lambda _: None,
                tick=lambda: tick(None),
            ),
        )
        agreed = body["agreement"]
        words = [
            (
                f"{agreed['pairs']} pairs asked on both sides: scores differ by at most "
                f"{agreed['largest']:.4f}, {agreed['same_order']:.0%} of requests in the same order"
            )
        ]
        kept = Kept("compare", "Side by side", report.versus_cells(found), words, body)
        finish(kept, out, None, as_json=as_json)


def _seed(given: int | None) -> int:
    """A seed that was not used before, where none is given: an endpoint may keep old scores."""
    return secrets.randbits(32) if given is None else given


def _endpoint(
    config: Path | None,
    url: str,
    pid: list[int] | None,
    key_file: list[str] | None,
    *,
    elsewhere: bool,
) -> tuple[Target, list[int]]:
    """The endpoint, and its processes: those given, else the local replicas if it is ours."""
    from deploy.address import local_url
    from deploy.bench import memory
    from deploy.config import load as load_config
    from deploy.evaluate import choice

    settings = load_config(config).service
    own = local_url(settings.host, settings.port)
    keys = choice.keys(key_file or [])
    (target,) = choice.targets(
        url or own, [], model="", instructions=[], keys=keys, elsewhere=elsewhere
    )
    assert not isinstance(target, str)
    if pid is None and target.is_loopback and target.url.endswith(f":{settings.port}"):
        pid = memory.replica_pids(settings.state_dir)
    return target, pid or []


def _progress(what: str, total: int | None, work: Callable[[Callable[[Any], None]], Any]) -> Any:
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=total)
        return work(lambda _: progress.advance(task))
