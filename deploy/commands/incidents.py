"""`rankguard incidents`: what happened, from the journal; works when nothing runs."""

from __future__ import annotations

import json
import sys
import time
from typing import Annotated, Any

import typer

from deploy.commands.columns import columns, console
from deploy.commands.options import ConfigFile, Json, examples

NAME = "incidents"
EXAMPLES = examples(
    "rankguard incidents",
    "rankguard incidents --last 5 --json",
    "rankguard incidents show 12",
)


def run(
    action: Annotated[str, typer.Argument(help="`show ID` for one incident, whole")] = "",
    incident: Annotated[int | None, typer.Argument(metavar="ID")] = None,
    config: ConfigFile = None,
    last: Annotated[int, typer.Option(min=1, help="how many, newest first")] = 50,
    as_json: Json = False,
) -> None:
    """List what happened, newest first."""
    from deploy.config import load
    from monitor.journal import JournalError, read_incidents

    if action not in ("", "show") or (action == "show") != (incident is not None):
        print("usage: rankguard incidents [show ID]", file=sys.stderr)
        raise typer.Exit(2)
    try:
        items: list[dict[str, Any]] = read_incidents(load(config).service.state_dir / "journal.db")
    except JournalError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(1) from None
    if action == "show":
        items = [item for item in items if item["id"] == incident]
        if not items:
            print(f"there is no incident {incident}", file=sys.stderr)
            raise typer.Exit(1)
        print(json.dumps(items[0], indent=1, ensure_ascii=False))
        return
    items = items[:last]
    if as_json:
        print(json.dumps(items, indent=1, ensure_ascii=False))
    else:
        _print_table(items)


def _print_table(items: list[dict[str, Any]]) -> None:
    if not items:
        print("no incidents")
        return
    table = columns(
        ("id", "name", "severity", "status", "since", "detected", "recovered", "reason")
    )
    for item in items:
        table.add_row(
            str(item["id"]),
            f"{item['name']} {item.get('replica') or item.get('gpu_uuid') or ''}",
            item["severity"],
            item["status"],
            time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(item["started_at"])),
            _seconds(item.get("detected_s")),
            _seconds(item.get("recovered_s")),
            item["reason"],
        )
    console().print(table)


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"
