"""A limit on how long a block may take; Python 3.10 has no `asyncio.timeout`."""

from __future__ import annotations

import asyncio
from types import TracebackType


class TimeLimit:
    """Cancels the block when its time is over, and raises `asyncio.TimeoutError` in its place.

    `asyncio.wait_for` starts a task for what it waits for, which costs more than most of the waits
    on a request's way take. A cancellation from outside passes through; also one that comes in the
    same moment as the end of the time, where tasks count cancellations (Python 3.11 and newer).
    """

    __slots__ = ("_fired", "_seconds", "_task", "_timer")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._fired = False

    async def __aenter__(self) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(max(0.0, self._seconds), self._fire)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        if not self._fired:
            return
        # from Python 3.11 on tasks count cancellations: ours is taken back, another one stays
        uncancel = getattr(self._task, "uncancel", None)
        others = uncancel() if uncancel is not None else 0
        if kind is asyncio.CancelledError and not others:
            raise asyncio.TimeoutError from error

    def _fire(self) -> None:
        self._fired = True
        self._task.cancel()
