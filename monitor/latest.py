"""The last snapshot, for the threads that show it; replaced whole, so that readers need no lock."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from alerts.snapshot import PipelineSnapshot
from monitor.certificate import Certificate
from monitor.snapshot import Snapshot

_LOOP_DEAD_S = 30.0


class Latest:
    """Written by the loop's thread, read by any."""

    def __init__(self, dropped_lines: Callable[[], int] = lambda: 0) -> None:
        """Show with it how many lines of the log were dropped."""
        self._dropped_lines = dropped_lines
        self.snapshot: Snapshot | None = None
        self.delivery: PipelineSnapshot | None = None
        self.certificates: tuple[Certificate, ...] = ()

    def publish(self, snapshot: Snapshot) -> None:
        self.snapshot = replace(
            snapshot,
            delivery=self.delivery,
            certificates=self.certificates,
            dropped_lines=self._dropped_lines(),
        )

    def alive(self) -> bool:
        """The loop ran a moment ago; the alerts' heartbeat stops when it did not."""
        return self.snapshot is not None and time.time() - self.snapshot.at < _LOOP_DEAD_S
