"""`rankguard status`: replicas, GPUs, incidents, recent actions."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from deploy.commands.columns import columns, console
from deploy.commands.options import ConfigFile, Json, examples

NAME = "status"
EXAMPLES = examples(
    "rankguard status",
    "rankguard status --watch",
    "rankguard status --json",
    "rankguard status --hosts gpu-1,gpu-2:9400",
    "rankguard status --hosts all --watch",
)
_GATEWAY_S = (2.0, 3.0)
_UNFINISHED = {"trying", "interrupted", "asked", "failed", "stopped"}
_STYLE = {"healthy": "green", "loading": "cyan", "starting": "cyan", "busy": "green"}


def run(
    config: ConfigFile = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="refresh until Ctrl-C")] = False,
    as_json: Json = False,
    hosts: Annotated[
        str,
        typer.Option(
            help="ask these watchdogs, host or host:port with commas between; all: \\[fleet] hosts"
        ),
    ] = "",
) -> None:
    """Show what the watchdog sees; exit code 1 when the service is not healthy."""
    look = _fleet(config, hosts) if hosts else lambda: _one(config)
    if watch and not as_json:
        _watch(lambda: look().shown)
    sight = look()
    if as_json:
        print(json.dumps(sight.body, indent=1, ensure_ascii=False))
    else:
        console().print(sight.shown)
    serves = sight.body["state"] == "healthy" and not sight.body.get("gateway_silent")
    raise typer.Exit(0 if serves else 1)


@dataclass(frozen=True, slots=True)
class Sight:
    """What was seen: for programs, and for the terminal."""

    body: Any
    shown: Any


def _one(config: ConfigFile) -> Sight:
    body = fetch(config)
    body["upgrade"] = _upgrade(config, body)
    body["gateway_silent"] = _gateway_silent(config)
    return Sight(body, _render(body))


def _gateway_silent(config: ConfigFile) -> str | None:
    """Why nobody gets an answer although replicas serve; None: the gateway answers.

    The watchdog judges replicas. Where it only observes, the gateways are Ray's.
    """
    from deploy.address import local_url
    from deploy.client import Unreachable, call
    from deploy.config import load

    settings = load(config)
    if settings.monitor.actuator == "observe":
        return None
    service = settings.service
    try:
        call("GET", f"{local_url(service.host, service.port)}/livez", ours=True, timeout=_GATEWAY_S)
    except Unreachable as error:
        return str(error)
    return None


def _upgrade(config: ConfigFile, body: Any) -> dict[str, str] | None:
    """Where this host's newest upgrade stands; None: there was none."""
    from deploy.config import load
    from deploy.upgrade.record import standing

    found, at = standing(load(config).service.state_dir, body.get("rollout"))
    if found is None:
        return None
    return {"id": found.id, "stand": at.stand.value, "words": at.words}


def _fleet(config: ConfigFile, hosts: str) -> Callable[[], Sight]:
    """Looks at all hosts; ends the command with exit code 2 when there are none."""
    from deploy.config import load
    from deploy.fleet.ask import ask
    from deploy.fleet.show import render
    from deploy.fleet.status import addresses, to_json, with_port

    asked = addresses(hosts)
    if hosts == "all":
        asked = [with_port(one) for one in load(config).fleet.hosts]
    if not asked:
        print("no hosts: name them, or set [fleet] hosts", file=sys.stderr)
        raise typer.Exit(2)

    def look() -> Sight:
        found = ask(asked)
        return Sight(to_json(found), render(found))

    return look


def fetch(config: ConfigFile) -> Any:
    """The watchdog's `/status`; ends the command with exit code 1 when nobody answers."""
    from deploy import client
    from deploy.address import local_url
    from deploy.client import Unreachable
    from deploy.config import load

    monitor = load(config).monitor
    try:
        return client.status(local_url(monitor.host, monitor.port))
    except Unreachable as error:
        print(f"the watchdog does not answer: {error}", file=sys.stderr)
        raise typer.Exit(1) from None


def _watch(shown: Callable[[], Any]) -> None:
    from rich.live import Live

    try:
        with Live(console=console(), screen=True, auto_refresh=False) as live:
            while True:
                live.update(shown(), refresh=True)
                time.sleep(1.0)
    except KeyboardInterrupt:
        raise typer.Exit(0) from None


def print_replicas(body: Any) -> None:
    console().print(_replicas(body))


def _render(body: Any) -> Any:
    from rich.console import Group
    from rich.text import Text

    state = body["state"]
    heading = Text.assemble("rankguard is ", (state, f"bold {_STYLE.get(state, 'red')}"))
    notices = sorted({r["notice"] for r in body["replicas"] if r.get("notice")})
    silent = body.get("gateway_silent")
    told = [Text(f"but the gateway does not answer: {silent}", style="bold red")] if silent else []
    parts: list[Any] = [heading, *told, *(Text(notice, style="yellow") for notice in notices)]
    parts += [Text(line, style="cyan") for line in (_rollout(body),) if line]
    parts.append(Text())
    parts.append(_replicas(body))
    if body.get("gpus"):
        parts += [Text(), _gpus(body["gpus"])]
    if body.get("incidents"):
        parts += [Text(), _incidents(body["incidents"])]
    return Group(*parts)


def _rollout(body: Any) -> str:
    """What is under way or was left half-way; what came to its end is not worth a line."""
    from deploy.upgrade.switch import words

    rollout, upgrade = body.get("rollout"), body.get("upgrade")
    if rollout and rollout["active"]:
        return f"rollout {rollout['id']}: {words(rollout)}"
    if upgrade and upgrade["stand"] in _UNFINISHED:
        return f"upgrade {upgrade['id']}: {upgrade['words']}; see rankguard upgrade --status"
    return ""


def _replicas(body: Any) -> Any:
    from rich.text import Text

    table = columns(("replica", "state", "reason", "engine", "model", "gpu", "pid", "restarts"))
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

    table = columns(("gpu", "name", "state", "memory", "util", "temp", "power"))
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
    from rich.text import Text

    table = columns(("incident", "severity", "status", "since", "reason", "replica", "recovered"))
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
