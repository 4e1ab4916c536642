"""What the replicas on this host use: resident memory and CPU of their processes, card memory."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from service.manifest import Manifest, read_manifests
from service.process import boot_id, started_ticks

_MIB = 2**20


@dataclass(frozen=True, slots=True)
class Usage:
    """Memory in MiB; None where it cannot be known from this host."""

    rss_mb: float | None = None
    vram_mb: float | None = None


def replica_pids(state_dir: Path) -> list[int]:
    """The replicas' processes that the manifests of a state directory name, dead ones left out."""
    return [each.pid for each in read_manifests(state_dir) if is_alive(each)]


def is_alive(manifest: Manifest) -> bool:
    """Whether the very process that wrote the manifest still runs, not another with its pid."""
    return manifest.boot_id == boot_id() and started_ticks(manifest.pid) == manifest.started_ticks


def usage(pids: Sequence[int]) -> Usage:
    """Memory of the processes with all their children."""
    if not pids:
        return Usage()
    processes = list(_with_children(pids))
    rss = 0
    for process in processes:
        with contextlib.suppress(psutil.Error):
            rss += process.memory_info().rss
    return Usage(rss / _MIB, _card_memory({process.pid for process in processes}))


def cpu_s(pids: Sequence[int]) -> float:
    """Seconds of CPU that the processes and their children have used so far."""
    total = 0.0
    for process in _with_children(pids):
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system
    return total


def _with_children(pids: Iterable[int]) -> Iterable[psutil.Process]:
    seen: set[int] = set()
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(pid)
            for each in (process, *process.children(recursive=True)):
                if each.pid not in seen:
                    seen.add(each.pid)
                    yield each


def _card_memory(pids: set[int]) -> float | None:
    """Memory of the processes on all cards; None without a driver."""
    import pynvml  # noqa: PLC0415 - a host without a driver can still measure the rest

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    try:
        used = 0
        for index in range(pynvml.nvmlDeviceGetCount()):
            card = pynvml.nvmlDeviceGetHandleByIndex(index)
            for process in pynvml.nvmlDeviceGetComputeRunningProcesses(card):
                if process.pid in pids:
                    used += process.usedGpuMemory or 0
        return used / _MIB
    except pynvml.NVMLError:
        return None
    finally:
        pynvml.nvmlShutdown()
