"""All hosts as one table for the terminal."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from deploy.fleet.status import HostState, HostStatus, overall

_STYLE = {
    HostState.HEALTHY: "green",
    HostState.IDLE: "dim",
    HostState.STARTING: "cyan",
    HostState.DEGRADED: "yellow",
}


def render(hosts: Sequence[HostStatus]) -> RenderableType:
    """A line for each host, then the incidents that fire, then what could not be reached."""
    state = overall(hosts)
    parts: list[RenderableType] = [
        Text.assemble(f"{len(hosts)} hosts: ", (state.value, f"bold {_STYLE.get(state, 'red')}")),
        Text(),
        _hosts(hosts),
    ]
    if any(one.firing for one in hosts):
        parts += [Text(), _incidents(hosts)]
    parts += [Text(f"{one.host}: {one.problem}", style="red") for one in hosts if one.problem]
    return Group(*parts)


def _hosts(hosts: Sequence[HostStatus]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in (
        "host",
        "state",
        "replicas",
        "restarts",
        "in flight",
        "gpus",
        "incidents",
        "model",
    ):
        table.add_column(name)
    for one in hosts:
        replicas = one.replicas
        gpus = [] if one.status is None else one.status.get("gpus", [])
        routable = sum(bool(item.get("routable")) for item in replicas)
        well = sum(item.get("state") == "ok" for item in gpus)
        table.add_row(
            one.host,
            Text(one.state.value, style=_STYLE.get(one.state, "red")),
            f"{routable}/{len(replicas)}",
            str(sum(item.get("restarts", 0) for item in replicas)),
            str(sum(item.get("inflight", 0) for item in replicas)),
            f"{well}/{len(gpus)}" if gpus else "-",
            str(len(one.firing) or "-"),
            ", ".join(sorted({str(item["model"]) for item in replicas if item.get("model")}))
            or "-",
        )
    return table


def _incidents(hosts: Sequence[HostStatus]) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in ("host", "incident", "severity", "since", "reason", "about"):
        table.add_column(name)
    for one in hosts:
        for item in one.firing:
            since = time.strftime("%m-%d %H:%M:%S", time.localtime(item["started_at"]))
            about = item.get("replica") or str(item.get("gpu_uuid") or "-")[-12:]
            row: list[Any] = [item["name"], item["severity"], since, item.get("reason", ""), about]
            table.add_row(one.host, *row)
    return table
