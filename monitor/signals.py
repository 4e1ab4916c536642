"""Signals set flags here and nothing more; the loop looks at them between two rounds."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType


class Signals:
    """SIGTERM and SIGINT ask for the end, a second one forces it; SIGHUP asks for a reload."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self.asked = threading.Event()
        self.forced = threading.Event()
        self.hangup = threading.Event()

    def install(self) -> None:
        """Take the signals; in the main thread only."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_end)
        signal.signal(signal.SIGHUP, self._on_hangup)

    def _on_end(self, _number: int, _frame: FrameType | None) -> None:
        if self.asked.is_set():
            self.forced.set()
        self.asked.set()
        self._wake()

    def _on_hangup(self, _number: int, _frame: FrameType | None) -> None:
        self.hangup.set()
        self._wake()
