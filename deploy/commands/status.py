"""`rankguard status`: replicas, GPUs, incidents, recent actions."""

from __future__ import annotations

import json
import sys
import time
from typing import Annotated, Any

import typer

from deploy.commands.options import ConfigFile, Json, examples

NAME = "status"
EXAMPLES = examples("rankguard status", "rankguard status --watch", "rankguard status --json")
_STYLE = {"healthy": "green", "loading": "cyan", "starting": "cyan", "busy": "green"}


def run(
    config: ConfigFile = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="refresh until Ctrl-C")] = False,
    as_json: Json = False,
) -> None:
    """Show what the watchdog sees; exit code 1 when the service is not healthy."""
    body = fetch(config)
    if as_json:
        print(json.dumps(body, indent=1, ensure_ascii=False))
    elif watch:
        _watch(config)
    else:
        print_status(body)
    raise typer.Exit(0 if body["state"] == "healthy" else 1)


def fetch(config: ConfigFile) -> Any:
    """The watchdog's `/status`; ends the command with exit code 1 when nobody answers."""
    from deploy.client import Unreachable, call
    from deploy.config import load

    port = load(config).monitor.port
    try:
        return call("GET", f"http://127.0.0.1:{port}/status", timeout=(2.0, 5.0))
    except Unreachable as error:
        print(f"the watchdog does not answer: {error}", file=sys.stderr)
        raise typer.Exit(1) from None


def _watch(config: ConfigFile) -> None:
    from rich.console import Console
    from rich.live import Live

    console = Console()
    try:
        with Live(console=console, screen=True, auto_refresh=False) as live:
            while True:
                live.update(_render(fetch(config)), refresh=True)
                time.sleep(1.0)
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


def print_status(body: Any) -> None:
    from rich.console import Console

    Console().print(_render(body))


def print_replicas(body: Any) -> None:
    from rich.console import Console

    Console().print(_replicas(body))


def _render(body: Any) -> Any:
    from rich.console import Group
    from rich.text import Text

    state = body["state"]
    heading = Text.assemble("rankguard is ", (state, f"bold {_STYLE.get(state, 'red')}"))
    notices = sorted({r["notice"] for r in body["replicas"] if r.get("notice")})
    parts: list[Any] = [heading, *(Text(notice, style="yellow") for notice in notices), Text()]
    parts.append(_replicas(body))
    if body.get("gpus"):
        parts += [Text(), _gpus(body["gpus"])]
    if body.get("incidents"):
        parts += [Text(), _incidents(body["incidents"])]
    return Group(*parts)


def _replicas(body: Any) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for name in ("replica", "state", "reason", "engine", "model", "gpu", "pid", "restarts"):
        table.add_column(name)
    for item in body["replicas"]:
        state = item["state"]
        gpu = (item.get("gpu_uuid") or "-")[-12:]
        table.add_row(
            item["id"],
            Text(state, style=_STYLE.get(state, "red")),
            item.get("reason", ""),
            item.get("engine") or "-",
            item.get("model") or "-",
            gpu,
            str(item.get("pid") or "-"),
            str(item.get("restarts", 0)),
        )
    return table


def _gpus(gpus: Any) -> Any:
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("gpu", "name", "state", "memory", "util", "temp", "power"):
        table.add_column(name)
    for item in gpus:
        table.add_row(
            f"{item.get('index', '')} {str(item.get('uuid', ''))[-12:]}",
            str(item.get("name", "")),
            str(item.get("state", "")),
            _figure(item, "memory_used_bytes", 2**30, "GiB"),
            _figure(item, "utilization_ratio", 0.01, "%"),
            _figure(item, "temperature_celsius", 1, "°C"),
            _figure(item, "power_watts", 1, "W"),
        )
    return table


def _figure(item: Any, key: str, unit: float, name: str) -> str:
    value = item.get(key)
    return "-" if not isinstance(value, int | float) else f"{value / unit:.0f} {name}"


def _incidents(incidents: Any) -> Any:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for name in ("incident", "severity", "status", "since", "reason", "replica", "recovered"):
        table.add_column(name)
    for item in incidents[:10]:
        since = time.strftime("%m-%d %H:%M:%S", time.localtime(item["started_at"]))
        style = "red" if item["status"] == "firing" else "dim"
        recovered = item.get("recovered_s")
        table.add_row(
            f"{item['id']} {item['name']}",
            item["severity"],
            Text(item["status"], style=style),
            since,
            item.get("reason", ""),
            item.get("replica") or "-",
            "-" if recovered is None else f"{recovered:.1f} s",
        )
    return table
