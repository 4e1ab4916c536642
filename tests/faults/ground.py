"""A running stack with what a fault may need beside it: a driver, a kernel log, a clock."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import requests

from service.manifest import Manifest
from tests.e2e.stack import Stack, Webhook, stack
from tests.faults.cards import Cards, number
from tests.faults.kernel_log import KernelLog
from tests.faults.wall_clock import WallClock
from tests.waiting import until

PATIENT = (
    # faults that share a stack must not use up each other's budget, nor lengthen its pauses, nor
    # look like one alert that flaps
    ("MONITOR__RESTART_BUDGET", "100"),
    ("MONITOR__BACKOFF_S", "0"),
    ("ALERTS__FLAP__WINDOW_S", "1"),
)
_NVIDIA_SMI = '#!/bin/sh\necho "$@" >> "{asked}"\nexit 1\n'


@dataclass(frozen=True, slots=True)
class Layout:
    """The stack that a fault needs; faults in a row with the same one share it.

    Attributes:
        cards: of the fake driver; 0: a host without one.
        settings: environment of all processes, without the prefix RANKGUARD_.
        clock: its wall clock can be set. disk: its state directory is a small disk of its own.
        python: what runs it. start_s: how long it may take to be ready.
    """

    replicas: int = 2
    cards: int = 0
    engine: str = "scripted"
    document_s: float = 0.004
    load_s: float = 0.5
    canary_s: float = 2.0
    settings: tuple[tuple[str, str], ...] = ()
    clock: bool = False
    disk: bool = False
    python: str = ""
    start_s: float = 90.0


@dataclass
class Ground:
    """A stack that runs, and how to reach what stands around it.

    Attributes:
        strangers: processes that a fault started beside it. closing: what ends them.
        figures: what a fault measures beside the usual times.
        refused: how the receiver refused messages. answers: to what a fault itself asked.
        scarred: cards that earlier faults hurt; what is told of them later is no news.
    """

    stack: Stack
    layout: Layout
    cards: Cards | None = None
    kernel: KernelLog | None = None
    clock: WallClock | None = None
    strangers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    answers: list[requests.Response] = field(default_factory=list)
    scarred: set[str] = field(default_factory=set)
    closing: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    @property
    def webhook(self) -> Webhook:
        assert self.stack.webhook is not None
        return self.stack.webhook

    @property
    def driver(self) -> Cards:
        assert self.cards is not None
        return self.cards

    @property
    def kmsg(self) -> KernelLog:
        assert self.kernel is not None
        return self.kernel

    def replica(self, name: str = "replica-0") -> Manifest:
        manifest = self.stack.manifest(name)
        assert manifest is not None, f"{name} has no manifest"
        return manifest

    def card(self, name: str = "replica-0") -> int:
        """The fake card that a replica runs on."""
        return number(self.replica(name).gpu_uuid)

    def kill(self, name: str = "replica-0") -> None:
        os.kill(self.replica(name).pid, signal.SIGKILL)

    def watch(self) -> None:
        """Start the watchdog; it adopts what runs."""
        self.stack.start("watchdog", "watch")

    def stop_watchdog(self, limit_s: float = 20.0) -> float:
        """Ask it to end, as systemd does; the seconds that it took."""
        began = time.monotonic()
        self.stack.processes["watchdog"].terminate()
        code = self.stack.processes["watchdog"].wait(limit_s)
        assert code == 0, f"the watchdog ended with {code}"
        return round(time.monotonic() - began, 3)

    def kill_watchdog(self) -> None:
        self.stack.processes["watchdog"].kill()
        self.stack.processes["watchdog"].wait(5)

    def metrics(self) -> str:
        return requests.get(f"{self.stack.watchdog_url}/metrics", timeout=10).text

    def status(self) -> dict:
        """`/status`; with nothing in it while there is no watchdog, or none that has looked."""
        nothing = {"incidents": [], "replicas": [], "gpus": []}
        try:
            return {**nothing, **self.stack.status()}
        except requests.RequestException:
            return nothing

    def resets_asked(self) -> list[str]:
        """What was asked of nvidia-smi."""
        path = self.stack.folder / "nvidia-smi.asked"
        return path.read_text().splitlines() if path.exists() else []

    def watchdog_mb(self) -> float:
        """Its memory; 0 while there is none."""
        try:
            return psutil.Process(self.stack.processes["watchdog"].pid).memory_info().rss / 1e6
        except psutil.Error:
            return 0.0

    def take_back(self) -> None:
        """Undo whatever a fault did to engines, cards, clock and receiver."""
        self.closing.close()
        self.strangers.clear()
        self.refused.clear()
        self.answers.clear()
        self.stack.script()
        if self.cards is not None:
            self.cards.heal()
        if self.clock is not None:
            self.clock.set_by(0.0)
        self.webhook.refuse = lambda _: False
        self.webhook.fail = 0


@contextlib.contextmanager
def ground(layout: Layout) -> Iterator[Ground]:
    """A stack of this layout that is ready."""
    with tempfile.TemporaryDirectory(prefix="faults-") as name, contextlib.ExitStack() as held:
        folder = Path(name)
        environment = {f"RANKGUARD_{key}": value for key, value in layout.settings}
        cards = kernel = clock = None
        if layout.engine == "vllm":
            environment["HF_HUB_OFFLINE"] = "1"
        if layout.cards:
            cards = Cards(folder, layout.cards)
            kernel = KernelLog(folder / "kmsg")
            held.callback(kernel.close)
            environment |= cards.environment | _no_resets(folder)
            environment["RANKGUARD_MONITOR__KERNEL_LOG"] = str(kernel.path)
        if layout.clock:
            clock = WallClock(folder)
            environment |= clock.environment
        if layout.disk:
            _mount(folder / "state")
            held.callback(_unmount, folder / "state")
        options = {} if not layout.python else {"python": layout.python}
        running = held.enter_context(
            stack(
                folder,
                replicas=layout.replicas,
                engine=layout.engine,
                document_s=layout.document_s,
                load_s=layout.load_s,
                canary_s=layout.canary_s,
                gpus="nvml" if layout.cards else "none",
                environment=environment,
                **options,
            )
        )
        made = Ground(running, layout, cards, kernel, clock)
        held.enter_context(made.closing)
        made.watch()
        running.start("gateway", "serve")
        try:
            running.wait_ready(layout.replicas, limit_s=layout.start_s)
        except AssertionError as error:
            raise AssertionError(f"{error}; {_last_words(running)}") from error
        yield made


def _last_words(running: Stack) -> str:
    """The ends of all logs: the folder does not outlive the failure."""
    logs = [*running.folder.glob("*.log"), *running.state_dir.glob("logs/*/*.log")]
    return "\n".join(f"{path.name}: {path.read_text(errors='replace')[-600:]}" for path in logs)


def _no_resets(folder: Path) -> dict[str, str]:
    """An nvidia-smi that writes down what it was asked."""
    tools = folder / "bin"
    tools.mkdir()
    tool = tools / "nvidia-smi"
    tool.write_text(_NVIDIA_SMI.format(asked=folder / "nvidia-smi.asked"))
    tool.chmod(0o755)
    return {"PATH": f"{tools}:{os.environ['PATH']}"}


def _mount(path: Path) -> None:
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600m", "tmpfs", str(path)], check=True)


def _unmount(path: Path) -> None:
    subprocess.run(["umount", "-l", str(path)], check=False)


def wait_for_watchdog(on: Ground) -> None:
    """Until it answers and has looked at its replicas."""
    until("the watchdog is back", lambda: on.stack.routable() == on.layout.replicas, 30)
