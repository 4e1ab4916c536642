"""The running watchdog, as an upgrade needs it: its environment, its replicas, its rollouts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deploy import client
from deploy.address import local_url
from deploy.client import Unreachable
from deploy.upgrade.plan import UpgradeError
from monitor.settings import MonitorSettings
from service.manifest import (
    Manifest,
    WorkerState,
    read_manifests,
    read_verdict,
    routable,
    verdicts_dir,
)

_NOT_PASSED_ON = {
    *("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID"),
    "RANKGUARD_REPLICA",  # what bears it, the watchdog takes for its own
}


class Watchdog:
    """Asks the watchdog of this host.

    `status`, `rollout` and `order` raise `deploy.client.Unreachable` when it does not answer or
    refuses; the others raise UpgradeError instead, for those who cannot go on without it.
    """

    def __init__(self, monitor: MonitorSettings) -> None:
        self._url = local_url(monitor.host, monitor.port)

    def status(self) -> dict[str, Any]:
        body = client.status(self._url)
        if not isinstance(body, dict) or "watchdog" not in body:
            raise Unreachable(f"{self._url} is no watchdog, or it is starting")
        return body

    def rollout(self) -> dict[str, Any] | None:
        """The one that runs, or the last one."""
        found = self.status().get("rollout")
        return found if isinstance(found, dict) else None

    def order(self, path: str, body: Mapping[str, Any] | None = None) -> str:
        """An operator's command; what the watchdog says to it."""
        return client.order(self._url, path, body)

    def seen(self) -> dict[str, Any]:
        """The status; raises UpgradeError."""
        try:
            return self.status()
        except Unreachable as error:
            raise UpgradeError(f"an upgrade needs the watchdog: {error}") from None

    def told(self, path: str, body: Mapping[str, Any] | None = None) -> None:
        """As `order`; raises UpgradeError."""
        try:
            self.order(path, body)
        except Unreachable as error:
            raise UpgradeError(f"the watchdog refused {path}: {error}") from None

    def folder(self) -> Path | None:
        """Where the replicas are started, for relative paths; None where it cannot be read."""
        try:
            return Path(f"/proc/{int(self.seen()['watchdog']['pid'])}/cwd").readlink()
        except (OSError, ValueError):
            return None

    def environment(self) -> dict[str, str]:
        """What the replicas are started with; this process's own where it cannot be read."""
        pid = self.seen()["watchdog"]["pid"]
        try:
            raw = Path(f"/proc/{int(pid)}/environ").read_bytes()
        except (OSError, ValueError):
            return passed_on(os.environ)
        pairs = (entry.partition(b"=") for entry in raw.split(b"\0") if entry)
        return passed_on({os.fsdecode(key): os.fsdecode(value) for key, _, value in pairs})


def passed_on(environment: Mapping[str, str]) -> dict[str, str]:
    """Without what was meant for the watchdog itself."""
    return {key: value for key, value in environment.items() if key not in _NOT_PASSED_ON}


def serving(state_dir: Path) -> list[Manifest]:
    """The replicas that users' requests go to."""
    found = []
    for manifest in read_manifests(state_dir):
        verdict = read_verdict(verdicts_dir(state_dir) / f"{manifest.id}.json")
        if manifest.state is WorkerState.READY and routable(manifest, verdict)[0]:
            found.append(manifest)
    return found
