"""Reads along what the engine's processes write to stderr, so that a failure has a cause.

A process that dies in C++ code says why on stderr only. The tap passes everything on and remembers
the last lines.
"""

from __future__ import annotations

import os
import threading
from collections import deque

_STDERR = 2
_LINES = 2000
_LINE_BYTES = 2000


class StderrTap:
    """While open, what this process and children started meanwhile write to stderr goes through it.

    Children keep their end: what they write after `close_here` is still read.
    """

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=_LINES)
        self._lock = threading.Lock()
        self._original = os.dup(_STDERR)
        reading, writing = os.pipe()
        os.dup2(writing, _STDERR)  # children inherit this one
        os.close(writing)
        self._is_open = True
        self._thread = threading.Thread(
            target=self._pump,
            args=(reading, os.dup(self._original)),
            daemon=True,
            name="stderr-tap",
        )
        self._thread.start()

    def close_here(self) -> None:
        """This process writes to its own stderr again; the children's are still read."""
        with self._lock:
            if self._is_open:
                os.dup2(self._original, _STDERR)
                os.close(self._original)
                self._is_open = False

    def lines(self, wait_s: float = 0.0) -> list[str]:
        """What was written so far, oldest first.

        Args:
            wait_s: wait that long at most for the writers to be gone.
        """
        if wait_s:
            self._thread.join(wait_s)
        with self._lock:
            return list(self._lines)

    def _pump(self, reading: int, passing: int) -> None:
        rest = b""
        try:
            while data := os.read(reading, 1 << 16):
                os.write(passing, data)
                *whole, rest = (rest + data).split(b"\n")
                rest = rest[-_LINE_BYTES:]
                self._remember(whole)
            self._remember([rest] if rest else [])
        finally:
            os.close(reading)
            os.close(passing)

    def _remember(self, lines: list[bytes]) -> None:
        with self._lock:
            self._lines += [line[:_LINE_BYTES].decode("utf-8", "replace") for line in lines]
