"""`rankguard up` as a process, on free ports and a state directory of its own."""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import requests

from deploy.bench.bare.server import Server, StartFailed, free_port
from deploy.gpu.part import Failed
from monitor.journal import JournalError, read_incidents
from service.manifest import Manifest, WorkerState, read_manifests

_STOP_S = 60.0
_QUERY = "how do I reset my password"
_DOCUMENTS = ("open the settings and choose reset password", "the ferry leaves at nine")


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to run.

    Attributes:
        python: interpreter with what the engine needs.
        engine: vllm or scripted.
        model: a folder; not used by scripted.
        vllm: arguments for `[engine.vllm]`.
        gpus: `[monitor] gpus`.
    """

    python: str
    engine: str
    folder: Path
    model: str = ""
    replicas: int = 1
    max_model_len: int = 2048
    gpus: str = "nvml"
    vllm: Mapping[str, str | int | float | bool] = field(default_factory=dict)


def config_text(plan: Plan, *, port: int, monitor_port: int) -> str:
    """The `rankguard.toml` of it: waits long, and a canary that random weights can pass."""
    lines = [
        "[service]",
        f"port = {port}",
        f"state_dir = {json.dumps(str(plan.folder / 'state'))}",
        "request_timeout_s = 600",
        "drain_timeout_s = 5",
        "[engine]",
        f"kind = {json.dumps(plan.engine)}",
        f"model = {json.dumps(plan.model or 'none')}",
        f"max_model_len = {plan.max_model_len}",
        'self_check = "warn"',  # random weights know nothing of Paris
        "[engine.vllm]",
        *(f"{name} = {json.dumps(value)}" for name, value in plan.vllm.items()),
        "[engine.scripted]",
        "document_s = 0.002",
        "load_s = 0.2",
        "[monitor]",
        f"port = {monitor_port}",
        f"replicas = {plan.replicas}",
        f"gpus = {json.dumps(plan.gpus)}",
        'canary = "baseline"',
        "canary_s = 5",
    ]
    return "\n".join([*lines, ""])


@dataclass(slots=True)
class Stack:
    """The running stack."""

    plan: Plan
    server: Server
    started_s: float = 0.0

    @property
    def state_dir(self) -> Path:
        return self.plan.folder / "state"

    def manifests(self) -> list[Manifest]:
        return read_manifests(self.state_dir)

    def incidents(self) -> list[dict[str, Any]]:
        with contextlib.suppress(JournalError):
            return list(read_incidents(self.state_dir / "journal.db"))
        return []

    def ready(self) -> Manifest:
        """The first replica that is ready."""
        for manifest in self.manifests():
            if manifest.state is WorkerState.READY:
                return manifest
        raise Failed("no replica is ready")

    def rerank(self, number: int, limit_s: float = 600.0) -> bool:
        """One small request that no cache knows; whether it was answered."""
        body = {"query": f"{_QUERY} {time.monotonic_ns()} {number}", "documents": _DOCUMENTS}
        with contextlib.suppress(requests.RequestException):
            url = f"{self.server.url}/v1/rerank"
            return requests.post(url, json=body, timeout=limit_s).ok
        return False

    def watchdog(self) -> list[psutil.Process]:
        """The watchdog and its reader processes, without the replicas that it started."""
        replicas = {manifest.pid for manifest in self.manifests()}
        for child in psutil.Process(self.server.pids[0]).children():
            if "watch" in child.cmdline():
                readers = [one for one in child.children() if one.pid not in replicas]
                return [child, *(one for one in readers if _is_reader(one))]
        raise Failed("the watchdog does not run")


def _is_reader(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return any("nvml_child" in word for word in process.cmdline())
    return False


@contextlib.contextmanager
def running(plan: Plan, limit_s: float) -> Iterator[Stack]:
    """Start it, wait until it answers; ended again whatever happens.

    Raises:
        Failed: it did not come up; holds the end of its log.
    """
    plan.folder.mkdir(parents=True, exist_ok=True)
    server = Server("up", free_port(), "/readyz", state_dir=plan.folder / "state")
    config = plan.folder / "rankguard.toml"
    config.write_text(
        config_text(plan, port=server.port, monitor_port=free_port()), encoding="utf-8"
    )
    stack = Stack(plan, server)
    try:
        began = time.monotonic()
        command = [plan.python, "-m", "deploy", "up", "--config", str(config)]
        server.start(command, plan.folder / "up.log")
        try:
            server.wait_ready(limit_s)
        except StartFailed as error:
            raise Failed(str(error)) from error
        stack.started_s = time.monotonic() - began
        yield stack
    finally:
        _stop(server)


def _stop(server: Server) -> None:
    """In order first, since `up` ends its replicas; by force when that takes too long."""
    for process in server.processes:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_S)
    server.stop()


class Traffic:
    """One client that asks again and again until it is told to stop."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._over = threading.Event()
        self.sent = 0
        self.failed = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._over.is_set():
            self.sent += 1
            self.failed += not self._stack.rerank(self.sent)

    def stop(self, limit_s: float = 120.0) -> None:
        self._over.set()
        self._thread.join(limit_s)
