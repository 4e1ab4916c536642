"""The log: every line where somebody reads, and no waiting where nobody does."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess

import pytest

from monitor.logs import BoundedLog
from tests.monitor.stand import Stand
from tests.waiting import until


@pytest.fixture
def full():
    """The writing end of a pipe that is full, and that nobody reads; and its other end."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writing, bytes(4096))
    os.set_blocking(writing, True)
    yield writing, reading
    for descriptor in (reading, writing):
        os.close(descriptor)


def record(text: str, *arguments: object) -> logging.LogRecord:
    return logging.LogRecord("x", logging.INFO, "f", 1, text, arguments, None)


def test_every_line_is_written(tmp_path):
    with (tmp_path / "log").open("w") as stream, BoundedLog(stream) as lines:
        for number in range(100):
            lines.emit(record("line %d", number))
        lines.emit(record("%d fits not", "this"))

    written = (tmp_path / "log").read_text().splitlines()
    assert len(written) == 101
    assert written[99].endswith("INFO watchdog line 99")
    assert "fits not" in written[100]
    assert lines.dropped == 0


def test_lines_that_nobody_takes_are_dropped_and_counted(full):
    writing, reading = full
    with os.fdopen(os.dup(writing), "w") as stream, BoundedLog(stream, size=10) as lines:
        for number in range(100):
            lines.emit(record("line %d", number))
        dropped = lines.dropped
        os.read(reading, 65536)  # somebody reads again: the end need not give up

    assert 89 <= dropped <= 90


def newer(one, first) -> bool:
    now = one.manifest()
    return now is not None and now.generation > first.generation


@pytest.mark.e2e
def test_a_watchdog_whose_standard_error_nobody_reads_goes_on(tmp_path, full):
    writing, _ = full
    one = Stand(tmp_path)
    one.process = subprocess.Popen(one.command(stop_replicas=True), stdout=writing, stderr=writing)
    try:
        one.wait_healthy()
        first = one.manifest()
        os.kill(first.identity.pid, signal.SIGKILL)
        until("it is replaced", lambda: newer(one, first) and one.healthy(), 30)

        assert "rankguard_watchdog_dropped_log_lines_total 0.0" in one.metrics()
        assert one.stop() == 0
    finally:
        one.clear()
