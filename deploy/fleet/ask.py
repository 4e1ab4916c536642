"""Asks the watchdogs of all hosts at once."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from deploy.client import Unreachable, call
from deploy.fleet.status import HostStatus

AT_ONCE = 16
_TIMEOUT_S = (2.0, 5.0)


def ask(hosts: Sequence[str]) -> list[HostStatus]:
    """Every host's status, in order; a host that does not answer holds up none of the others.

    Args:
        hosts: each as `host:port`.
    """
    with ThreadPoolExecutor(max_workers=min(AT_ONCE, max(1, len(hosts)))) as pool:
        return list(pool.map(_ask_one, hosts))


def _ask_one(host: str) -> HostStatus:
    try:
        body = call("GET", f"http://{host}/status", ours=True, timeout=_TIMEOUT_S)
    except Unreachable as error:
        return HostStatus(host, None, str(error))
    if not isinstance(body, dict):
        return HostStatus(host, None, "its answer is no status")
    return HostStatus(host, body)
