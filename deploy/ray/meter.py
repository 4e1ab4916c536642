"""Measures what a replica does while a canary runs."""

from __future__ import annotations

import time

from deploy.ray.checkup import Pace
from monitor.model import Identity
from monitor.probes.process import cpu_of, exists, group
from service.worker.worker import Worker


class Meter:
    """Begins to measure when it is made."""

    def __init__(self, worker: Worker, moved_at: float) -> None:
        """Look at the worker now.

        Args:
            moved_at: when the last meter saw progress; `time.monotonic()` seconds.
        """
        self._worker = worker
        self._began = time.monotonic()
        idle = worker.ledger.progress().in_flight == 0
        self._moved_at = self._began if idle else moved_at
        self._moves = self._count()
        self._effort = self._effort_s()

    def pace(self) -> tuple[Pace, float]:
        """What was done since, and when progress was seen last."""
        now = time.monotonic()
        moved = self._count() != self._moves
        moved_at = now if moved else self._moved_at
        cores = (self._effort_s() - self._effort) / max(1e-3, now - self._began)
        return Pace(moved, cores, now - moved_at), moved_at

    def _count(self) -> tuple[int, int]:
        return self._worker.ledger.progress().completed, self._worker.engine.steps()

    def _effort_s(self) -> float:
        """Seconds on a CPU or waiting for one, of the process group so far."""
        manifest = self._worker.manifest
        identity = Identity(manifest.pid, manifest.started_ticks, manifest.boot_id)
        # only a session leader has a group here; without one the process itself must do
        own = exists(identity)
        sample = cpu_of(group(identity) or ([own] if own is not None else []))
        return sample.running_s + sample.waiting_s
