"""`rankguard gpu`: take a card out of use and back, through the watchdog."""

from __future__ import annotations

from typing import Annotated

import typer

from deploy.commands.options import ConfigFile, examples
from deploy.commands.replica import act

NAME = "gpu"
app = typer.Typer(help="Cordon and uncordon GPUs.", no_args_is_help=True)
GpuUuid = Annotated[str, typer.Argument(help="the card's UUID, such as GPU-1a2b…")]


@app.command(epilog=examples("rankguard gpu cordon GPU-1a2b --hours 4 --why 'fan replaced'"))
def cordon(
    uuid: GpuUuid,
    config: ConfigFile = None,
    hours: Annotated[float, typer.Option(min=0.0, help="0: until uncordon")] = 0.0,
    why: Annotated[str, typer.Option(help="kept in the journal")] = "",
) -> None:
    """Place nothing on this card, and keep its alerts quiet."""
    print(act(config, f"gpus/{uuid}/cordon", {"hours": hours, "why": why}))


@app.command(epilog=examples("rankguard gpu uncordon GPU-1a2b"))
def uncordon(uuid: GpuUuid, config: ConfigFile = None) -> None:
    """Put the card back into use."""
    print(act(config, f"gpus/{uuid}/uncordon"))
