"""`rankguard chaos`: hurt the running stack on purpose, and see that it mends itself."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated, Any, TypeVar

import typer

from deploy.chaos.fault import Fault
from deploy.commands.options import ConfigFile, Json, examples

NAME = "chaos"
T = TypeVar("T")
EXAMPLES = examples(
    "rankguard chaos kill",
    "rankguard chaos engine-hang --yes",
    "rankguard chaos hang --replica replica-1 --yes",
    "rankguard chaos --all --yes --json",
)


def run(
    fault: Annotated[
        Fault | None,
        typer.Argument(help="what to do; pause, starve and watchdog must have no consequence"),
    ] = None,
    config: ConfigFile = None,
    replica: Annotated[str, typer.Option(help="which one; default the first ready one")] = "",
    every: Annotated[
        bool, typer.Option("--all", help="one after the other, as far as they are possible here")
    ] = False,
    limit_s: Annotated[float, typer.Option(min=1, help="longest wait for each step")] = 120.0,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="do not ask")] = False,
    as_json: Json = False,
) -> None:
    """Inject a fault into this host's replicas; report detection and recovery times.

    Exit code 1: it was not found or not mended in time, or something harmless was acted upon.
    """
    from deploy.chaos.calm import ActedUpon, Calm, Scene, disturb
    from deploy.chaos.fault import HARMLESS, NotHere, NotPossible, Outcome, choose, follow
    from deploy.config import load
    from monitor.journal import read_incidents
    from service.manifest import read_manifests

    if (fault is None) != every:
        print("usage: rankguard chaos FAULT, or --all", file=sys.stderr)
        raise typer.Exit(2)
    state_dir = load(config).service.state_dir
    if not yes and not typer.confirm("this hurts a running replica; go on?", err=True):
        raise typer.Exit(1)

    def incidents() -> list[dict[str, Any]]:
        return list(read_incidents(state_dir / "journal.db"))

    scene = Scene(state_dir, incidents, lambda: read_manifests(state_dir), limit_s)
    outcomes: list[Outcome | Calm] = []
    for one in Fault if fault is None else (fault,):
        try:
            victim = choose(read_manifests(state_dir), replica)
            told = (
                disturb(one, victim, scene)
                if one in HARMLESS
                else follow(one, victim, incidents, limit_s=limit_s)
            )
            outcomes += _listen(told, aloud=not as_json)
        except (NotPossible, ActedUpon) as error:
            # with --all, what this host does not have is left out; what goes wrong is not
            if fault is None and isinstance(error, NotHere):
                print(f"{one.value}: left out: {error}", file=sys.stderr)
                continue
            print(error, file=sys.stderr)
            raise typer.Exit(1) from None
    if as_json:
        print(json.dumps([asdict(item) for item in outcomes], indent=1))


def _listen(told: Iterator[T | str], *, aloud: bool) -> list[T]:
    """Print the sentences; returns what is none."""
    found: list[T] = []
    for said in told:
        if not isinstance(said, str):
            found.append(said)
        elif aloud:
            print(said)
    return found
