"""A named pipe in the place of /dev/kmsg; in packet mode a read gives one record, as there."""

from __future__ import annotations

import fcntl
import os
from collections import deque
from pathlib import Path

from tests.faults.cards import address
from tests.waiting import until

_F_SETPIPE_SZ = 1031  # fcntl(2); a packet takes a page
_FIRST = 1000
_KEPT = 100  # a kernel's ring is larger; it must fit into the pipe while nobody reads


class KernelLog:
    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = path
        self._ring: deque[bytes] = deque(maxlen=_KEPT)
        self._next = _FIRST
        # open for both, so that it is never at its end, whoever reads it
        self._pipe = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        flags = fcntl.fcntl(self._pipe, fcntl.F_GETFL)
        fcntl.fcntl(self._pipe, fcntl.F_SETFL, flags | os.O_DIRECT)
        fcntl.fcntl(self._pipe, _F_SETPIPE_SZ, 1 << 20)

    def xid(self, card: int, xid: int, pid: int | None = None) -> None:
        who = "pid='<unknown>', name=<unknown>" if pid is None else f"pid={pid}, name=python3"
        self.write(f"NVRM: Xid ({address(card)}): {xid}, {who}, made by the fault suite")

    def write(self, text: str) -> None:
        record = f"4,{self._next},1,-;{text}\n".encode()
        self._next += 1
        self._ring.append(record)
        self._put(record)

    def again(self) -> None:
        """The last records, as whoever opens /dev/kmsg anew reads them."""
        for record in self._ring:
            self._put(record)

    def close(self) -> None:
        os.close(self._pipe)

    def _put(self, record: bytes) -> None:
        until("the kernel log is read", lambda: self._fits(record), 30)

    def _fits(self, record: bytes) -> bool:
        try:
            return os.write(self._pipe, record) == len(record)
        except BlockingIOError:
            return False
