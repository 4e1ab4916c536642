"""`rankguard worker`: one engine behind a small HTTP app on loopback."""

from __future__ import annotations

from typing import Annotated

import typer

from deploy.commands.options import ConfigFile, DieWithParent, examples

NAME = "worker"
EXAMPLES = examples(
    "rankguard worker",
    "rankguard worker --id replica-1",
    "RANKGUARD_ENGINE__KIND=embedded rankguard worker --id replica-1",
)


def run(
    config: ConfigFile = None,
    replica: Annotated[str, typer.Option("--id", help="the replica's name")] = "replica-0",
    generation: Annotated[int, typer.Option(min=1, help="how many-th start this is")] = 1,
    gpu: Annotated[str, typer.Option(help="UUID of the GPU to use")] = "",
    watched: Annotated[
        bool, typer.Option(help="a watchdog will pass its verdict before traffic comes")
    ] = False,
    die_with_parent: DieWithParent = None,
) -> None:
    """Run one engine; the gateway finds it in the state directory."""
    from deploy.config import load
    from deploy.parent import end_with_parent
    from service.worker.app import Identity
    from service.worker.app import run as run_worker

    end_with_parent(die_with_parent)
    settings = load(config)
    identity = Identity(replica, generation, watched, gpu or None)
    raise typer.Exit(run_worker(settings.service, settings.engine, identity))
