"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        envvar="RANKGUARD_CONFIG",
        help="the configuration file; default rankguard.toml here, if there is one",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="print JSON only")]
DieWithParent = Annotated[
    int | None,
    typer.Option("--die-with-parent", hidden=True, help="pid of the parent to end with"),
]


def examples(*lines: str) -> str:
    """The examples under a command's `--help`, one a line."""
    return "[bold]Examples[/bold]\n\n" + "\n\n".join(f"  $ {line}" for line in lines)
