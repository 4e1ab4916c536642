"""The bounded history of one generation: samples go in, evidence comes out. PURE."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from monitor.model import (
    CanaryOutcome,
    CanaryResult,
    Effort,
    Evidence,
    Manifest,
    ProcessSample,
    Progress,
    Reason,
    Slow,
    Unavailable,
)

_EFFORT_HORIZON_S = 3.0
_BAD = {CanaryOutcome.WRONG, CanaryOutcome.ERROR}


@dataclass(frozen=True, slots=True)
class CpuSample:
    """Sums over a process group: seconds on a CPU, seconds ready and waiting for one, memory."""

    running_s: float
    waiting_s: float
    blocked: bool = False
    resident_bytes: int = 0


class Window:
    """What is remembered of one generation; every method takes the moment of its sample."""

    def __init__(self, generation: int, started_at: float) -> None:
        self.generation = generation
        self.started_at = started_at
        self._process = ProcessSample(alive=True)
        self._manifest: Manifest | None = None
        self._progress: Progress | None = None
        self._progress_at = started_at
        self._failing_since: float | None = None
        self._blind_until = started_at
        self._stalled_since: float | None = None
        self._failed_at = 0  # failures up to the last progress
        self._moved_at = started_at
        self._usual_gap_s = 0.0
        self._stopped_since: float | None = None
        self._load_moved_at = started_at
        self._canary: CanaryResult | None = None
        self._canary_bad = 0
        self._canary_good = False
        self._unscored_at: float | None = None
        self._cpu: deque[tuple[float, CpuSample]] = deque(maxlen=64)
        self._gpu: Reason | None = None
        self._slow: Slow | None = None
        self._board_refuses = False

    @property
    def progress(self) -> Progress | None:
        return self._progress

    @property
    def canary(self) -> CanaryResult | None:
        return self._canary

    @property
    def suspicious(self) -> bool:
        """Somebody should look closer: probes fail, work stands still, or it is still loading."""
        return (
            self._failing_since is not None
            or self._stalled_since is not None
            or not self._canary_good
        )

    def trust(self) -> None:
        """An adopted generation that served: its first canary is behind it."""
        self._canary_good = True

    def see_process(self, sample: ProcessSample, now: float) -> None:
        self._process = sample
        if sample.state != "T":
            self._stopped_since = None
        elif self._stopped_since is None:
            self._stopped_since = now

    def see_manifest(self, manifest: Manifest | None, now: float) -> None:
        """Take the manifest, when it is this generation's."""
        if manifest is None or manifest.generation != self.generation:
            return
        if self._manifest is None or manifest.state is not self._manifest.state:
            self._load_moved_at = now
        self._manifest = manifest

    def see_progress(self, sample: Progress | Unavailable, began: float, now: float) -> None:
        """Take one probe's result.

        Args:
            began: when the probe was sent. now: when it ended.
        """
        if isinstance(sample, Unavailable):
            if self._failing_since is None:
                self._failing_since = max(began, self._blind_until)
            return
        if sample.generation != self.generation:
            return
        self._failing_since = None
        before = self._progress
        moved = before is None or (sample.completed, sample.steps) != (
            before.completed,
            before.steps,
        )
        if before is None or (sample.loading_phase, sample.loading_done) != (
            before.loading_phase,
            before.loading_done,
        ):
            self._load_moved_at = now
        if sample.unscored > (0 if before is None else before.unscored):
            self._unscored_at = now
        self._see_work(sample, began, moved=moved)
        self._progress, self._progress_at = sample, now

    def _see_work(self, sample: Progress, at: float, *, moved: bool) -> None:
        # `failed` is no progress: the requests of a hung engine fail too, by their deadlines or
        # because the gateway gave them to another replica; work that only failed leaves a doubt,
        # which the canary settles
        doubtful = sample.in_flight > 0 or sample.failed > self._failed_at
        if moved or not doubtful:
            if moved and self._stalled_since is not None and self._canary_good:
                self._usual_gap_s = max(self._usual_gap_s, at - self._moved_at)
            self._moved_at = at
            self._failed_at = sample.failed
            self._stalled_since = None
        elif self._stalled_since is None:
            # from the last progress, or from the arrival of the oldest work when that is later
            age_s = sample.oldest_in_flight_s
            arrived = self._moved_at if age_s is None else at - age_s
            self._stalled_since = self._moved_at = max(self._moved_at, arrived)

    def see_canary(self, result: CanaryResult) -> None:
        if result.generation != self.generation:
            return
        self._canary = result
        if result.outcome is CanaryOutcome.PASSED:
            self._canary_good = True
            if self._unscored_at is not None and result.began >= self._unscored_at:
                self._unscored_at = None
        self._canary_bad = self._canary_bad + 1 if result.outcome in _BAD else 0

    def see_cpu(self, sample: CpuSample, now: float) -> None:
        """Take a group's CPU counters; rates are made over the last seconds."""
        if self._cpu and sample.running_s > self._cpu[-1][1].running_s + 0.01:
            self._load_moved_at = now
        self._cpu.append((now, sample))
        while len(self._cpu) > 2 and now - self._cpu[1][0] >= _EFFORT_HORIZON_S:
            self._cpu.popleft()

    def see_gpu(self, fault: Reason | None) -> None:
        self._gpu = fault

    def see_board(self, *, refuses: bool) -> None:
        self._board_refuses = refuses

    def see_slow(self, slow: Slow | None) -> None:
        self._slow = slow

    def forget_blind_time(self, now: float) -> None:
        """The watchdog itself did not run for a while: nothing may be held against the replica."""
        self._blind_until = now
        self._failing_since = None
        self._stalled_since = None
        self._stopped_since = None
        self._moved_at = self._load_moved_at = now
        self._cpu.clear()

    def evidence(self) -> Evidence:
        return Evidence(
            started_at=self.started_at,
            process=self._process,
            manifest=self._manifest,
            progress=self._progress,
            probe_failing_since=self._failing_since,
            stalled_since=self._stalled_since,
            usual_gap_s=self._usual_gap_s,
            stopped_since=self._stopped_since,
            load_moved_at=self._load_moved_at,
            canary=self._canary,
            canary_bad=self._canary_bad,
            canary_good=self._canary_good,
            unscored_at=self._unscored_at,
            effort=self._effort(),
            gpu=self._gpu,
            slow=self._slow,
            board_refuses=self._board_refuses,
        )

    def _effort(self) -> Effort | None:
        if len(self._cpu) < 2:
            return None
        (first_at, first), (last_at, last) = self._cpu[0], self._cpu[-1]
        seconds = last_at - first_at
        if seconds < 0.5:
            return None
        return Effort(
            running=max(0.0, last.running_s - first.running_s) / seconds,
            waiting=max(0.0, last.waiting_s - first.waiting_s) / seconds,
            blocked=first.blocked and last.blocked,
        )
