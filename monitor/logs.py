"""The watchdog's log, written by a thread of its own.

Whoever reads standard error and stops reading cannot stop the loop: the queue is bounded, and what
does not fit is dropped and counted.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import threading
from types import TracebackType
from typing import TextIO

from typing_extensions import Self

_SIZE = 2000
_FORMAT = "%(asctime)s %(levelname)s watchdog %(message)s"


class BoundedLog(logging.Handler):
    """Hands each line to a thread; the caller never waits for the stream."""

    def __init__(self, stream: TextIO, size: int = _SIZE) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter(_FORMAT))
        self.dropped = 0
        self._descriptor = stream.fileno()  # a write that hangs must not hold the stream's lock
        self._lines: queue.Queue[str | None] = queue.Queue(size)
        self._thread = threading.Thread(target=self._write, name="log", daemon=True)

    def __enter__(self) -> Self:
        """Write the root logger's lines, where nobody else does."""
        root = logging.getLogger()
        if not root.handlers:
            root.setLevel(logging.INFO)
            root.addHandler(self)
        self._thread.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """Wait a second at most for what is still to be written."""
        logging.getLogger().removeHandler(self)
        with contextlib.suppress(queue.Full):
            self._lines.put_nowait(None)
            self._thread.join(timeout=1.0)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            line = self.format(record)
        except (TypeError, ValueError, KeyError):  # a message that does not fit its arguments
            line = f"{record.levelname} {record.msg!r}"
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self.dropped += 1

    def _write(self) -> None:
        while True:
            line = self._lines.get()
            if line is None:
                return
            left = f"{line}\n".encode("utf-8", "backslashreplace")
            with contextlib.suppress(OSError):  # a stream that is gone takes no lines
                while left:
                    left = left[os.write(self._descriptor, left) :]
