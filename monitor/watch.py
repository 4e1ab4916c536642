"""One replica under watch: its record, the history of its present generation, and its tallies."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from monitor.leak import LeakLimits, MemoryTrack
from monitor.model import CanaryResult, Evidence, Manifest, Progress, Reason, Unavailable, Verdict
from monitor.pace import Pace, PaceLimits, Slowness, Track, judge
from monitor.probes.canary import CASES
from monitor.replica import Command, Replica
from monitor.snapshot import ReplicaView
from monitor.window import Window

_MEMORY_SAMPLES = 3


class Watch:
    """Mutable, and owned by the loop's thread."""

    def __init__(self, replica: Replica) -> None:
        self.replica = replica
        self.window = Window(replica.generation, replica.since)
        self.verdict: Verdict | None = None
        self.manifest: Manifest | None = None
        self.command: Command | None = None
        self.saved: dict[str, Any] = {}
        self.published: tuple[int, bool, str] | None = None
        self.followed: tuple[int, str] | None = None
        self.cpu_at = 0.0
        self.alone = True  # no other replica is routable
        self.leaving = False  # scaling took it away
        self.waiting: Reason | None = None  # why a stopped one is not started yet
        self.app_fault: Reason | None = None  # an XID that names its process
        self.killed_for_memory = False  # the kernel says so
        self.engine = ""  # what it ran last
        self.measured_at: float | None = None
        self.gpu_bytes: int | None = None  # on all cards; None: nobody tells
        self.resident: deque[int] = deque(maxlen=_MEMORY_SAMPLES)
        self._on_host = MemoryTrack(replica.since)
        self._on_card = MemoryTrack(replica.since)
        self.recent: deque[float] = deque(maxlen=120)
        self.track = Track(len(CASES))
        self._slowness = Slowness()
        self._completed: tuple[float, int] | None = None

    def begin_generation(self, now: float) -> None:
        self.window = Window(self.replica.generation, now)
        self.verdict = None
        self.manifest = None
        self.app_fault = None
        self.killed_for_memory = False
        self.resident.clear()
        self._on_host, self._on_card = MemoryTrack(now), MemoryTrack(now)
        self.measured_at = None
        self.cpu_at = 0.0
        self._completed = None
        self.track.begin()
        self._slowness = Slowness()

    def evidence(self) -> Evidence:
        return self.window.evidence()

    def see_manifest(self, manifest: Manifest, now: float) -> None:
        self.manifest = manifest
        self.engine = manifest.engine
        self.window.see_manifest(manifest, now)

    def see_progress(self, sample: Progress | Unavailable, began: float, ended: float) -> None:
        """Take one probe's result; moments of `time.monotonic()`."""
        self.window.see_progress(sample, began, ended)
        self.note_rate(ended)
        if not isinstance(sample, Unavailable):
            self.track.see_progress(sample, began)

    def see_canary(self, result: CanaryResult) -> None:
        """Take one that was judged."""
        self.window.see_canary(result)
        self.track.see_canary(result)

    def mind_pace(self, siblings: Sequence[Pace], limits: PaceLimits, now: float) -> None:
        """Look whether it is slow beside the others that serve."""
        self._slowness = judge(self._slowness, self.track.pace(), siblings, limits, now)
        self.window.see_slow(self._slowness.slow)

    def see_memory(self, resident_bytes: int, limits: LeakLimits, now: float) -> None:
        """Take what its processes hold; what they have on cards is known already."""
        self.resident.append(resident_bytes)
        self._on_host.see(resident_bytes, limits, now)
        if self.gpu_bytes is not None:
            self._on_card.see(self.gpu_bytes, limits, now)

    def leaks(self, limit_bytes: float | None, limits: LeakLimits) -> str | None:
        """Why it counts as leaking, in words; None when it does not.

        Args:
            limit_bytes: more than that at every one of the last looks; None: as much as it likes.
        """
        full = len(self.resident) == _MEMORY_SAMPLES
        if limit_bytes is not None and full and min(self.resident) > limit_bytes:
            return f"its processes hold {self.resident[-1] / 2**20:.0f} MiB"
        for where, track in (("", self._on_host), (" on its card", self._on_card)):
            growth = track.growth(limits)
            if growth is not None:
                return f"its memory{where} grows by {growth / 2**20:.0f} MiB an hour"
        return None

    def figures(self) -> dict[str, str]:
        """Two or three numbers that go with an incident."""
        found = {"generation": str(self.replica.generation)}
        progress = self.window.progress
        if progress is not None:
            found["in_flight"] = f"{progress.in_flight} documents"
            found["completed"] = f"{progress.completed} documents"
        canary = self.window.canary
        if canary is not None:
            took_ms = 1000 * (canary.ended - canary.began)
            found["canary"] = f"{canary.outcome.value} in {took_ms:.0f} ms"
        return found

    def note_rate(self, now: float) -> None:
        """Documents per second since the last call, for the sparkline."""
        progress = self.window.progress
        completed = 0 if progress is None else progress.completed
        if self._completed is not None and now > self._completed[0]:
            done = max(0, completed - self._completed[1])
            self.recent.append(done / (now - self._completed[0]))
        self._completed = (now, completed)

    def view(self) -> ReplicaView:
        """What exporter and pages read of it."""
        return ReplicaView(
            replica=self.replica,
            verdict=self.verdict,
            waiting=self.waiting,
            manifest=self.manifest,
            progress=self.window.progress,
            canary=self.window.canary,
            recent=tuple(self.recent),
            resident_bytes=self.resident[-1] if self.resident else 0,
            gpu_bytes=self.gpu_bytes,
        )
