"""The host itself: directories, ports, disk, memory, limits, clock."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import resource
import shutil
import socket
import tempfile
from pathlib import Path

import psutil

from deploy.config import Config
from deploy.doctor.finding import Finding, fail, ok, warn
from service.serving import bind

GIB = 2**30
_LEAST_DISK = 2 * GIB
_LEAST_MEMORY = 2 * GIB
_LEAST_FILES = 4096
_LEAST_SHM = 1 * GIB
"""vLLM's processes hand batches to each other through /dev/shm; docker's default is 64 MiB."""

_STA_UNSYNC = 0x40
_TIME_ERROR = 5
_LARGEST_CLOCK_ERROR_S = 1.0


def check_host(config: Config) -> list[Finding]:
    """Everything that `up` needs; runs in well under a second and changes nothing."""
    return [
        check_state_dir(config.service.state_dir),
        check_port("gateway port", config.service.host, config.service.port, "service"),
        check_port("watchdog port", config.monitor.host, config.monitor.port, "monitor"),
    ]


def check_state_dir(path: Path) -> Finding:
    """Whether files can be made there; makes the directory."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except FileExistsError:
        fix = "set [service] state_dir (RANKGUARD_SERVICE__STATE_DIR) to a directory"
        return fail("state directory", f"{path} cannot be written: it is a file", fix)
    except OSError as error:
        return fail(
            "state directory",
            f"{path} cannot be written: {error.strerror or error}",
            "make it writable for this user, or set [service] state_dir"
            " (RANKGUARD_SERVICE__STATE_DIR)",
        )
    return ok("state directory", f"{path} can be written")


def check_port(check: str, host: str, port: int, section: str, *, ours: bool = False) -> Finding:
    """Whether the port can be bound now; names who holds it.

    Args:
        ours: a rankguard that already listens there is fine: `doctor` on a host that serves.
    """
    try:
        bind(host, port).close()
    except OSError as error:
        holder = _holder(port) if error.errno == errno.EADDRINUSE else None
        if ours and holder is not None and _is_rankguard(holder):
            return ok(check, f"{host}:{port} is held by rankguard itself (pid {holder.pid})")
        held = f" by {holder.name()} (pid {holder.pid})" if holder else ""
        return fail(
            check,
            f"{host}:{port} cannot be bound: {error.strerror}{held}",
            _port_fix(error, section),
        )
    return ok(check, f"{host}:{port} is free")


def _port_fix(error: OSError, section: str) -> str:
    variable = f"RANKGUARD_{section.upper()}__"
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return f"set [{section}] host ({variable}HOST) to an address of this host, no brackets"
    if error.errno == errno.EACCES:
        return f"set [{section}] port ({variable}PORT) to 1024 or more: lower ones are root's"
    return f"stop what holds it, or set [{section}] port ({variable}PORT)"


def _holder(port: int) -> psutil.Process | None:
    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            if connection.status != psutil.CONN_LISTEN or not connection.laddr:
                continue
            if connection.laddr.port == port and connection.pid:
                return psutil.Process(connection.pid)
    return None


def _is_rankguard(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        words = process.cmdline()[:4]
        return any(Path(word).name == "rankguard" for word in words) or "deploy" in words
    return False


def check_disk(check: str, path: Path, *, needed_bytes: int = _LEAST_DISK) -> Finding:
    """Free space where `path` is or will be."""
    existing = next(parent for parent in (path, *path.parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    if free < needed_bytes:
        return warn(
            check,
            f"{free / GIB:.1f} GiB free at {existing}, {needed_bytes / GIB:.0f} GiB are wanted",
            "free some space; a full disk stops the journal and the logs",
        )
    return ok(check, f"{free / GIB:.0f} GiB free at {existing}")


def check_memory(*, needed_bytes: int = _LEAST_MEMORY) -> Finding:
    """Memory that a new process could have now."""
    free = psutil.virtual_memory().available
    if free < needed_bytes:
        return warn(
            "memory",
            f"{free / GIB:.1f} GiB available",
            "stop something; a replica of the embedded engine needs about 0.5 GiB",
        )
    return ok("memory", f"{free / GIB:.0f} GiB available")


def check_files(limits: tuple[int, int] | None = None) -> Finding:
    """Open files: every client is one, and every request to a replica is one more.

    The gateway raises its own limit to the hard one.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE) if limits is None else limits
    if hard == resource.RLIM_INFINITY:
        return ok("open files", "no limit")
    if hard < _LEAST_FILES:
        return warn(
            "open files",
            f"hard limit {hard}",
            "ulimit -Hn 65536 as root, or LimitNOFILE=65536 in the unit",
        )
    return ok("open files", f"limit {hard}")


def check_shared_memory(folder: Path = Path("/dev/shm")) -> Finding:  # noqa: S108
    """Size of the shared memory, for vLLM."""
    try:
        total = shutil.disk_usage(folder).total
    except OSError as error:
        return fail("shared memory", f"{folder}: {error.strerror}", "mount a tmpfs there")
    if total < _LEAST_SHM:
        return warn(
            "shared memory",
            f"{folder} is {total / 2**20:.0f} MiB",
            "docker run --shm-size=2g; on a host: mount -o remount,size=2G /dev/shm",
        )
    return ok("shared memory", f"{folder} is {total / GIB:.0f} GiB")


class _Timex(ctypes.Structure):
    """The beginning of `struct timex` (adjtimex(2)) on 64-bit Linux; the kernel fills 208 bytes."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_char * 256),
    )


def read_clock() -> tuple[bool, float] | None:
    """Is the kernel's clock disciplined, and its largest error in seconds; None: unknown."""
    timex = _Timex()  # modes 0: only read
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(timex))
    except (OSError, AttributeError):
        return None
    if state < 0:
        return None
    synchronized = state != _TIME_ERROR and not timex.status & _STA_UNSYNC
    return synchronized, timex.maxerror / 1e6


def check_clock(reading: tuple[bool, float] | None) -> Finding:
    """Clocks of hosts are compared: heartbeats by Prometheus, signatures by receivers."""
    fix = "enable chrony or systemd-timesyncd: timedatectl set-ntp true"
    if reading is None:
        return warn("clock", "the kernel does not say whether it is synchronized", fix)
    synchronized, error_s = reading
    if not synchronized:
        return warn("clock", "not synchronized", fix)
    if error_s > _LARGEST_CLOCK_ERROR_S:
        return warn("clock", f"may be wrong by {error_s:.1f} s", fix)
    return ok("clock", f"synchronized, within {error_s * 1000:.0f} ms")


def check_kernel_log(path: Path = Path("/dev/kmsg")) -> Finding:
    """The kernel's log: the only source of XIDs that NVML does not report (79, 119, 120)."""
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
    except OSError as error:
        return warn(
            "kernel log",
            f"{path}: {error.strerror}; XID 79, 119 and 120 are only seen there",
            "AmbientCapabilities=CAP_SYSLOG in the unit (the rendered one has it);"
            " docker run --device /dev/kmsg:/dev/kmsg:r --cap-add SYSLOG",
        )
    return ok("kernel log", f"{path} can be read")
