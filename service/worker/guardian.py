"""A tiny process that kills the worker's process group when the worker is gone.

An engine's own processes must not outlive the worker, even when it dies by `kill -9` and can do
nothing itself: an orphaned engine keeps the card's memory and the next start fails.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path

# Reads until the worker's end of the pipe closes, which the kernel does however the worker ends.
# `kill -KILL -- -N` is an error in dash ("Illegal number"); with `-s` every POSIX shell takes it.
_SCRIPT = 'trap "" TERM INT HUP; read -r _; kill -s KILL -- "-$1"'


class Guardian:
    """Holds the pipe; the shell at its other end is a member of the worker's process group."""

    def __init__(self, process: subprocess.Popen[bytes], pipe: int) -> None:
        self._process = process
        self._pipe = pipe

    @classmethod
    def start(cls) -> Guardian:
        """Make this process a group leader, if it is not, and start its guardian."""
        if os.getpgrp() != os.getpid():
            os.setpgid(0, 0)
        reading, writing = os.pipe()  # not inheritable: only this process holds the writing end
        try:
            process = subprocess.Popen(
                ["/bin/sh", "-c", _SCRIPT, "rankguard-guardian", str(os.getpgrp())],
                stdin=reading,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
            )
        finally:
            os.close(reading)
        return cls(process, writing)

    @property
    def pid(self) -> int:
        return self._process.pid

    def dismiss(self) -> None:
        """Kill what is left of the group, then the guardian; the worker itself goes on."""
        for pid in group_members(os.getpgrp()) - {os.getpid(), self.pid}:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.kill()
        self._process.wait(timeout=5)
        os.close(self._pipe)


def group_members(pgid: int) -> set[int]:
    """The pids in a process group, from field 5 of `/proc/<pid>/stat` (proc(5))."""
    members = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                stat = (entry / "stat").read_text(encoding="utf-8", errors="replace")
                if int(stat.rpartition(")")[2].split()[2]) == pgid:
                    members.add(int(entry.name))
    return members
