"""What is in flight in this worker and what is done. Knows no engine and no HTTP."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Progress:
    """A snapshot: counts of documents, ages in seconds (None: there is none).

    Attributes:
        unscored: users' documents for which the engine gave no finite score.
        served: users' documents that were answered. busy_s: time with any of them in flight.
    """

    completed: int
    failed: int
    unscored: int
    in_flight: int
    oldest_in_flight_s: float | None
    last_success_s: float | None
    served: int = 0
    busy_s: float = 0.0


class Ledger:
    """Counts jobs as they come and go; belongs to one event loop."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._open: dict[int, tuple[float, int]] = {}
        self._next = 0
        self._completed = 0
        self._failed = 0
        self._unscored = 0
        self._last_success: float | None = None
        self._served = 0
        self._users = 0
        self._busy_since = 0.0
        self._busy_s = 0.0
        self._idle = asyncio.Event()
        self._idle.set()

    @contextlib.contextmanager
    def job(self, documents: int, *, canary: bool) -> Iterator[None]:
        """Hold one job open; leaving with an exception counts its documents as failed.

        A canary counts as progress, and never as a user's success.
        """
        key = self._next
        self._next += 1
        self._open[key] = (self._clock(), documents)
        self._idle.clear()
        if not canary:
            self._busy_since = self._clock() if self._users == 0 else self._busy_since
            self._users += 1
        try:
            yield
        except BaseException:
            self._failed += documents
            raise
        else:
            self._completed += documents
            if not canary:
                self._last_success = self._clock()
                self._served += documents
        finally:
            del self._open[key]
            if not canary:
                self._users -= 1
                self._busy_s += 0.0 if self._users else self._clock() - self._busy_since
            if not self._open:
                self._idle.set()

    def note_unscored(self, documents: int) -> None:
        """Count documents of a user's job that got an error in place of a score."""
        self._unscored += documents

    def progress(self) -> Progress:
        now = self._clock()
        # dicts keep insertion order, and jobs are opened in the order of time
        oldest = next(iter(self._open.values()), None)
        return Progress(
            completed=self._completed,
            failed=self._failed,
            unscored=self._unscored,
            in_flight=sum(documents for _, documents in self._open.values()),
            oldest_in_flight_s=None if oldest is None else now - oldest[0],
            last_success_s=None if self._last_success is None else now - self._last_success,
            served=self._served,
            busy_s=self._busy_s + (now - self._busy_since if self._users else 0.0),
        )

    async def wait_idle(self, timeout_s: float) -> bool:
        """Wait until nothing is in flight; False when the time is over first."""
        try:
            await asyncio.wait_for(self._idle.wait(), timeout_s)
        except (asyncio.TimeoutError, TimeoutError):
            return False
        return True
