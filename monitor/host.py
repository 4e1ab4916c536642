"""What is known of the host, and PURE: what of it is worth telling."""

from __future__ import annotations

from dataclasses import dataclass

from monitor.cardhealth import Finding


@dataclass(frozen=True, slots=True)
class HostSample:
    """One look; sizes in bytes, ratios 0 to 1.

    Attributes:
        cpu_pressure: share of the last minute in which something waited for a CPU (PSI, avg60);
            None where the kernel does not tell.
        disks: path -> (free, total), of the state directory and the model cache.
        open_files, max_files: of this watchdog.
    """

    cpu_ratio: float
    cpu_pressure: float | None
    memory_available: int
    memory_total: int
    swap_used: int
    disks: dict[str, tuple[int, int]]
    open_files: int
    max_files: int


@dataclass(frozen=True, slots=True)
class HostLimits:
    """When the host is told of."""

    disk_free_bytes: int = 512 * 2**20
    memory_ratio: float = 0.03
    files_ratio: float = 0.8


def judge_host(sample: HostSample, limits: HostLimits) -> tuple[Finding, ...]:
    """What to tell of the host.

    CPUs that are all in use are none of it: an engine on CPUs uses them all. That a replica is
    not let run is seen on the replica itself.
    """
    found = []
    for path, (free, _) in sample.disks.items():
        if free < limits.disk_free_bytes:
            found.append(
                Finding("HostDiskFull", "disk_full", f"{free / 2**20:.0f} MiB free at {path}", True)
            )
            break
    starved = []
    if sample.memory_available < limits.memory_ratio * sample.memory_total:
        starved.append(f"{sample.memory_available / 2**20:.0f} MiB of memory available")
    if sample.open_files > limits.files_ratio * sample.max_files:
        starved.append(f"{sample.open_files} open files of {sample.max_files}")
    if starved:
        found.append(Finding("HostStarved", "host_starved", ", ".join(starved)))
    return tuple(found)
