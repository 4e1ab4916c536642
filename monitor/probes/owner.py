"""Whose process a pid is: a replica's, an orphan's of ours, a stranger's. Reads /proc only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from monitor.model import Identity
from monitor.probes.process import read_stat
from monitor.tenancy import Owner

_DEPTH = 20  # parents that are followed


class Owners:
    """Knows a replica's processes by session and by parents, and orphans by what they carry."""

    def __init__(
        self, is_ours: Callable[[int], bool] = lambda _: False, proc: Path | None = None
    ) -> None:
        """Judge by these.

        Args:
            is_ours: whether a worker of this state directory, of any generation, started it.
        """
        self._is_ours = is_ours
        self._proc = proc or Path("/proc")

    def of(self, pid: int, replicas: Mapping[str, Identity]) -> tuple[Owner, str]:
        """Whose it is, and of which of these replicas.

        One that is not in /proc any more, or lives in another pid namespace, is not seen.
        """
        by_pid = {identity.pid: name for name, identity in replicas.items()}
        current, depth = read_stat(pid, self._proc), 0
        if current is None:
            return Owner.UNSEEN, ""
        while current is not None and depth < _DEPTH:
            found = by_pid.get(current.pid) or by_pid.get(current.session)
            if found is not None:
                return Owner.REPLICA, found
            current, depth = read_stat(current.parent, self._proc), depth + 1
        return (Owner.ORPHAN if self._is_ours(pid) else Owner.STRANGER), ""


def recorded(_pid: int, _replicas: Mapping[str, Identity]) -> tuple[Owner, str]:
    """Of a recording: nobody of this host, so that replicas may be placed on its cards."""
    return Owner.REPLICA, ""
