"""What the benchmark runs on: our stack and a bare vLLM server, started when they are wanted."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deploy.bench.bare import server, sides
from deploy.bench.bare.server import Server, StartFailed, free_port
from deploy.bench.versus import Side
from deploy.evaluate.dialect import DIALECTS
from deploy.evaluate.endpoint import Target
from deploy.gpu.part import Failed

START_S = 600.0

Arguments = Mapping[str, str | int | float | bool]
"""Of vLLM's engine, by the names of its Python interface."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What all sides have in common.

    Attributes:
        python: interpreter that has vLLM.
        card_bytes: memory of the card; 0 on the CPU.
        eager: no compilation: starts in seconds, for a trial.
    """

    python: str
    engine: sides.Engine
    folder: Path
    card_bytes: float = 0.0
    eager: bool = False

    def arguments(self, share: float) -> dict[str, str | int | float | bool]:
        """What both sides are told beside `sides`: how much of the card, and whether to compile.

        Args:
            share: of the card's memory that one engine may have.
        """
        found: dict[str, str | int | float | bool] = {}
        if not self.engine.on_cpu:
            found["gpu_memory_utilization"] = round(share, 2)
        if self.eager:
            found["enforce_eager"] = True
        return found

    def sized(self, share: float) -> sides.Engine:
        """The engine with half of its share of the card for the cache; on the CPU as it is."""
        if self.engine.on_cpu:
            return self.engine
        cache = int(self.card_bytes * share / 2)
        return sides.Engine(self.engine.model, self.engine.on_cpu, self.engine.max_model_len, cache)


def own_text(engine: sides.Engine, more: Arguments, *, port: int, state_dir: Path) -> str:
    """`rankguard.toml` of our side with further engine arguments."""
    text = sides.our_config(engine, port=port, state_dir=state_dir)
    # its last section is [engine.vllm]
    return text + "".join(f"{name} = {json.dumps(value)}\n" for name, value in more.items())


def flags(more: Arguments) -> list[str]:
    """The same for vLLM's command line."""
    found = []
    for name, value in more.items():
        flag = f"--{name.replace('_', '-')}"
        found += [flag] if value is True else [flag, str(value)]
    return found


@dataclass(slots=True)
class Ground:
    """Owns the servers; a side that is up is used again, until somebody ends it."""

    machine: Machine
    share: float = 0.4
    _servers: dict[str, Server] = field(default_factory=dict)
    _began: dict[str, float] = field(default_factory=dict)
    _started_s: dict[str, float] = field(default_factory=dict)

    def ours(
        self, name: str = sides.OURS, *, replicas: int = 1, more: Arguments | None = None
    ) -> Server:
        """Our gateway with workers, ready; `more` are further engine arguments.

        Raises:
            Failed: it did not start.
        """
        self.begin(name, replicas=replicas, more=more)
        return self._ready(name)

    def bare(self) -> Server:
        """A bare vLLM server with its own defaults, ready.

        Raises:
            Failed: it did not start.
        """
        self.begin(sides.BARE)
        return self._ready(sides.BARE)

    def begin(self, name: str, *, replicas: int = 1, more: Arguments | None = None) -> None:
        """Start a side without waiting; one that was begun is left as it is."""
        if name in self._servers:
            return
        self._began[name] = time.monotonic()
        if name == sides.BARE:
            self._servers[name] = self._start_bare()
        else:
            self._servers[name] = self._start_ours(name, replicas, more or {})

    def began(self, name: str) -> float:
        """Seconds that the side took from its start until it answered."""
        return self._started_s[name]

    def stop(self, *names: str) -> None:
        for name in names:
            found = self._servers.pop(name, None)
            self._started_s.pop(name, None)
            if found is not None:
                found.stop()

    def close(self) -> None:
        self.stop(*list(self._servers))

    def side(self, name: str) -> Side:
        return Side(self.target(name), self._servers[name].pids)

    def target(self, name: str) -> Target:
        url = self._servers[name].url
        return Target(name, url, DIALECTS["vllm"], timeout_s=sides.REQUEST_S)

    def _ready(self, name: str) -> Server:
        found = self._servers[name]
        if name in self._started_s:
            return found
        try:
            found.wait_ready(START_S)
        except StartFailed as error:
            self.stop(name)
            raise Failed(str(error)) from error
        self._started_s[name] = time.monotonic() - self._began[name]
        return found

    def _start_ours(self, name: str, replicas: int, more: Arguments) -> Server:
        machine = self.machine
        share = self.share if replicas == 1 else 2 * self.share / replicas
        folder = machine.folder / f"{name}-{time.monotonic_ns()}"
        folder.mkdir(parents=True)
        made = Server(name, free_port(), "/readyz", state_dir=folder / "state")
        assert made.state_dir is not None
        config = folder / "rankguard.toml"
        text = own_text(
            machine.sized(share),
            {**machine.arguments(share), **more},
            port=made.port,
            state_dir=made.state_dir,
        )
        config.write_text(text, encoding="utf-8")
        commands = sides.our_commands(machine.python, config)
        made.start(commands["gateway"], folder / "gateway.log")
        for number in range(replicas):
            worker = [*commands["worker"], "--id", f"replica-{number}"]
            made.start(worker, folder / f"worker-{number}.log")
        return made

    def _start_bare(self) -> Server:
        machine = self.machine
        folder = machine.folder / f"bare-{time.monotonic_ns()}"
        folder.mkdir(parents=True)
        made = Server(sides.BARE, free_port(), "/health")
        command = sides.bare_command(
            machine.python,
            machine.sized(self.share),
            port=made.port,
            template=Path(server.__file__).with_name("qwen3_reranker.jinja"),
            same_settings=False,
        )
        command += flags(machine.arguments(self.share))
        made.start(command, folder / "bare.log")
        return made


@contextlib.contextmanager
def environment(**values: str) -> Iterator[None]:
    """Set for processes that are started meanwhile, and put back."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
