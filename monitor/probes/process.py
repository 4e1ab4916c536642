"""What /proc says of processes and their groups (proc(5)). Reads only; sends no signal."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from monitor.model import Identity
from monitor.window import CpuSample

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class ProcStat:
    """The fields of `/proc/<pid>/stat` that matter here."""

    pid: int
    state: str
    parent: int
    session: int
    cpu_s: float
    started_ticks: int
    resident_bytes: int


def read_stat(pid: int, proc: Path = Path("/proc")) -> ProcStat | None:
    """One process, or None when there is none (any more)."""
    try:
        text = (proc / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # the command in parentheses may hold spaces and parentheses itself
    fields = text.rpartition(")")[2].split()
    return ProcStat(
        pid=pid,
        state=fields[0],
        parent=int(fields[1]),
        session=int(fields[3]),
        cpu_s=(int(fields[11]) + int(fields[12])) / _TICKS_PER_S,
        started_ticks=int(fields[19]),
        resident_bytes=int(fields[21]) * _PAGE_BYTES,
    )


def boot_id(proc: Path = Path("/proc")) -> str:
    """This boot's id; empty where the kernel gives none."""
    try:
        return (proc / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def identify(pid: int) -> Identity | None:
    stat = read_stat(pid)
    return None if stat is None else Identity(pid, stat.started_ticks, boot_id())


def exists(identity: Identity) -> ProcStat | None:
    """The process that the identity names, zombie or not; None when it is gone."""
    if identity.boot_id != boot_id():
        return None
    stat = read_stat(identity.pid)
    return stat if stat is not None and stat.started_ticks == identity.started_ticks else None


def all_stats(proc: Path = Path("/proc")) -> Iterator[ProcStat]:
    for entry in os.scandir(proc):
        if entry.name.isdigit():
            stat = read_stat(int(entry.name), proc)
            if stat is not None:
                yield stat


def group(identity: Identity, marker: bytes = b"") -> list[ProcStat]:
    """The processes of a replica: its session, and who carries its marker in the environment.

    The leader itself is among them, zombies are not. A session id that belongs to a younger
    leader names somebody else's processes, and those are left out.
    """
    if identity.boot_id != boot_id():
        return []
    leader = read_stat(identity.pid)
    reused = leader is not None and leader.started_ticks != identity.started_ticks
    members = []
    for stat in all_stats():
        if stat.state in {"Z", "X"} or stat.started_ticks < identity.started_ticks:
            continue
        in_session = not reused and stat.session == identity.pid
        if in_session or (marker and _carries(stat.pid, marker)):
            members.append(stat)
    return members


def _carries(pid: int, marker: bytes) -> bool:
    try:
        return marker in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False


def cpu_of(members: list[ProcStat]) -> CpuSample:
    """Sums over the members; waiting is the run-queue delay of every thread (schedstat)."""
    return CpuSample(
        running_s=sum(member.cpu_s for member in members),
        waiting_s=sum(_waited_s(member.pid) for member in members),
        blocked=any(member.state == "D" for member in members),
        resident_bytes=sum(member.resident_bytes for member in members),
    )


def _waited_s(pid: int) -> float:
    total_ns = 0
    with contextlib.suppress(OSError):
        for task in os.scandir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError, ValueError, IndexError):
                text = Path(task.path, "schedstat").read_text(encoding="ascii")
                total_ns += int(text.split()[1])
    return total_ns / 1e9
