"""How long a replica takes from nothing to its first answer: cold once, then warm.

Cold is without compiled code (vLLM's, Inductor's and Triton's caches in an empty folder) and with
the model's files put out of the page cache, as after a reboot. Warm is what a restart costs.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.bench.text import Library
from deploy.upgrade.asking import Worker
from deploy.upgrade.shadow import Shadow

COLD, WARM = "cold", "warm"
_LIMIT_S = 3600.0
_PHASE = re.compile(r"^.*: | \d+%$")
"""What stands around the phase in the words of a start: whose it is, and how far."""
_CHARS = 300


@dataclass(frozen=True, slots=True)
class Start:
    """One start; both times from the process's beginning.

    Attributes:
        phases: seconds in each phase of loading, in their order.
    """

    kind: str
    ready_s: float
    first_answer_s: float
    phases: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "ready_s": round(self.ready_s, 3),
            "first_answer_s": round(self.first_answer_s, 3),
            "phases": {name: round(seconds, 3) for name, seconds in self.phases.items()},
        }


@dataclass(frozen=True, slots=True)
class Trial:
    """What is started.

    Attributes:
        folder: scratch; the state directory and the caches of the trial lie in it.
        config: the configuration file; None: defaults.
        environment: of the worker, without what a trial sets.
        weights: the model's folder; None: its files are not put out of the page cache.
        gpu_uuid: the card; None: what the engine takes.
    """

    folder: Path
    config: Path | None
    environment: Mapping[str, str]
    weights: Path | None
    gpu_uuid: str | None = None


def measure(trial: Trial, *, warm: int, tell: Callable[[str], None]) -> Iterator[Start]:
    """A cold start, then `warm` warm ones, each as it ends.

    Raises:
        ShadowError: the worker did not start.
        AskError: it did, and does not answer.
    """
    environment = {**trial.environment, **caches_below(trial.folder / "caches")}
    for number in range(1 + warm):
        if number == 0 and trial.weights is not None:
            forget_pages(trial.weights)
        yield _one(trial, COLD if number == 0 else WARM, environment, tell)


def _one(
    trial: Trial, kind: str, environment: Mapping[str, str], tell: Callable[[str], None]
) -> Start:
    request = Library(seed=1).request(0, documents=1, chars=_CHARS)
    phases: dict[str, float] = {}
    since, current = time.monotonic(), ""

    def seen(phase: str) -> None:
        nonlocal since, current
        now = time.monotonic()
        if current:
            phases[current] = phases.get(current, 0.0) + now - since
        since, current = now, _PHASE.sub("", phase)
        tell(f"{kind}: {current}")

    began = time.monotonic()
    with Shadow(trial.folder, trial.config, environment, trial.gpu_uuid) as shadow:
        manifest = shadow.wait_ready(_LIMIT_S, seen)
        seen("")
        ready_s = time.monotonic() - began
        Worker("start", manifest.url).ask(request.query, request.documents)
        return Start(kind, ready_s, time.monotonic() - began, phases)


def caches_below(folder: Path) -> dict[str, str]:
    """Where compiled code goes: an empty folder makes a start a cold one."""
    names = ("VLLM_CACHE_ROOT", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR")
    return {name: str(folder / name.lower()) for name in names}


def forget_pages(folder: Path) -> None:
    """Ask the kernel to drop the files' pages (posix_fadvise); it need not do it."""
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(descriptor)
