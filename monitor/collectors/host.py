"""Reads the host through psutil and /proc."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
from collections.abc import Sequence
from pathlib import Path

import psutil

from monitor.host import HostSample


class HostReader:
    """One look costs well under a millisecond; `paths` are the disks that matter."""

    def __init__(self, paths: Sequence[Path], proc: Path = Path("/proc")) -> None:
        self._paths = tuple(paths)
        self._proc = proc
        psutil.cpu_percent(None)  # the first call only sets the mark

    def read(self) -> HostSample:
        memory = psutil.virtual_memory()
        return HostSample(
            cpu_ratio=psutil.cpu_percent(None) / 100,
            cpu_pressure=self._pressure(),
            memory_available=int(memory.available),
            memory_total=int(memory.total),
            swap_used=int(psutil.swap_memory().used),
            disks=self._disks(),
            open_files=sum(1 for _ in os.scandir("/proc/self/fd")),
            max_files=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
        )

    def _disks(self) -> dict[str, tuple[int, int]]:
        found = {}
        for path in self._paths:
            with contextlib.suppress(OSError):
                usage = shutil.disk_usage(path)
                found[str(path)] = (usage.free, usage.total)
        return found

    def _pressure(self) -> float | None:
        """`some avg60` of PSI (kernel documentation, accounting/psi)."""
        try:
            line = (self._proc / "pressure/cpu").read_text(encoding="ascii").splitlines()[0]
            fields = dict(word.split("=") for word in line.split()[1:])
            return float(fields["avg60"]) / 100
        except (OSError, ValueError, KeyError, IndexError):
            return None
