"""`rankguard doctor`: what is wrong with this host, and how to mend it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from deploy.commands.options import ConfigFile, Json, examples

if TYPE_CHECKING:
    from deploy.doctor.finding import Finding

NAME = "doctor"
EXAMPLES = examples(
    "rankguard doctor",
    "rankguard doctor --expect-gpus 8 --webhooks",
    "rankguard doctor --checksums --json",
    "rankguard doctor --for gateway --failures-only",
)
_EXIT = {"ok": 0, "warn": 1, "fail": 2}
_STYLE = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def run(
    config: ConfigFile = None,
    as_json: Json = False,
    expect_gpus: Annotated[
        int | None, typer.Option(min=0, help="fail unless there are so many cards")
    ] = None,
    checksums: Annotated[
        bool, typer.Option("--checksums", help="read the whole model and compare checksums")
    ] = False,
    webhooks: Annotated[
        bool, typer.Option("--webhooks", help="connect to the alert receivers; sends nothing")
    ] = False,
    part: Annotated[
        str, typer.Option("--for", help="host, or what is about to start: gateway, watchdog")
    ] = "host",
    failures_only: Annotated[
        bool, typer.Option("--failures-only", help="print and count only what prevents a start")
    ] = False,
) -> None:
    """Check this host before the service starts; exit code 0 ok, 1 warn, 2 fail."""
    from deploy.config import load
    from deploy.doctor.examine import Part, Wishes, examine

    try:
        chosen = Part(part)
    except ValueError:
        known = ", ".join(item.value for item in Part)
        raise typer.BadParameter(f"{part}: one of {known}", param_hint="--for") from None
    findings = examine(load(config), Wishes(chosen, expect_gpus, checksums, webhooks))
    if failures_only:
        findings = [item for item in findings if item.level.value == "fail"]
    if as_json:
        print(json.dumps([_as_json(item) for item in findings], indent=1))
    else:
        _print(findings)
    raise typer.Exit(max((_EXIT[item.level.value] for item in findings), default=0))


def _as_json(item: Finding) -> dict[str, str]:
    return {
        "check": item.check,
        "level": item.level.value,
        "message": item.message,
        "fix": item.fix,
    }


def _print(findings: Sequence[Finding]) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    for item in findings:
        line = Text.assemble((f"{item.level.value:4}", _STYLE[item.level.value]), " ")
        console.print(line.append(f"{item.check}: {item.message}"))
        if item.fix:
            console.print(f"     fix: {item.fix}", markup=False)
