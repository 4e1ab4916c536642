"""Ends the replicas that a stopped watchdog left running: they outlive it on purpose.

Knows replicas by their manifests alone: pid, start time and boot name a process for good.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from service.manifest import Manifest, read_manifests, remove_manifest
from service.process import boot_id, started_ticks

_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Stopped:
    """How one replica ended; `killed` when it did not drain in time."""

    replica: str
    pid: int
    killed: bool


def stop_replicas(
    state_dir: Path,
    timeout_s: float,
    *,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> list[Stopped]:
    """Drain every running replica, all at once; kill the groups of those that outlast the limit.

    A manifest whose process is gone is removed. Safe to call when nothing runs.
    """
    running = []
    for manifest in read_manifests(state_dir):
        if is_running(manifest):
            running.append(manifest)
        else:
            remove_manifest(state_dir, manifest)
    for manifest in running:
        with contextlib.suppress(ProcessLookupError):
            os.kill(manifest.pid, signal.SIGTERM)
    deadline = monotonic() + timeout_s
    while any(is_running(manifest) for manifest in running) and monotonic() < deadline:
        sleep(_POLL_S)
    return [_end(state_dir, manifest) for manifest in running]


def is_running(manifest: Manifest) -> bool:
    """Whether the very process that wrote the manifest is alive."""
    if manifest.boot_id != boot_id() or started_ticks(manifest.pid) != manifest.started_ticks:
        return False
    return not _is_zombie(manifest.pid)


def _is_zombie(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return True
    return stat.rpartition(")")[2].split()[0] == "Z"


def _end(state_dir: Path, manifest: Manifest) -> Stopped:
    killed = is_running(manifest)
    if killed:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(manifest.pid, signal.SIGKILL)
    remove_manifest(state_dir, manifest)
    return Stopped(manifest.id, manifest.pid, killed)
