"""A process that `rankguard up` keeps alive, and how long it waits before it starts it again."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from dataclasses import dataclass

from deploy.pulse import Pulse

_MAX_BACKOFF_S = 30.0
_STABLE_S = 60.0


@dataclass(slots=True)
class Part:
    """A child of `up`: restarted when it ends by itself, with a growing pause.

    Attributes:
        pulse: whether it answers; None: it is not asked.
        next_start: monotonic seconds before which it is not started again.
    """

    name: str
    command: list[str]
    pulse: Pulse | None = None
    process: subprocess.Popen[bytes] | None = None
    failures: int = 0
    started: float = 0.0
    next_start: float = 0.0

    def start(self, now: float) -> None:
        # a session of its own: Ctrl-C at the terminal reaches `up` alone, which ends it in order
        self.process = subprocess.Popen(self.command, start_new_session=True)
        self.started = now
        if self.pulse is not None:
            self.pulse.begin()

    def kill_if_hung(self, now: float) -> bool:
        """Kill a process that answered before and does not any more; whether it was done."""
        if self.pulse is None or self.process is None or self.process.poll() is not None:
            return False
        hung = self.pulse.is_lost(now)
        if hung:
            self.kill()
        return hung

    def ended(self, now: float) -> None:
        """Note that it ended by itself; the first restart after a stable run is immediate."""
        if now - self.started >= _STABLE_S:
            self.failures = 0
        pause = min(_MAX_BACKOFF_S, 2.0 ** (self.failures - 1)) if self.failures else 0.0
        self.failures += 1
        self.next_start = now + pause
        self.process = None

    def stop(self, timeout_s: float) -> bool:
        """Ask it to end, and kill its group when it does not; False if it had to be killed."""
        if self.process is None or self.process.poll() is not None:
            return True
        self.process.terminate()
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()
            return False
        return True

    def kill(self) -> None:
        if self.process is not None and self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(5.0)
