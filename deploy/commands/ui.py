"""`rankguard ui`: the playground alone."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from deploy.commands.options import ConfigFile, DieWithParent, examples

NAME = "ui"
EXAMPLES = examples(
    "rankguard ui",
    "rankguard ui --port 7861",
    "RANKGUARD_UI__GATEWAY_URL=http://10.0.0.11:8000 rankguard ui",
)


def run(
    config: ConfigFile = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="the page's port")] = None,
    die_with_parent: DieWithParent = None,
) -> None:
    """Run the playground: a page that asks the gateway and shows how it ordered."""
    from deploy.config import load
    from deploy.parent import end_with_parent
    from deploy.ui.app import run as run_playground

    end_with_parent(die_with_parent)
    if port is not None:
        os.environ["RANKGUARD_UI__PORT"] = str(port)
    raise typer.Exit(run_playground(load(config)))
