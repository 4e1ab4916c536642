"""The kernel's log: driver errors that NVML does not tell of, and processes killed for memory.

Reads `/dev/kmsg` (kernel documentation, ABI/testing/dev-kmsg): one record a read,
`<priority>,<sequence>,<microseconds>,<flags>;<text>`. Anybody who is root may write a record
there, and such a one carries a facility above 0: only the kernel's own are believed.
"""

from __future__ import annotations

import logging
import os
import re
import select
import stat
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from monitor.gpu import XidEvent
from monitor.xid import LOST, parse_kernel_text

KMSG = Path("/dev/kmsg")
_RECORD_BYTES = 8192  # longest record that the kernel gives
_KERNEL_FACILITY = 0
_KEPT = 100
_OOM = re.compile(r"(?:Out of memory|Memory cgroup out of memory): Killed process (?P<pid>\d+)")

log = logging.getLogger("rankguard.watchdog")


@dataclass(frozen=True, slots=True)
class Record:
    """One record; `sequence` grows over one boot."""

    facility: int
    sequence: int
    text: str


@dataclass(frozen=True, slots=True)
class OomKill:
    """The kernel killed a process for memory; `at` is `time.monotonic()` seconds."""

    at: float
    pid: int
    text: str


KernelEvent = XidEvent | OomKill


def parse_record(raw: bytes) -> Record | None:
    """One record as it is read; None when it is none."""
    head, separator, rest = raw.decode("utf-8", "replace").partition(";")
    fields = head.split(",")
    if not separator or len(fields) < 3 or not fields[0].isdigit() or not fields[1].isdigit():
        return None
    return Record(int(fields[0]) >> 3, int(fields[1]), rest.partition("\n")[0])


def event_of(record: Record, now: float) -> KernelEvent | None:
    """What a record means here; None when nothing."""
    if record.facility != _KERNEL_FACILITY:
        return None
    killed = _OOM.search(record.text)
    if killed is not None:
        return OomKill(now, int(killed["pid"]), record.text[:200])
    line = parse_kernel_text(record.text)
    if line is None:
        return None
    xid = LOST if line.xid is None else line.xid
    return XidEvent(now, line.pci_bus_id, xid, "kmsg", line.pid, line.text)


class KmsgReader:
    """A thread that posts what matters; remembers how far it came through `cursor`."""

    def __init__(
        self,
        post: Callable[[KernelEvent], None],
        *,
        after: int | None,
        path: Path = KMSG,
        all_facilities: bool = False,
    ) -> None:
        """Read records after a sequence number; None: only what comes from now on.

        Args:
            all_facilities: believe records that a process wrote; for tests alone.
        """
        self._post = post
        self._path = path
        self._after = after
        self._all = all_facilities
        self._stopping = os.eventfd(0)
        self._thread = threading.Thread(target=self._run, name="kmsg", daemon=True)
        self.cursor = after
        self.overruns = 0
        self._recent: deque[str] = deque(maxlen=_KEPT)

    def start(self) -> bool:
        """False where the log cannot be read (no permission, no kernel log)."""
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK)
            if self._after is None and not stat.S_ISFIFO(os.fstat(descriptor).st_mode):
                os.lseek(descriptor, 0, os.SEEK_END)  # a pipe that stands in for it has no past
        except OSError as error:
            log.info("the kernel log is not read: %s", error.strerror)
            return False
        self._descriptor = descriptor
        self._thread.start()
        return True

    def recent(self) -> tuple[str, ...]:
        """The last lines of the kernel's own, for evidence."""
        return tuple(self._recent)

    def stop(self) -> None:
        os.eventfd_write(self._stopping, 1)
        if self._thread.is_alive():
            self._thread.join(timeout=2)

    def _run(self) -> None:
        poller = select.poll()
        poller.register(self._stopping, select.POLLIN)
        poller.register(self._descriptor, select.POLLIN)
        try:
            while not any(ready == self._stopping for ready, _ in poller.poll()):
                self._drain()
        finally:
            os.close(self._descriptor)

    def _drain(self) -> None:
        while True:
            try:
                raw = os.read(self._descriptor, _RECORD_BYTES)
            except BlockingIOError:
                return
            except BrokenPipeError:  # the ring went over us: the next read is the oldest there is
                self.overruns += 1
                continue
            except OSError as error:
                log.warning("the kernel log cannot be read any more: %s", error.strerror)
                self._stop_listening()
                return
            if not raw:
                return
            self._take(raw)

    def _stop_listening(self) -> None:
        os.eventfd_write(self._stopping, 1)

    def _take(self, raw: bytes) -> None:
        record = parse_record(raw)
        if record is None or (self._after is not None and record.sequence <= self._after):
            return
        self._recent.append(record.text)
        believed = Record(0, record.sequence, record.text) if self._all else record
        event = event_of(believed, time.monotonic())
        if event is not None:
            self._post(event)
        self.cursor = record.sequence  # whoever reads it knows that all up to here was posted
