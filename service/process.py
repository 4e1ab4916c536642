"""What names a process for good: a pid is used again, a pid with its start time is not."""

from __future__ import annotations

from pathlib import Path


def boot_id() -> str:
    """This boot's id, from `/proc/sys/kernel/random/boot_id`; empty where there is none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def started_ticks(pid: int) -> int | None:
    """Field 22 of `/proc/<pid>/stat`, clock ticks since boot (proc(5)); None: no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # the command in parentheses may hold spaces and parentheses itself
    return int(stat.rpartition(")")[2].split()[19])
