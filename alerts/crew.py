"""Threads that do one job each, over and over: woken when there is news, stopped together."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

LOG = logging.getLogger("rankguard.alerts")

AFTER_ERROR_S = 5.0

Job = Callable[[], float]
"""Does one step, and says how many seconds it wants to rest."""


class Crew:
    """The threads. What a job raises is logged, and the job is done again."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._wake = threading.Condition()
        self._ticks = 0
        self._threads: list[threading.Thread] = []

    @property
    def at_work(self) -> bool:
        """Whether any job was ever begun."""
        return bool(self._threads)

    def begin(self, name: str, job: Job, *, wakes: bool = True) -> None:
        """Do a job in a thread of its own. `wakes`: news cuts its rest short."""
        thread = threading.Thread(
            target=self._loop, args=(name, job, wakes), name=f"alerts-{name}", daemon=True
        )
        thread.start()
        self._threads.append(thread)

    def wake(self) -> None:
        """There is news: nobody rests on."""
        with self._wake:
            self._ticks += 1
            self._wake.notify_all()

    def stop(self, timeout_s: float) -> bool:
        """End all jobs after the step that each is at; whether they did in time."""
        until = time.monotonic() + timeout_s
        self._stop.set()
        self.wake()
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _loop(self, name: str, job: Job, wakes: bool) -> None:
        while not self._stop.is_set():
            seen = self._ticks
            try:
                wait_s = job()
            except Exception:
                LOG.exception("alerts: %s failed, trying again in %g s", name, AFTER_ERROR_S)
                wait_s = AFTER_ERROR_S
            if not wakes:
                self._stop.wait(wait_s)
                continue
            with self._wake:
                if wait_s > 0 and self._ticks == seen and not self._stop.is_set():
                    self._wake.wait(wait_s)
