"""Replicas as processes of this host: each in a session of its own, each in a log of its own.

They do not die with the watchdog. Ends are told by pidfd, so that nobody has to poll for them.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from monitor.model import Identity, ProcessSample
from monitor.ports import ActuatorError, Wake
from monitor.probes.ends import Ends
from monitor.probes.process import all_stats, cpu_of, exists, group, identify
from monitor.window import CpuSample

WorkerCommand = Callable[[str, int, str | None], list[str]]
"""From replica id, generation and GPU UUID (or None) to the worker's argv."""

_MARKER = "RANKGUARD_REPLICA"
_NOT_FOR_WORKERS = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_PID"}

log = logging.getLogger("rankguard.watchdog")


@dataclass(slots=True)
class _Held:
    """What is known of one process beside its identity."""

    child: subprocess.Popen[bytes] | None
    marker: bytes = b""
    gone_at: float | None = None


class ProcessActuator:
    """Implements `Actuator`; called by the loop's thread alone."""

    def __init__(
        self,
        command: WorkerCommand,
        state_dir: Path,
        wake: Wake,
        *,
        keep_logs: int = 5,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._command = command
        self._state_dir = state_dir
        self._keep_logs = keep_logs
        self._environment = dict(os.environ if environment is None else environment)
        self._held: dict[Identity, _Held] = {}
        self._ends = Ends(wake)

    def start(self, replica_id: str, generation: int, gpu_uuid: str | None) -> Identity:
        argv = self._command(replica_id, generation, gpu_uuid)
        marker = f"{self._state_dir}/{replica_id}/{generation}"
        environment = {k: v for k, v in self._environment.items() if k not in _NOT_FOR_WORKERS}
        environment[_MARKER] = marker
        if gpu_uuid is not None:
            environment["CUDA_VISIBLE_DEVICES"] = gpu_uuid
        try:
            with self._open_log(replica_id, generation) as output:
                child = subprocess.Popen(
                    argv,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    start_new_session=True,
                )
        except OSError as error:
            permanent = isinstance(error, FileNotFoundError | PermissionError)
            raise ActuatorError(f"cannot start a worker: {error}", permanent=permanent) from error
        identity = identify(child.pid)
        assert identity is not None, "a child that was not waited for is in /proc, dead or alive"
        held = _Held(child, f"{_MARKER}={marker}".encode())
        self._hold(identity, held)
        return identity

    def adopt(self, identity: Identity) -> bool:
        stat = exists(identity)
        if stat is None or stat.state in {"Z", "X"}:
            return False
        self._hold(identity, _Held(None, _marker_of(identity.pid)))
        return True

    def look(self, identity: Identity) -> ProcessSample:
        held = self._held.get(identity)
        gone_at = None if held is None else held.gone_at or self._ends.gone_at(identity.pid)
        if held is not None and held.child is not None:
            code = _ended_child(identity.pid)
            if code is not None:
                held.gone_at = gone_at or time.monotonic()
                return ProcessSample(alive=False, exit_code=code, gone_at=held.gone_at)
        stat = exists(identity)
        if stat is None or stat.state in {"Z", "X"}:
            return ProcessSample(alive=False, gone_at=gone_at)
        return ProcessSample(alive=True, state=stat.state)

    def cpu(self, identity: Identity) -> CpuSample:
        return cpu_of(group(identity))

    def terminate(self, identity: Identity) -> None:
        if exists(identity) is not None:
            _signal(identity.pid, signal.SIGTERM)

    def kill(self, identity: Identity) -> None:
        held = self._held.get(identity)
        for member in group(identity, b"" if held is None else held.marker):
            _signal(member.pid, signal.SIGKILL)

    def leftovers(self, identity: Identity) -> int:
        self.kill(identity)
        held = self._held.get(identity)
        return len(group(identity, b"" if held is None else held.marker))

    def release(self, identity: Identity) -> None:
        held = self._held.pop(identity, None)
        if held is None:
            return
        self._ends.forget(identity.pid)
        if held.child is not None and held.child.poll() is None:  # else it is reaped by this
            held.child.returncode = -signal.SIGKILL  # left behind: nobody waits for it any more

    def end_strays(self) -> int:
        """Kill workers of this state directory that are nobody's; how many processes there were.

        One that was started in the very moment in which the last watchdog was killed is in no
        journal, and would hold its memory for ever.
        """
        prefix = f"{_MARKER}={self._state_dir}/".encode()
        known = {held.marker for held in self._held.values()}
        strays = [
            stat.pid
            for stat in all_stats()
            if stat.state not in {"Z", "X"}
            and (marker := _marker_of(stat.pid)).startswith(prefix)
            and marker not in known
        ]
        for pid in strays:
            log.warning("pid %d is a worker of an earlier watchdog that nobody knows: killed", pid)
            _signal(pid, signal.SIGKILL)
        return len(strays)

    def is_ours(self, pid: int) -> bool:
        """Whether a worker of this state directory started it, whoever looks after it now."""
        return _marker_of(pid).startswith(f"{_MARKER}={self._state_dir}/".encode())

    def close(self) -> None:
        """Stop watching; the workers go on."""
        self._ends.close()
        for held in self._held.values():
            if held.child is not None and held.child.poll() is None:
                held.child.returncode = 0  # it outlives us on purpose: no ResourceWarning

    def _hold(self, identity: Identity, held: _Held) -> None:
        self._ends.watch(identity.pid)
        self._held[identity] = held

    def _open_log(self, replica_id: str, generation: int) -> BinaryIO:
        """The generation's log; where there can be none, nowhere: the worker starts anyway."""
        folder = self._state_dir / "logs" / replica_id
        try:
            folder.mkdir(parents=True, exist_ok=True)
            logs = sorted(folder.glob("*.log"), key=lambda path: path.stat().st_mtime)
            for old in logs[: max(0, len(logs) - self._keep_logs + 1)]:
                old.unlink(missing_ok=True)
            return (folder / f"{generation}.log").open("ab")
        except OSError as error:
            log.warning("%s/%d has no log: %s", replica_id, generation, error.strerror)
            return Path(os.devnull).open("ab")


def _ended_child(pid: int) -> int | None:
    """The exit code of a child that ended, without reaping it: its pid stays ours until swept."""
    try:
        result = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    if result is None:
        return None
    if result.si_code in {os.CLD_KILLED, os.CLD_DUMPED}:
        return 128 + result.si_status
    return int(result.si_status)


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def _marker_of(pid: int) -> bytes:
    """The marker that the watchdog which started it left in its environment."""
    with contextlib.suppress(OSError):
        for entry in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"):
            if entry.startswith(f"{_MARKER}=".encode()):
                return entry
    return b""
