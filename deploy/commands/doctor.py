"""`rankguard doctor`: what is wrong with this host, and how to mend it."""

from __future__ import annotations

import json

import typer

from deploy.commands.options import ConfigFile, Json, examples

NAME = "doctor"
EXAMPLES = examples("rankguard doctor", "rankguard doctor --json")
_EXIT = {"ok": 0, "warn": 1, "fail": 2}
_STYLE = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def run(config: ConfigFile = None, as_json: Json = False) -> None:
    """Check this host before the service starts; exit code 0 ok, 1 warn, 2 fail."""
    from deploy.config import load
    from deploy.preflight import examine

    findings = examine(load(config))
    worst = max((_EXIT[item.level.value] for item in findings), default=0)
    if as_json:
        body = [
            {"check": f.check, "level": f.level.value, "message": f.message, "fix": f.fix}
            for f in findings
        ]
        print(json.dumps(body, indent=1))
        raise typer.Exit(worst)
    from rich.console import Console

    console = Console(highlight=False)
    for item in findings:
        style = _STYLE[item.level.value]
        console.print(f"[{style}]{item.level.value:4}[/] {item.check}: {item.message}")
        if item.fix:
            console.print(f"     fix: {item.fix}", markup=False)
    raise typer.Exit(worst)
