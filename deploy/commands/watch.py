"""`rankguard watch`: the watchdog alone."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from deploy.commands.options import ConfigFile, DieWithParent, examples

NAME = "watch"
RUNBOOKS = Path(__file__).parent.parent / "runbooks"
EXAMPLES = examples(
    "rankguard watch",
    "rankguard watch --gpus replay:recordings/h100.jsonl",
    "RANKGUARD_MONITOR__REPLICAS=2 rankguard watch --stop-replicas-on-exit",
)


def run(
    config: ConfigFile = None,
    gpus: Annotated[str, typer.Option(help="nvml, none or replay:FILE")] = "",
    stop_replicas_on_exit: Annotated[
        bool, typer.Option(help="drain the replicas at the end, instead of leaving them running")
    ] = False,
    die_with_parent: DieWithParent = None,
) -> None:
    """Run the watchdog: it starts, watches, restarts and reports the replicas."""
    from deploy.address import local_url
    from deploy.config import find_file, load
    from deploy.parent import end_with_parent
    from monitor.app import run as run_watchdog

    end_with_parent(die_with_parent)
    settings = load(config)
    monitor = settings.monitor.model_copy(update={"gpus": gpus}) if gpus else settings.monitor
    file = find_file(config)
    code = run_watchdog(
        monitor,
        state_dir=settings.service.state_dir,
        worker_command=worker_command(file),
        alerts=settings.alerts,
        stop_replicas_on_exit=stop_replicas_on_exit,
        runbooks=RUNBOOKS,
        gateway_url=local_url(settings.service.host, settings.service.port),
        reload=lambda: load(config).monitor,
        config_path=file,
    )
    raise typer.Exit(code)


def worker_command(file: Path | None) -> list[str]:
    """How the watchdog starts a worker; it adds --id, --generation, --gpu and --watched."""
    config = ["--config", str(file.resolve())] if file else []
    return [sys.executable, "-m", "deploy", "worker", *config]
