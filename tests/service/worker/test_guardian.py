from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

from service.worker.guardian import group_members
from tests.waiting import until

# A worker with an engine process that does not notice its parent's death.
PROGRAM = """
import subprocess, time
from service.worker.guardian import Guardian
guardian = Guardian.start()
child = subprocess.Popen(["sleep", "60"])
print(child.pid, guardian.pid, flush=True)
time.sleep(60)
"""


def test_nothing_of_a_killed_workers_group_outlives_it():
    worker = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        assert worker.stdout is not None
        child, guardian = map(int, worker.stdout.readline().split())
        assert {worker.pid, child, guardian} <= group_members(worker.pid)

        worker.kill()
        worker.communicate(timeout=5)

        until("the child is gone", lambda: not _is_alive(child), 5)
        until("the guardian is gone", lambda: not _is_alive(guardian), 5)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(worker.pid, signal.SIGKILL)


def _is_alive(pid: int) -> bool:
    """A process that only waits for a parent to read its exit code is dead."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
