"""`rankguard up`: everything in the foreground."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from deploy.commands.options import ConfigFile, examples

NAME = "up"
EXAMPLES = examples(
    "rankguard up",
    "rankguard up --replicas 2",
    "rankguard up --engine vllm --model /models/Qwen3-Reranker-0.6B",
    "rankguard up --config /etc/rankguard/rankguard.toml",
)


def run(
    config: ConfigFile = None,
    replicas: Annotated[int | None, typer.Option(min=1, help="how many replicas")] = None,
    engine: Annotated[str, typer.Option(help="auto, vllm, embedded or remote")] = "",
    model: Annotated[str, typer.Option(help="hub id or folder, for vllm")] = "",
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="the gateway's port")] = None,
) -> None:
    """Start gateway, replicas and watchdog in the foreground; Ctrl-C drains, twice forces."""
    from deploy.config import find_file, load
    from deploy.up import up

    overrides = {
        "RANKGUARD_MONITOR__REPLICAS": replicas,
        "RANKGUARD_ENGINE__KIND": engine,
        "RANKGUARD_ENGINE__MODEL": model,
        "RANKGUARD_SERVICE__PORT": port,
    }
    # through the environment, so that every process that `up` starts sees the same
    os.environ.update({key: str(value) for key, value in overrides.items() if value})
    raise typer.Exit(up(load(config), find_file(config)))
