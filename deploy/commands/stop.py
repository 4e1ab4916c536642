"""`rankguard stop`: end the replicas that a stopped watchdog left running."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from deploy.commands.options import ConfigFile, examples

NAME = "stop"
EXAMPLES = examples(
    "rankguard stop", "rankguard stop --timeout 60 --config /etc/rankguard/rankguard.toml"
)


def run(
    config: ConfigFile = None,
    timeout: Annotated[
        float, typer.Option(min=0, help="seconds for open work to finish, then they are killed")
    ] = 35.0,
) -> None:
    """Drain and end all replicas of this host. Stop the watchdog first, or it starts new ones."""
    from deploy.config import load
    from deploy.lock import is_held
    from deploy.stop import stop_replicas

    state_dir = load(config).service.state_dir
    if is_held(state_dir / "watchdog.lock"):
        print("note: the watchdog runs, and starts new ones; stop it first", file=sys.stderr)
    stopped = stop_replicas(state_dir, timeout)
    for item in stopped:
        print(f"{item.replica} (pid {item.pid}): {'killed' if item.killed else 'drained'}")
    if not stopped:
        print("no replica was running")
