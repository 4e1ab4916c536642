"""Runs the probes on APScheduler, beside the loop, and posts what they bring into its inbox."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler

from monitor.inbox import CanarySeen, Message, ProgressSeen
from monitor.model import CanaryOutcome, CanaryResult
from monitor.probes.canary import CanaryMode
from monitor.probes.http import HttpProber


def build_scheduler(workers: int) -> BackgroundScheduler:
    """The one scheduler; late runs are run once and never dropped."""
    return BackgroundScheduler(
        executors={"default": ThreadPoolExecutor(workers)},
        job_defaults={"coalesce": True, "misfire_grace_time": None, "max_instances": 1},
        timezone=timezone.utc,
    )


@dataclass(slots=True)
class _Target:
    """One generation that is being asked; each kind of probe has a connection of its own."""

    replica_id: str
    generation: int
    url: str
    progress: HttpProber
    canary: HttpProber
    running: threading.Lock = field(default_factory=threading.Lock)


class ScheduledProbes:
    """Implements `Probes`."""

    def __init__(
        self,
        scheduler: BackgroundScheduler,
        post: Callable[[Message], None],
        *,
        poll_s: float,
        canary_timeout_s: float,
        mode: CanaryMode,
    ) -> None:
        self._scheduler = scheduler
        self._post = post
        self._poll_s = poll_s
        self._canary_timeout_s = canary_timeout_s
        self._mode = mode
        self._targets: dict[str, _Target] = {}

    def follow(self, replica_id: str, generation: int, url: str) -> None:
        self.forget(replica_id)
        target = _Target(
            replica_id,
            generation,
            url,
            HttpProber(max(1.0, self._poll_s)),
            HttpProber(self._canary_timeout_s),
        )
        self._targets[replica_id] = target
        self._scheduler.add_job(
            self._ask_progress,
            "interval",
            seconds=self._poll_s,
            args=[target],
            id=_job_id(replica_id),
            next_run_time=datetime.now(timezone.utc),
        )

    def forget(self, replica_id: str) -> None:
        target = self._targets.pop(replica_id, None)
        if target is not None:
            self._scheduler.remove_job(_job_id(replica_id))
            target.progress.close()
            target.canary.close()

    def canary(self, replica_id: str) -> None:
        target = self._targets.get(replica_id)
        if target is not None and target.running.acquire(blocking=False):
            self._scheduler.add_job(self._run_canary, args=[target])

    def realign(self) -> None:
        now = datetime.now(timezone.utc)
        for job in self._scheduler.get_jobs():
            try:
                job.modify(next_run_time=now)
            except JobLookupError:  # a one-off job that ran in between
                continue

    def _ask_progress(self, target: _Target) -> None:
        began = time.monotonic()
        sample = target.progress.progress(target.url)
        self._post(
            ProgressSeen(target.replica_id, target.generation, sample, began, time.monotonic())
        )

    def _run_canary(self, target: _Target) -> None:
        try:
            if self._mode == "off":
                now = time.monotonic()
                result = CanaryResult(target.generation, CanaryOutcome.PASSED, now, now)
            else:
                result = target.canary.canary(target.url, target.generation)
        finally:
            target.running.release()
        self._post(CanarySeen(target.replica_id, result))


def _job_id(replica_id: str) -> str:
    return f"progress:{replica_id}"
