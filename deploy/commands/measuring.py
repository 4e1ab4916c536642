"""What `rankguard eval` and `rankguard bench` share: options, progress, errors as sentences."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from deploy.bench.keep import Kept
    from deploy.evaluate.endpoint import Target
    from deploy.evaluate.report import View
    from deploy.evaluate.session import Outcome, Watch

Url = Annotated[
    str, typer.Option(envvar="RANKGUARD_URL", help="[DIALECT+]URL; default: the gateway's")
]
Elsewhere = Annotated[
    bool, typer.Option("--yes-this-host", help="the endpoint may be on another host")
]
Keys = Annotated[
    list[str] | None, typer.Option("--key-file", help="NAME=FILE: a system's API key; repeatable")
]
Keep = Annotated[
    Path | None, typer.Option("--out", "-o", help="keep everything here, and go on from it")
]
Concurrency = Annotated[int, typer.Option(min=1, max=64, help="requests at once")]

_FAILED = 1
_USAGE = 2
_INTERRUPTED = 130


@contextmanager
def explained() -> Iterator[None]:
    """What a person can mend, as a sentence: exit code 2, or 1 where an endpoint fails."""
    try:
        from deploy.evaluate.dataset import DataError
        from deploy.evaluate.endpoint import EndpointError

        try:
            yield
        except (DataError, EndpointError) as error:
            print(error, file=sys.stderr)
            failed = isinstance(error, EndpointError)
            raise typer.Exit(_FAILED if failed else _USAGE) from None
    except ModuleNotFoundError as error:
        print(f"{error.name} is missing: pip install 'rankguard[eval]'", file=sys.stderr)
        raise typer.Exit(_USAGE) from None
    except OSError as error:
        print(f"{error.filename}: {error.strerror}", file=sys.stderr)
        raise typer.Exit(_USAGE) from None
    except KeyboardInterrupt:
        print("stopped; what was kept with -o is there to go on from", file=sys.stderr)
        raise typer.Exit(_INTERRUPTED) from None


def gateway(config: Path | None) -> str:
    """Our own endpoint, as configured."""
    from deploy.address import local_url
    from deploy.config import load

    service = load(config).service
    return f"rankguard={local_url(service.host, service.port)}"


def systems(
    config: Path | None,
    url: str,
    more: Sequence[str] = (),
    *,
    key_file: Sequence[str] | None,
    elsewhere: bool,
    model: str = "",
    instructions: Sequence[str] = (),
) -> tuple[Target | str, ...]:
    """What is measured: our own endpoint unless another is given, and further ones beside it.

    Raises:
        DataError, EndpointError: what was typed is no system, or not allowed.
    """
    from deploy.evaluate import choice

    return choice.targets(
        url or gateway(config),
        more,
        model=model,
        instructions=instructions,
        keys=choice.keys(key_file or []),
        elsewhere=elsewhere,
    )


def watched(work: Callable[[Watch], Outcome]) -> Outcome:
    """Run an evaluation with a progress bar on the terminal."""
    from rich.console import Console
    from rich.progress import Progress

    from deploy.evaluate.session import Watch

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("ranking", total=None)
        return work(
            Watch(
                begin=lambda total: progress.update(task, total=total, description="ranking"),
                done=lambda _: progress.advance(task),
                embedded=lambda _: progress.update(task, description="embedding the pool"),
            )
        )


def show(
    outcome: Outcome,
    folder: Path | None,
    *,
    as_json: bool,
    view: View | None = None,
    tables: Callable[[Console, Outcome], None] | None = None,
) -> None:
    """Print a result, and keep the reports where a folder is given.

    Args:
        tables: prints it; by default a row a language pair, as `view` says.
    """
    from rich.console import Console

    from deploy.evaluate import report
    from deploy.evaluate.keep import keep

    view = view or report.View()
    files = [] if folder is None else keep(outcome, folder, metric=view.main)
    if as_json:
        print(json.dumps(outcome.to_json(), ensure_ascii=False, indent=1))
        return
    console = Console(highlight=False, markup=False)  # names may hold brackets
    if tables is None:
        report.print_tables(console, outcome, view)
    else:
        tables(console, outcome)
    console.print(str(outcome.run["licence"]), style="dim")
    for file in files:
        console.print(str(file), style="dim", soft_wrap=True)


def finish(
    kept: Kept, out: Path | None, picture: Callable[[Path], None] | None, *, as_json: bool
) -> None:
    """Print the result, and write its files where a folder is given."""
    from rich.console import Console

    from deploy.bench import report
    from deploy.bench.keep import keep

    files = [] if out is None else keep(out, kept, picture)
    if as_json:
        print(json.dumps(kept.body, ensure_ascii=False, indent=1))
        return
    console = Console(highlight=False, markup=False)
    console.print(kept.about, style="dim")
    console.print(report.table(kept.cells))
    for each in kept.words:
        console.print(each)
    for file in files:
        console.print(str(file), style="dim", soft_wrap=True)
