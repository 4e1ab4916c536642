"""What must be right on this host before anything starts; each finding says how to mend it."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import psutil

from deploy.config import Config
from service.serving import bind
from service.worker.select import has_usable_gpu, resolve_kind

_GIB = 2**30


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's result."""

    class Level(str, Enum):
        """How bad: a fail keeps the service from starting."""

        OK = "ok"
        WARN = "warn"
        FAIL = "fail"

    check: str
    level: Finding.Level
    message: str
    fix: str = ""


def _ok(check: str, message: str) -> Finding:
    return Finding(check, Finding.Level.OK, message)


def check_host(config: Config) -> list[Finding]:
    """Everything that `up` needs; runs in well under a second and changes nothing."""
    state = check_state_dir(config.service.state_dir)
    ports = [
        check_port("gateway port", config.service.host, config.service.port, "service"),
        check_port("watchdog port", "127.0.0.1", config.monitor.port, "monitor"),
    ]
    return [state, *ports]


def check_state_dir(path: Path) -> Finding:
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        return Finding(
            "state directory",
            Finding.Level.FAIL,
            f"{path} cannot be written: {error.strerror or error}",
            "make it writable for this user, or set [service] state_dir"
            " (RANKGUARD_SERVICE__STATE_DIR)",
        )
    return _ok("state directory", f"{path} can be written")


def check_port(check: str, host: str, port: int, section: str) -> Finding:
    """Whether the port can be bound now; names who holds it."""
    try:
        bind(host, port).close()
    except OSError as error:
        holder = _holder(port)
        held = f" by {holder}" if holder else ""
        return Finding(
            check,
            Finding.Level.FAIL,
            f"{host}:{port} cannot be bound: {error.strerror}{held}",
            f"stop what holds it, or set [{section}] port (RANKGUARD_{section.upper()}__PORT)",
        )
    return _ok(check, f"{host}:{port} is free")


def _holder(port: int) -> str:
    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            listens = connection.status == psutil.CONN_LISTEN
            if listens and connection.pid and getattr(connection.laddr, "port", None) == port:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    return ""


def check_engine(config: Config) -> Finding:
    """Which engine would run, and whether what it needs is there."""
    kind, why = resolve_kind(config.engine)
    if kind == "embedded" and config.engine.kind == "auto":
        level = Finding.Level.WARN if has_usable_gpu() else Finding.Level.OK
        return Finding(
            "engine",
            level,
            f"embedded, {why}",
            "pip install 'rankguard[vllm]'" if has_usable_gpu() else "",
        )
    if kind == "vllm":
        return _check_model(config.engine.model)
    return _ok("engine", f"{kind}, {why}")


def _check_model(model: str) -> Finding:
    folder = Path(model).expanduser()
    if folder.is_dir():
        if (folder / "config.json").is_file():
            return _ok("model", f"{folder} has a config.json")
        return Finding(
            "model",
            Finding.Level.FAIL,
            f"{folder} has no config.json",
            "copy the whole model folder: config.json, tokenizer files, *.safetensors",
        )
    if model.startswith(("/", ".", "~")):
        return Finding(
            "model", Finding.Level.FAIL, f"{folder} is not a folder", "set [engine] model"
        )
    offline = os.environ.get("HF_HUB_OFFLINE") == "1"
    level = Finding.Level.WARN if offline else Finding.Level.OK
    fix = "set [engine] model to a local folder" if offline else ""
    return Finding("model", level, f"{model} comes from the hub or its cache", fix)


def check_disk(path: Path, *, needed_bytes: int = 2 * _GIB) -> Finding:
    existing = next(parent for parent in (path, *path.parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    if free < needed_bytes:
        return Finding(
            "disk",
            Finding.Level.WARN,
            f"{free / _GIB:.1f} GiB free at {existing}",
            "free some space: logs and incidents are kept there",
        )
    return _ok("disk", f"{free / _GIB:.0f} GiB free at {existing}")


def check_memory(*, needed_bytes: int = 2 * _GIB) -> Finding:
    free = psutil.virtual_memory().available
    if free < needed_bytes:
        return Finding(
            "memory",
            Finding.Level.WARN,
            f"{free / _GIB:.1f} GiB available",
            "a replica of the embedded engine needs about 0.5 GiB",
        )
    return _ok("memory", f"{free / _GIB:.0f} GiB available")


def check_files() -> Finding:
    """Open files: every client is one, and every request to a replica is one more."""
    import resource  # noqa: PLC0415 - Unix only, and only here

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 4096:
        return Finding(
            "open files",
            Finding.Level.WARN,
            f"limit {soft} (hard limit {hard})",
            "ulimit -n 65536, or LimitNOFILE=65536 in the unit",
        )
    return _ok("open files", f"limit {soft}")


def check_gpu(config: Config) -> Finding:
    if config.monitor.gpus == "none" or has_usable_gpu():
        return _ok("gpu", "the driver shows a card" if has_usable_gpu() else "not wanted")
    if config.engine.kind == "vllm":
        return Finding(
            "gpu",
            Finding.Level.WARN,
            "the NVIDIA driver shows no card",
            'install the driver, or let [engine] kind = "auto" choose the embedded engine',
        )
    return _ok("gpu", "none; the embedded engine needs none")


def examine(config: Config) -> list[Finding]:
    """All checks of `rankguard doctor`."""
    return [
        *check_host(config),
        check_engine(config),
        check_gpu(config),
        check_disk(config.service.state_dir),
        check_memory(),
        check_files(),
    ]
