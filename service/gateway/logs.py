"""Log lines as JSON objects on stderr. Texts of requests and secrets are never handed to it.

A thread of its own writes them: stderr may stand still (a paused terminal, a full pipe, a stuck
journal), and the gateway must not stand still with it.
"""

from __future__ import annotations

import json
import logging
import queue
import sys
import threading
import time
from typing import TextIO

QUEUE_LINES = 10_000
GATHER_S = 0.02
"""Lines of so many seconds are written at one go: one system call, one switch of threads."""

FLUSH_S = 1.0
"""How long the end of the process waits for the last lines."""

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}


class JsonLine(logging.Formatter):
    """One record, one line: time, level, logger, message, and the fields given as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, object] = {
            "time": f"{stamp}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


class BehindHandler(logging.Handler):
    """Hands records to a thread that writes them; drops and counts what is too much for it."""

    def __init__(self, stream: TextIO, lines: int = QUEUE_LINES) -> None:
        super().__init__()
        self._stream = stream
        self._queue: queue.Queue[logging.LogRecord | None] = queue.Queue(lines)
        self._dropped = 0
        self._thread = threading.Thread(target=self._write_on, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._queue.put_nowait(record)
        except queue.Full:
            self._dropped += 1

    def close(self) -> None:
        """Write what is left, as far as that goes quickly; called when logging shuts down."""
        try:
            self._queue.put_nowait(None)
        except queue.Full:
            return
        self._thread.join(FLUSH_S)
        super().close()

    def _write_on(self) -> None:
        more = True
        while more:
            records = [self._queue.get()]
            time.sleep(GATHER_S if records[0] is not None else 0.0)
            while not self._queue.empty():
                records.append(self._queue.get())
            more = records[-1] is not None
            self._write([record for record in records if record is not None])

    def _write(self, records: list[logging.LogRecord]) -> None:
        text = "".join(f"{self.format(record)}\n" for record in records)
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            text += json.dumps({"level": "warning", "message": "log lines lost", "lines": dropped})
            text += "\n"
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:
            # nobody reads any more; to say so there is no place left
            return


def configure(level: int = logging.INFO) -> None:
    """Send this process's log lines to stderr."""
    handler = BehindHandler(sys.stderr)
    handler.setFormatter(JsonLine())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # what it says at INFO is either nobody's business or said better by us
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
