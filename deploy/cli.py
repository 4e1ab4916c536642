"""The command `rankguard`: names and help. Each command's work is in its own file."""

from __future__ import annotations

import os
import sys
from importlib.metadata import version
from typing import Annotated

import typer

from deploy.commands import (
    alerts,
    bench,
    bundle,
    chaos,
    config,
    doctor,
    gpu,
    incidents,
    model,
    render,
    replica,
    rerank,
    search,
    serve,
    status,
    stop,
    ui,
    up,
    upgrade,
    watch,
    worker,
)
from deploy.commands import eval as evaluation
from deploy.config import ConfigError
from deploy.surroundings import print_in_any_locale, reach_loopback_directly

EXIT_USAGE = 2

app = typer.Typer(
    name="rankguard",
    help="Runs a reranker on your own hosts and proves, all the time, that it is up and right.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for module in (
    up,
    serve,
    worker,
    watch,
    ui,
    rerank,
    status,
    incidents,
    doctor,
    render,
    stop,
    upgrade,
    chaos,
    bundle,
):
    app.command(name=module.NAME, epilog=module.EXAMPLES)(module.run)
for group in (config, replica, gpu, model, alerts, evaluation, bench, search):
    app.add_typer(group.app, name=group.NAME)


def _print_version(*, wanted: bool) -> None:
    if wanted:
        print(version("rankguard"))
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="print the version"),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Run the command line; a wrong configuration is exit code 2 and all its problems."""
    reach_loopback_directly(os.environ)
    print_in_any_locale((sys.stdout, sys.stderr))
    try:
        app()
    except ConfigError as error:
        print(error, file=sys.stderr)
        sys.exit(EXIT_USAGE)
