"""`rankguard chaos`: hurt the running stack on purpose, and see that it mends itself."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Annotated, Any

import typer

from deploy.chaos.fault import Fault
from deploy.commands.options import ConfigFile, Json, examples

NAME = "chaos"
EXAMPLES = examples(
    "rankguard chaos kill",
    "rankguard chaos hang --replica replica-1 --yes",
    "rankguard chaos --all --yes --json",
)


def run(
    fault: Annotated[Fault | None, typer.Argument(help="what to do to one replica")] = None,
    config: ConfigFile = None,
    replica: Annotated[str, typer.Option(help="which one; default the first ready one")] = "",
    every: Annotated[bool, typer.Option("--all", help="one fault after the other")] = False,
    limit_s: Annotated[float, typer.Option(min=1, help="longest wait for each step")] = 120.0,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="do not ask")] = False,
    as_json: Json = False,
) -> None:
    """Inject a fault into this host's replicas; report detection and recovery times."""
    from deploy.chaos.fault import NotPossible, Outcome, choose, follow
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

    outcomes: list[Outcome] = []
    try:
        for one in Fault if fault is None else (fault,):
            victim = choose(read_manifests(state_dir), replica)
            for told in follow(one, victim, incidents, limit_s=limit_s):
                if isinstance(told, Outcome):
                    outcomes.append(told)
                elif not as_json:
                    print(told)
    except NotPossible as error:
        print(error, file=sys.stderr)
        raise typer.Exit(1) from None
    if as_json:
        print(json.dumps([asdict(item) for item in outcomes], indent=1))
