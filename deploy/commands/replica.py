"""`rankguard replica`: what an operator does to one replica, through the watchdog."""

from __future__ import annotations

import json
import sys
import time
from typing import Annotated, Any

import typer

from deploy.commands.options import ConfigFile, Json, examples

NAME = "replica"
app = typer.Typer(help="List, drain and restart replicas.", no_args_is_help=True)
ReplicaId = Annotated[str, typer.Argument(help="the replica's name, such as replica-0")]


@app.command("list", epilog=examples("rankguard replica list", "rankguard replica list --json"))
def list_replicas(config: ConfigFile = None, as_json: Json = False) -> None:
    """List the replicas and what the watchdog thinks of them."""
    from deploy.commands.status import fetch, print_replicas

    body = fetch(config)
    if as_json:
        print(json.dumps(body["replicas"], indent=1))
    else:
        print_replicas(body)


@app.command(epilog=examples("rankguard replica drain replica-1 --hours 2"))
def drain(
    replica: ReplicaId,
    config: ConfigFile = None,
    hours: Annotated[float, typer.Option(min=0.0, help="0: until undrain")] = 0.0,
) -> None:
    """Take a replica out of traffic, finish what it has, and stop it until `undrain`."""
    body = {"hours": hours} if hours else {}
    print(act(config, f"replicas/{replica}/drain", body))


@app.command(epilog=examples("rankguard replica undrain replica-1"))
def undrain(replica: ReplicaId, config: ConfigFile = None) -> None:
    """Put a drained replica back to work."""
    print(act(config, f"replicas/{replica}/undrain"))


@app.command(
    epilog=examples(
        "rankguard replica restart replica-1", "rankguard replica restart --all --rolling"
    )
)
def restart(
    replica: Annotated[str, typer.Argument(help="the replica's name, such as replica-0")] = "",
    config: ConfigFile = None,
    every: Annotated[bool, typer.Option("--all", help="every replica")] = False,
    rolling: Annotated[
        bool, typer.Option("--rolling", help="the next one when the last one serves again")
    ] = False,
    limit_s: Annotated[float, typer.Option(min=1, help="with --rolling: for each one")] = 900.0,
    surge: Annotated[
        bool, typer.Option(help="with --rolling: help the only replica with a second one")
    ] = True,
) -> None:
    """Drain a replica and start it anew; or all of them, one at a time."""
    if bool(replica) == every or rolling != every:
        print("which? REPLICA, or --all --rolling: never all at once", file=sys.stderr)
        raise typer.Exit(2)
    if not every:
        print(act(config, f"replicas/{replica}/restart"))
        return
    _roll(config, {"limit_s": limit_s, "surge": surge})


def _roll(config: ConfigFile, body: dict[str, Any]) -> None:
    """Ask for a rolling restart and follow it; it goes on when this command is interrupted."""
    from deploy.client import Unreachable
    from deploy.config import load
    from deploy.upgrade.record import new_name
    from deploy.upgrade.report import Screen
    from deploy.upgrade.switch import SwitchError, follow
    from deploy.upgrade.watched import Watchdog

    monitor = load(config).monitor
    if monitor.actuator == "observe":
        print("this watchdog only observes: it restarts nothing", file=sys.stderr)
        raise typer.Exit(1)
    watchdog, screen = Watchdog(monitor), Screen(quiet=False)
    name = f"restart-{new_name(time.time())}"
    try:
        watchdog.order("rollout", {"id": name, **body})
        with screen.busy():
            ended = follow(watchdog, name, screen.step)
    except (SwitchError, Unreachable) as error:
        print(error, file=sys.stderr)
        raise typer.Exit(1) from None
    if ended["stage"] != "done":
        print(f"{ended['stage']}: {ended['detail'] or ended['reason']}", file=sys.stderr)
        raise typer.Exit(1)
    print(f"restarted, one at a time: {', '.join(ended['replicas'])}")


def act(config: ConfigFile, path: str, body: dict[str, Any] | None = None) -> str:
    """POST an operator's action to the watchdog; its answer in words."""
    from deploy.address import local_url
    from deploy.client import Unreachable, order
    from deploy.config import load

    monitor = load(config).monitor
    try:
        return order(local_url(monitor.host, monitor.port), path, body)
    except Unreachable as error:
        print(error, file=sys.stderr)
        raise typer.Exit(1) from None
