"""`rankguard serve`: the gateway alone."""

from __future__ import annotations

import typer

from deploy.commands.options import ConfigFile, DieWithParent, examples

NAME = "serve"
EXAMPLES = examples(
    "rankguard serve",
    "RANKGUARD_SERVICE__PORT=8080 rankguard serve",
    "rankguard serve --config /etc/rankguard/rankguard.toml",
)


def run(config: ConfigFile = None, die_with_parent: DieWithParent = None) -> None:
    """Run the gateway: the public API in front of the replicas."""
    from deploy.config import load
    from deploy.parent import end_with_parent
    from service.gateway.app import run as run_gateway

    end_with_parent(die_with_parent)
    settings = load(config)
    raise typer.Exit(run_gateway(settings.service, settings.engine))
