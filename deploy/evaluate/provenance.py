"""What made a result: command, versions, machine, start time. Kept with every result file."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil


@dataclass(frozen=True, slots=True)
class Provenance:
    """The `"run"` of a result file."""

    command: str
    started_at: str
    versions: Mapping[str, str]
    machine: Mapping[str, str | int | float]

    def to_json(self) -> dict[str, Any]:
        return {
            "command": self.command,
            "started_at": self.started_at,
            "versions": dict(self.versions),
            "machine": dict(self.machine),
        }


def observe(*packages: str) -> Provenance:
    """This process's command line, the named packages' versions, and this machine."""
    versions = {"python": platform.python_version()}
    for name in ("rankguard", *packages):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "not installed"
    return Provenance(
        command=" ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        started_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        versions=versions,
        machine={
            "system": platform.platform(),
            "cpu": _cpu(),
            "cores": len(os.sched_getaffinity(0)),
            "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
            "load_1m": round(os.getloadavg()[0], 2),
        },
    )


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
