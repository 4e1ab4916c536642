"""Ends of processes, told by the kernel at the moment they happen (pidfd_open(2))."""

from __future__ import annotations

import contextlib
import os
import select
import threading
import time

from monitor.ports import Wake


class Ends:
    """A thread that waits on pidfds and wakes the loop at the moment a process ends."""

    def __init__(self, wake: Wake) -> None:
        self._wake = wake
        self._poller = select.epoll()
        self._closing = os.eventfd(0)
        self._closed = False
        self._pids: dict[int, int] = {}
        self._gone: dict[int, float] = {}
        self._lock = threading.Lock()
        self._poller.register(self._closing, select.EPOLLIN)
        self._thread = threading.Thread(target=self._run, name="ends", daemon=True)
        self._thread.start()

    def watch(self, pid: int) -> None:
        """Where the kernel has no pidfd the next tick sees the end."""
        try:
            pidfd = os.pidfd_open(pid)
        except OSError:
            return
        with self._lock:
            self._pids[pidfd] = pid
            self._gone.pop(pid, None)
        self._poller.register(pidfd, select.EPOLLIN)

    def gone_at(self, pid: int) -> float | None:
        with self._lock:
            return self._gone.get(pid)

    def forget(self, pid: int) -> None:
        with self._lock:
            self._gone.pop(pid, None)
            found = [pidfd for pidfd, one in self._pids.items() if one == pid]
            for pidfd in found:
                del self._pids[pidfd]
        for pidfd in found:
            with contextlib.suppress(OSError):
                self._poller.unregister(pidfd)
            os.close(pidfd)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        os.eventfd_write(self._closing, 1)
        self._thread.join(timeout=2)
        for pidfd in list(self._pids):
            os.close(pidfd)
        self._pids.clear()
        self._poller.close()
        os.close(self._closing)

    def _run(self) -> None:
        while True:
            for ready, _ in self._poller.poll(timeout=60):
                if ready == self._closing:
                    return
                self._ended(ready)

    def _ended(self, pidfd: int) -> None:
        now = time.monotonic()
        with contextlib.suppress(OSError):
            self._poller.unregister(pidfd)  # an ended process stays readable for ever
        with self._lock:
            pid = self._pids.get(pidfd)
            if pid is not None:
                self._gone[pid] = now
        self._wake()
