"""The faults that can be injected from outside, and the watching of what follows."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

import psutil

from service.manifest import Manifest, WorkerState
from service.process import boot_id, started_ticks

POLL_S = 0.05


class Fault(str, Enum):
    """What can be done to one replica, to the host or to the watchdog itself."""

    KILL = "kill"  # its process is gone at once
    CRASH = "crash"  # it dies of a segmentation fault
    HANG = "hang"  # it is stopped: the process is there and answers nothing
    ENGINE_KILL = "engine-kill"  # the engine's process below it is gone
    ENGINE_HANG = "engine-hang"  # that one is stopped, and the replica's HTTP goes on answering
    PAUSE = "pause"  # stopped for a second, which is nobody's business
    STARVE = "starve"  # the host has no CPU to spare for some seconds
    WATCHDOG = "watchdog"  # killed; whoever keeps it must start it again


HARMLESS = frozenset({Fault.PAUSE, Fault.STARVE, Fault.WATCHDOG})
"""After these nothing may be done to any replica."""

SIGNALS = {
    Fault.KILL: signal.SIGKILL,
    Fault.CRASH: signal.SIGSEGV,
    Fault.HANG: signal.SIGSTOP,
    Fault.ENGINE_KILL: signal.SIGKILL,
    Fault.ENGINE_HANG: signal.SIGSTOP,
    Fault.PAUSE: signal.SIGSTOP,
}


class NotPossible(Exception):
    """The fault cannot be injected, or its outcome not seen; says why."""


class NotHere(NotPossible):
    """This fault cannot be had on this host; others can."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one fault; seconds.

    Attributes:
        detected_s: from the injection until the watchdog's journal shows an incident.
        recovered_s: from then until the incident is resolved.
    """

    fault: str
    replica: str
    incident: int
    name: str
    detected_s: float
    recovered_s: float
    must_act: bool = True


def choose(manifests: list[Manifest], replica: str) -> Manifest:
    """The replica to hurt: the one named, else the first that is ready.

    Raises:
        NotPossible: there is none.
    """
    ready = [item for item in manifests if item.state is WorkerState.READY]
    for manifest in ready:
        if replica in ("", manifest.id):
            return manifest
    if not ready:
        raise NotPossible("no replica is ready here; is it running? (rankguard up)")
    known = ", ".join(item.id for item in ready)
    raise NotPossible(f"no ready replica is called {replica}; ready: {known}")


def inject(fault: Fault, manifest: Manifest) -> None:
    """Hurt the worker, or the engine's process below it.

    Raises:
        NotPossible: the manifest is an old one, and its pid may be somebody else's by now; or
            this engine has no process of its own.
    """
    same = started_ticks(manifest.pid) == manifest.started_ticks
    if not same or manifest.boot_id != boot_id():
        raise NotPossible(f"{manifest.id} (pid {manifest.pid}) is not running")
    pid = manifest.pid
    if fault in {Fault.ENGINE_KILL, Fault.ENGINE_HANG}:
        pid = engine_pid(manifest)
    os.kill(pid, SIGNALS[fault])


def engine_pid(manifest: Manifest) -> int:
    """The engine core of vLLM, by the name that it gives itself.

    Raises:
        NotHere: there is none; other engines compute in the worker's own process.
    """
    for child in psutil.Process(manifest.pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if "EngineCore" in " ".join(child.cmdline()):
                return int(child.pid)
    raise NotHere(f"engine {manifest.engine} has no process of its own")


def follow(
    fault: Fault,
    manifest: Manifest,
    incidents: Callable[[], list[dict[str, Any]]],
    *,
    limit_s: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    hurt: Callable[[], None] | None = None,
) -> Iterator[Outcome | str]:
    """Inject, then yield what happens: sentences on the way, the outcome at the end.

    Args:
        incidents: the journal's incidents now.
        limit_s: how long to wait for each of detection and recovery.
        hurt: does the injury instead of the signal to the worker, to a process below it, say.

    Raises:
        NotPossible: it cannot be injected, or nothing was detected or mended in time.
    """
    before = {item["id"] for item in incidents()}

    def ours() -> dict[str, Any] | None:
        return next((item for item in incidents() if item["id"] not in before), None)

    if hurt is None:
        inject(fault, manifest)
    else:
        hurt()
    began = clock()
    yield f"{fault.value}: {manifest.id} (pid {manifest.pid})"
    incident = _wait(ours, "the watchdog detected nothing", limit_s, clock, sleep)
    seen = clock()
    yield f"detected after {seen - began:.2f} s: {incident['name']} ({incident['reason']})"

    def resolved() -> dict[str, Any] | None:
        now = ours()
        return now if now is not None and now["status"] == "resolved" else None

    _wait(resolved, "it was not mended", limit_s, clock, sleep)
    ended = clock()
    yield f"recovered after {ended - seen:.2f} s more"
    yield Outcome(
        fault=fault.value,
        replica=manifest.id,
        incident=incident["id"],
        name=incident["name"],
        detected_s=round(seen - began, 3),
        recovered_s=round(ended - seen, 3),
    )


def _wait(
    look: Callable[[], dict[str, Any] | None],
    failure: str,
    limit_s: float,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> dict[str, Any]:
    deadline = clock() + limit_s
    while clock() < deadline:
        found = look()
        if found is not None:
            return found
        sleep(POLL_S)
    raise NotPossible(f"{failure} within {limit_s:.0f} s")
