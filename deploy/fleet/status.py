"""PURE: the `/status` of many hosts as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

PORT = 9400


class HostState(str, Enum):
    """A host in one word; the first four are its watchdog's own."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    STARTING = "starting"
    DOWN = "down"
    IDLE = "idle"  # nothing is meant to run there now
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class HostStatus:
    """What one host's watchdog said, or why it said nothing.

    Attributes:
        status: the body of its `/status`; None when there is none, and `problem` says why.
    """

    host: str
    status: dict[str, Any] | None
    problem: str = ""

    @property
    def replicas(self) -> list[dict[str, Any]]:
        """Those that run or should; a watchdog that observes has names for more."""
        found = [] if self.status is None else self.status.get("replicas", [])
        return [one for one in found if not _is_empty(one)]

    @property
    def firing(self) -> list[dict[str, Any]]:
        found = [] if self.status is None else self.status.get("incidents", [])
        return [one for one in found if one.get("status") == "firing"]

    @property
    def state(self) -> HostState:
        if self.status is None:
            return HostState.UNREACHABLE
        replicas = self.replicas
        if not replicas and self.status.get("replicas"):
            return HostState.IDLE
        routable = sum(bool(one.get("routable")) for one in replicas)
        if replicas and routable == len(replicas):
            return HostState.HEALTHY
        if routable:
            return HostState.DEGRADED
        said = self.status.get("state", "")
        return HostState.STARTING if said == HostState.STARTING.value else HostState.DOWN


def _is_empty(replica: dict[str, Any]) -> bool:
    """Whether it is a name for which an observing watchdog has seen no process."""
    return replica.get("pid") is None and replica.get("reason") == "observing"


def overall(hosts: Sequence[HostStatus]) -> HostState:
    """healthy: every host that is meant to serve does; degraded: some do; down: none does."""
    states = {one.state for one in hosts}
    if HostState.HEALTHY not in states and HostState.DEGRADED not in states:
        return HostState.STARTING if states == {HostState.STARTING} else HostState.DOWN
    return (
        HostState.HEALTHY if states <= {HostState.HEALTHY, HostState.IDLE} else (HostState.DEGRADED)
    )


def to_json(hosts: Sequence[HostStatus]) -> dict[str, Any]:
    """What `rankguard status --hosts … --json` prints."""
    return {
        "state": overall(hosts).value,
        "hosts": [
            {
                "host": one.host,
                "state": one.state.value,
                "problem": one.problem or None,
                "status": one.status,
            }
            for one in hosts
        ],
    }


def addresses(text: str) -> list[str]:
    """`a,b:9401` -> `a:9400`, `b:9401`; an IPv6 address stands in brackets."""
    return [with_port(one.strip()) for one in text.split(",") if one.strip()]


def with_port(host: str) -> str:
    """The host with the watchdogs' port, when it names none."""
    bare = host.rpartition("]")[2] if host.startswith("[") else host
    return host if ":" in bare else f"{host}:{PORT}"
