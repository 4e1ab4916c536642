"""Starting the sides as processes of their own, waiting until they answer, and ending them."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import requests

from deploy.bench.bare import sides
from service.manifest import Manifest, read_manifest, replicas_dir

START_S = 400.0
"""A cold compile takes vLLM 106 s on two idle cores."""

_STOP_S = 15.0
_POLL_S = 0.25
_TAIL_LINES = 15


class StartFailed(Exception):
    """A side ended or did not answer in time; holds the end of its log."""


@dataclass(slots=True)
class Server:
    """One side: its processes, and where it answers.

    Attributes:
        ready_path: answers 200 once the side takes requests.
        logs: one file for each process, in the same order.
        state_dir: of our own stack.
    """

    name: str
    port: int
    ready_path: str
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    logs: list[Path] = field(default_factory=list)
    state_dir: Path | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pids(self) -> tuple[int, ...]:
        return tuple(process.pid for process in self.processes)

    def start(self, command: Sequence[str], log: Path) -> None:
        """Start one of its processes."""
        with log.open("ab") as output:
            self.processes.append(
                subprocess.Popen(
                    [sys.executable, "-m", "deploy.bench.bare.child", str(os.getpid()), *command],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                    env={**os.environ, **sides.ENVIRONMENT},
                )
            )
        self.logs.append(log)

    def wait_ready(self, limit_s: float, *, sleep: Callable[[float], None] = time.sleep) -> None:
        """Wait until it answers.

        Raises:
            StartFailed: a process ended, or the limit passed.
        """
        deadline = time.monotonic() + limit_s
        while not self._is_ready():
            for process, log in zip(self.processes, self.logs, strict=True):
                if process.poll() is not None:
                    raise StartFailed(f"{self.name} ended with {process.returncode}:\n{_tail(log)}")
            if time.monotonic() >= deadline:
                ends = "\n".join(map(_tail, self.logs))
                raise StartFailed(f"{self.name}: not ready within {limit_s:g} s:\n{ends}")
            sleep(_POLL_S)

    def _is_ready(self) -> bool:
        with contextlib.suppress(requests.RequestException):
            return requests.get(self.url + self.ready_path, timeout=2).status_code == 200
        return False

    def manifest(self) -> Manifest:
        """Of our worker; it is there once the side is ready."""
        assert self.state_dir is not None, "only our own stack has one"
        manifest = read_manifest(replicas_dir(self.state_dir) / "replica-0.json")
        assert manifest is not None, "the side is not ready"
        return manifest

    def stop(self) -> None:
        """End its processes and whatever they started."""
        for process in self.processes:
            process.terminate()
        deadline = time.monotonic() + _STOP_S
        for process in self.processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, deadline - time.monotonic()))
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(_STOP_S)


def start_bare(
    name: str, python: str, engine: sides.Engine, folder: Path, *, same_settings: bool
) -> Server:
    """Start a bare vLLM server; it is not ready yet."""
    server = Server(name, free_port(), "/health")
    template = Path(__file__).with_name("qwen3_reranker.jinja")
    command = sides.bare_command(
        python, engine, port=server.port, template=template, same_settings=same_settings
    )
    server.start(command, folder / f"{name}.log")
    return server


def start_ours(name: str, python: str, engine: sides.Engine | None, folder: Path) -> Server:
    """Start a gateway with one worker; they are not ready yet."""
    server = Server(name, free_port(), "/readyz", state_dir=folder / f"{name}-state")
    config = folder / f"{name}.toml"
    assert server.state_dir is not None
    config.write_text(
        sides.our_config(engine, port=server.port, state_dir=server.state_dir), encoding="utf-8"
    )
    for part, command in sides.our_commands(python, config).items():
        server.start(command, folder / f"{name}-{part}.log")
    return server


def free_port() -> int:
    """A port of loopback that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _tail(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(lines[-_TAIL_LINES:])
