"""What must be left alone: harmless look-alikes of a fault, and the proof that nothing was done."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from deploy.chaos.fault import POLL_S, Fault, NotHere, NotPossible, inject
from service.manifest import Manifest

PAUSE_S = 1.0
STARVE_S = 8.0
WATCH_S = 6.0
"""How long nothing may happen after it; a hang would be found within five seconds."""


class ActedUpon(Exception):
    """Something was done about what is harmless; says what."""


@dataclass(frozen=True, slots=True)
class Calm:
    """Nothing was done, as it must be. `watched_s`: for how long that was seen."""

    fault: str
    replica: str
    watched_s: float
    must_act: bool = False


@dataclass(frozen=True, slots=True)
class Scene:
    """What is looked at: incidents and replicas as they are now.

    Attributes:
        limit_s: how long a watchdog that was killed may take to be there again.
    """

    state_dir: Path
    incidents: Callable[[], list[dict[str, Any]]]
    manifests: Callable[[], list[Manifest]]
    limit_s: float
    sleep: Callable[[float], None] = time.sleep


def disturb(fault: Fault, manifest: Manifest, scene: Scene) -> Iterator[Calm | str]:
    """Do it, then look on; yields sentences on the way, the outcome at the end.

    Raises:
        ActedUpon: an incident was opened, or a replica was started anew.
        NotPossible: it cannot be done here.
    """
    incidents = {item["id"] for item in scene.incidents()}
    generations = {item.id: item.generation for item in scene.manifests()}
    yield f"{fault.value}: {manifest.id}, on which nobody may act"
    if fault is Fault.PAUSE:
        _pause(manifest, scene.sleep)
    elif fault is Fault.STARVE:
        _starve(STARVE_S, scene.sleep)
    else:
        yield f"the watchdog is back after {_kill_watchdog(scene):.1f} s"
    scene.sleep(WATCH_S)
    opened = [item for item in scene.incidents() if item["id"] not in incidents]
    if opened:
        raise ActedUpon(f"{fault.value}: {opened[0]['name']} ({opened[0]['reason']}) was opened")
    changed = [
        item.id
        for item in scene.manifests()
        if item.generation != generations.get(item.id, item.generation)
    ]
    if changed:
        raise ActedUpon(f"{fault.value}: {', '.join(changed)} started anew")
    yield "nothing was done"
    yield Calm(fault.value, manifest.id, WATCH_S)


def _pause(manifest: Manifest, sleep: Callable[[float], None]) -> None:
    inject(Fault.PAUSE, manifest)
    try:
        sleep(PAUSE_S)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(manifest.pid, signal.SIGCONT)


def _starve(seconds: float, sleep: Callable[[float], None]) -> None:
    """Twice as many busy processes as cores."""
    count = 2 * (os.cpu_count() or 1)
    busy = [subprocess.Popen(["/bin/sh", "-c", "while :; do :; done"]) for _ in range(count)]
    try:
        sleep(seconds)
    finally:
        for process in busy:
            process.kill()
            process.wait(5)


def _kill_watchdog(scene: Scene) -> float:
    """Returns the seconds until another one holds the state directory."""
    pid = watchdog_pid(scene.state_dir)
    if not _is_kept(pid):
        raise NotHere("nobody would start the watchdog again; run it under up or systemd")
    began = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    while time.monotonic() - began < scene.limit_s:
        with contextlib.suppress(NotPossible):
            if watchdog_pid(scene.state_dir) != pid:
                return time.monotonic() - began
        scene.sleep(POLL_S)
    raise ActedUpon(f"the watchdog was not started again within {scene.limit_s:.0f} s")


def watchdog_pid(state_dir: Path) -> int:
    """The watchdog that holds this state directory.

    Raises:
        NotPossible: there is none.
    """
    with contextlib.suppress(OSError, ValueError):
        pid = int((state_dir / "watchdog.lock").read_text(encoding="ascii"))
        if psutil.pid_exists(pid):
            return pid
    raise NotPossible(f"no watchdog holds {state_dir}")


def _is_kept(pid: int) -> bool:
    """Whether somebody starts it again when it ends: `rankguard up`, or systemd."""
    with contextlib.suppress(psutil.Error):
        parent = psutil.Process(pid).parent()
        return parent is not None and (parent.name() == "systemd" or "up" in parent.cmdline())
    return False
