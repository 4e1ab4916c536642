"""Where the time goes: CPU of each process under one load, steps of the engine, the card's load."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

import psutil
import requests
from typing_extensions import Self

from deploy.bench.bare import sides
from deploy.gpu import loads
from deploy.gpu.card import open_collector
from deploy.gpu.loads import Bench
from deploy.gpu.part import Cells, Part, Skip, State, Value
from monitor.gpu import Field

NAME = "where"
_PROFILE_S = 5
_TOP = 8


def run(bench: Bench, folder: Path) -> Part:
    """One load on our side, watched.

    Raises:
        Failed: it does not start, or a request failed.
    """
    server = bench.ground.ours()
    shape = bench.grid.middle
    worker_url = server.manifest().url
    before, steps = _cpu_by_role(server.pids), _steps(worker_url)
    with _Card() as card, _Profile(server.pids, folder) as profile:
        began = time.monotonic()
        runs = bench.play([sides.OURS], [shape])[shape][sides.OURS]
        lasted = time.monotonic() - began
    after, steps_after = _cpu_by_role(server.pids), _steps(worker_url)
    rows = [loads.row(sides.OURS, shape, runs)]
    documents = sum(run.summary.requests for run in runs) * shape[1]
    numbers: dict[str, Value] = {
        f"{role}_cpu_ms_per_doc": round(1000 * (after[role] - before.get(role, 0.0)) / documents, 3)
        for role in after
        if documents
    }
    done = steps_after - steps
    numbers |= {
        "documents": documents,
        "engine_steps": done,
        "documents_per_step": round(documents / done, 2) if done else None,
        "seconds": round(lasted, 2),
        "card_utilization": card.mean,
    }
    loads.no_failures(rows, numbers)
    tables: dict[str, Sequence[Cells]] = {"loads": rows, "profile": profile.rows}
    return Part(NAME, State.PASSED, profile.why, numbers, tables)


def _cpu_by_role(pids: Sequence[int]) -> dict[str, float]:
    """Seconds so far: the gateway is started first, the workers after it."""
    found: defaultdict[str, float] = defaultdict(float)
    for place, pid in enumerate(pids):
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(pid)
            found["front_end" if place else "gateway"] += _seconds(process)
            for child in process.children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    is_engine = "EngineCore" in " ".join(child.cmdline()) or _below_engine(child)
                    found["engine" if is_engine else "helpers"] += _seconds(child)
    return dict(found)


def _below_engine(process: psutil.Process) -> bool:
    return any("EngineCore" in " ".join(parent.cmdline()) for parent in process.parents())


def _seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _steps(worker_url: str) -> int:
    with contextlib.suppress(requests.RequestException, ValueError, KeyError):
        return int(requests.get(f"{worker_url}/progress", timeout=10).json()["steps"])
    return 0


class _Card:
    """The mean utilization of the cards while it is open; None where there is none."""

    def __init__(self) -> None:
        self._over = threading.Event()
        self._seen: list[float] = []
        self._thread: threading.Thread | None = None

    @property
    def mean(self) -> float | None:
        return round(sum(self._seen) / len(self._seen), 3) if self._seen else None

    def __enter__(self) -> Self:
        with contextlib.suppress(Skip):
            collector, _ = open_collector()

            def look() -> None:
                while not self._over.wait(0.2):
                    values = [card.number(Field.UTILIZATION) for card in collector.read().cards]
                    self._seen.append(max((value for value in values if value), default=0.0))
                collector.close()

            self._thread = threading.Thread(target=look, daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join(10)


class _Profile:
    """`py-spy` on every process of the side, where it is installed."""

    def __init__(self, pids: Sequence[int], folder: Path) -> None:
        self._files = [folder / f"profile-{pid}.txt" for pid in pids]
        self._pids = pids
        self._tool = shutil.which("py-spy", path=str(Path(sys.executable).parent)) or shutil.which(
            "py-spy"
        )
        self._running: list[subprocess.Popen[bytes]] = []
        self.rows: list[Cells] = []
        self.why = "" if self._tool else "no py-spy here: CPU by process alone"

    def __enter__(self) -> Self:
        folder = self._files[0].parent if self._files else None
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
        for pid, file in zip(self._pids, self._files, strict=True):
            if self._tool:
                command = [self._tool, "record", "--pid", str(pid), "--subprocesses"]
                command += ["--nonblocking", "--duration", str(_PROFILE_S), "--format", "raw"]
                self._running.append(
                    subprocess.Popen(
                        [*command, "--output", str(file)],
                        stdout=subprocess.DEVNULL,
                        stderr=subprocess.DEVNULL,
                    )
                )
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._running:
            try:
                process.wait(4 * _PROFILE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(5)
        for place, file in enumerate(self._files):
            if file.is_file():
                name = "worker" if place else "gateway"
                self.rows += hottest(name, file.read_text(encoding="utf-8", errors="replace"))


def hottest(process: str, raw: str) -> list[Cells]:
    """The functions that were at the top of the stack most often, from py-spy's raw format."""
    leaves: Counter[str] = Counter()
    for line in raw.splitlines():
        stack, _, count = line.rpartition(" ")
        if count.isdigit() and stack:
            leaves[stack.rpartition(";")[2]] += int(count)
    total = sum(leaves.values())
    return [
        {"process": process, "function": name, "share": round(count / total, 3)}
        for name, count in leaves.most_common(_TOP)
    ]
