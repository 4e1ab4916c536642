"""Crash loops, faults that are shared, and the watchdog's own troubles."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from monitor.probes.process import all_stats
from tests.faults.card_rows import no_compiler, paged_once
from tests.faults.course import Course
from tests.faults.fault import Fault, Injury, replicas_are_well
from tests.faults.ground import Ground, wait_for_watchdog
from tests.faults.replica_rows import TWO, kill_all, script
from tests.faults.result import Bounds
from tests.waiting import until

_REARM_S = 4.0
_BUDGET = 3
_LOOPING = replace(
    TWO,
    settings=(
        ("MONITOR__RESTART_BUDGET", str(_BUDGET)),
        ("MONITOR__BACKOFF_S", "0.2"),
        ("MONITOR__REARM_S", str(_REARM_S)),
    ),
)
_FLAPPING = replace(TWO, settings=(("MONITOR__BACKOFF_S", "0.2"), ("MONITOR__REARM_S", "3600")))
_THREE = replace(TWO, replicas=3, load_s=1.5, settings=(("MONITOR__BACKOFF_S", "0.2"),))
_SET = replace(TWO, clock=True)
_DISK = replace(TWO, disk=True)
_CRASH_LOOP = frozenset({"ReplicaCrashLoop"})
_HOUR_S = 3600.0
_PING_S = 5.0  # a third of what the shipped unit allows


def not_root() -> str:
    return "" if os.geteuid() == 0 and _can_mount() else "needs root, to mount a small disk"


def _can_mount() -> bool:
    asked = ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    try:
        return subprocess.run(asked, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


# starts that fail


def _break_starts(on: Ground) -> None:
    """From now on every start of a worker ends with an error."""
    broken = '[engine.scripted]\nstart_error = "no room on the device"\n'
    text = on.stack.config.read_text()
    on.stack.config.write_text(text.replace("[engine.scripted]\n", broken))


def _mend_starts(course: Course) -> None:
    text = course.on.stack.config.read_text()
    lines = [line for line in text.splitlines() if not line.startswith("start_error")]
    course.on.stack.config.write_text("\n".join(lines) + "\n")


def _killed_and_cannot_start(on: Ground) -> None:
    _break_starts(on)
    on.kill()


def _given_up(course: Course) -> bool:
    return "ReplicaCrashLoop" in {one["name"] for one in course.firing()}


def _bounded(course: Course) -> Iterator[str]:
    yield from paged_once(course)
    waits = [later - earlier for earlier, later in pairwise(_starts(course, "replica-0"))]
    if any(wait < 0.1 for wait in waits[1:]):
        yield f"starts follow each other without a pause: {waits}"


def _starts(course: Course, replica: str) -> list[float]:
    return [at for at, who, _, new in _changes(course) if who == replica and new == "starting"]


def _changes(course: Course) -> list[tuple[float, str, str, str]]:
    """Transitions of replicas since the beginning: when, who, from, to."""
    with contextlib.closing(sqlite3.connect(course.on.stack.state_dir / "journal.db")) as journal:
        rows = journal.execute(
            "select at, subject, old, new from transitions where at >= ?", (course.began,)
        )
        return [(at, who, old, new) for at, who, old, new in rows]


def _flap(on: Ground) -> float:
    """Killed as often as it comes back, until it is given up."""
    began = time.monotonic()
    for _ in range(8):
        until("it is up or given up", lambda: _state(on) in {"healthy", "failed"}, 30)
        if _state(on) == "failed":
            return began
        on.kill()
        until("it is seen", lambda: _state(on) != "healthy", 10)
    return began


def _state(on: Ground, replica: str = "replica-0") -> str:
    return next((one["state"] for one in on.status()["replicas"] if one["id"] == replica), "")


def _few_messages(course: Course) -> Iterator[str]:
    yield from paged_once(course)
    course.figures["messages"] = len(course.messages())
    changes = 2 * len(course.incidents())
    if len(course.messages()) > 8:
        yield f"{len(course.messages())} messages of {changes} changes"


def _start_by_hand(course: Course) -> None:
    """What the runbook says: after the cause is gone, restart it."""
    done = course.on.stack.cli("replica", "restart", "replica-0")
    assert done.returncode == 0, done.stderr


def _kill_all_twice(on: Ground) -> float:
    kill_all(on)
    until("it is seen", lambda: on.stack.routable() == 0, 10)
    on.stack.wait_healthy(3, 60)
    kill_all(on)
    return time.monotonic()


def _one_at_a_time(course: Course) -> Iterator[str]:
    """After a second failure in a row no start begins before the last one ended."""
    again = course.on.figures.pop("again_at")
    starting: set[str] = set()
    for at, who, old, new in _changes(course):
        if at < again:
            continue
        if old == "starting":
            starting.discard(who)
        if new == "starting":
            starting.add(who)
        if len(starting) > 1:
            yield f"{sorted(starting)} start together"
            return


def _note_second_time(on: Ground) -> float:
    _kill_all_twice(on)
    on.figures["again_at"] = time.time()
    return time.monotonic()


# the watchdog


def _kill_watchdog_in_mid_restart(on: Ground) -> float:
    pid = on.replica().pid
    on.kill()
    began = time.monotonic()
    until("the next one starts", lambda: _workers(on, "replica-0") - {pid}, 10)
    on.kill_watchdog()
    time.sleep(1.0)
    on.watch()
    return began


def _workers(on: Ground, replica: str) -> set[int]:
    """Pids of this replica's workers, from their command lines: what no file can be wrong about."""
    found = set()
    for stat in all_stats():
        with contextlib.suppress(OSError):
            argv = Path(f"/proc/{stat.pid}/cmdline").read_bytes().decode().split("\0")
            if "worker" in argv and str(on.stack.config) in argv and replica in argv:
                found.add(stat.pid)
    return found


def _no_doubles(course: Course) -> Iterator[str]:
    for manifest in course.on.stack.manifests():
        workers = _workers(course.on, manifest.id)
        if workers != {manifest.pid}:
            yield f"{manifest.id} has processes {workers}, its manifest says {manifest.pid}"


def _hang_watchdog_under_systemd(on: Ground) -> float:
    """We are systemd: NOTIFY_SOCKET is ours, and a watchdog that is silent is killed."""
    on.stop_watchdog()
    address = on.stack.folder / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notices:
        notices.bind(str(address))
        notices.settimeout(60.0)
        on.stack.environment["NOTIFY_SOCKET"] = str(address)
        on.watch()
        seen = {notices.recv(100)}
        while seen != {b"READY=1", b"WATCHDOG=1"}:
            seen.add(notices.recv(100))
        on.stack.processes["watchdog"].send_signal(signal.SIGSTOP)
        began = time.monotonic()
        notices.settimeout(_PING_S)
        with contextlib.suppress(TimeoutError):
            while True:
                notices.recv(100)
        on.figures["noticed_s"] = round(time.monotonic() - began, 2)
        on.kill_watchdog()
        on.watch()
        notices.settimeout(60.0)
        until("the new one is alive", lambda: notices.recv(100) == b"WATCHDOG=1", 60)
        del on.stack.environment["NOTIFY_SOCKET"]
    wait_for_watchdog(on)
    return time.monotonic()


def _set_clock(*hours: float) -> Injury:
    def injure(on: Ground) -> None:
        assert on.clock is not None
        for hour in hours:
            on.clock.set_by(hour * _HOUR_S)
            time.sleep(5.0)

    return injure


def _set_clock_and_hang(on: Ground) -> None:
    assert on.clock is not None
    on.clock.set_by(-_HOUR_S)
    time.sleep(2.0)
    script(fault="hang")(on)


def _reload_badly(on: Ground) -> None:
    on.stack.config.write_text(on.stack.config.read_text() + "\n[monitor]\nnonsense = 1\n")
    on.stack.processes["watchdog"].send_signal(signal.SIGHUP)


def _reload_well(course: Course) -> None:
    stack = course.on.stack
    stack.config.write_text(stack.config.read_text().replace("\n[monitor]\nnonsense = 1\n", ""))
    stack.processes["watchdog"].send_signal(signal.SIGHUP)


# the disk


def _fill_disk(on: Ground) -> None:
    with contextlib.suppress(OSError), (on.stack.state_dir / "filler").open("wb") as filler:
        while True:
            filler.write(bytes(1 << 20))


def _fill_and_kill(on: Ground) -> None:
    _fill_disk(on)
    until("the full disk is told of", lambda: "HostDiskFull" in _open_now(on), 60)
    on.kill()


def _open_now(on: Ground) -> set[str]:
    return {incident["name"] for incident in on.stack.status()["incidents"]}


def _free_disk(course: Course) -> None:
    (course.on.stack.state_dir / "filler").unlink()


def _freeze_disk(on: Ground) -> None:
    """Nothing new can be written; what is open for writing already, the kernel leaves alone."""
    path = str(on.stack.state_dir)
    subprocess.run(["mount", "--bind", path, path], check=True)
    on.closing.callback(subprocess.run, ["umount", "-l", path], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", path], check=True)


_LOOP = Fault(
    "",
    "",
    _killed_and_cannot_start,
    _LOOPING,
    expects=frozenset({"ReplicaDead"}) | _CRASH_LOOP,
    tolerates=frozenset({"ReplicaStartFailed"}),
    detected=_given_up,
    check=_bounded,
    alone=True,
    clients=2,
)
_TWIN = Fault("", "", kill_all, TWO, must_act=False, clients=2)

ROWS: tuple[Fault, ...] = (
    replace(
        _LOOP,
        id="20",
        name="crash loop: given up, paged, tried again",
        mend=_mend_starts,
        # the one after the kill, as many as the budget, and the one that is tried again
        restarts=(_BUDGET + 1, _BUDGET + 3),
    ),
    replace(
        _LOOP,
        id="22",
        name="replica goes up and down until it is given up",
        layout=_FLAPPING,
        injure=_flap,
        mend=_start_by_hand,
        restarts=(5, 8),
        check=_few_messages,
        tolerates=frozenset({"ReplicaStartFailed", "Flapping"}),
    ),
    Fault(
        "23",
        "all three killed, twice: one start at a time",
        _note_second_time,
        _THREE,
        Bounds(may_refuse=True),
        expects=frozenset({"ReplicaDead"}),
        tolerates=frozenset({"ReplicaStartFailed", "PoisonRequest"}),
        recovered=replicas_are_well,
        restarts=(6, 6),
        check=_one_at_a_time,
        alone=True,
        clients=2,
    ),
    Fault(
        "25",
        "watchdog killed in mid-restart",
        _kill_watchdog_in_mid_restart,
        TWO,
        tolerates=frozenset({"ReplicaStartFailed"}),
        restarts=(1, 2),
        check=_no_doubles,
        clients=2,
    ),
    replace(
        _TWIN,
        id="26",
        name="watchdog hangs under systemd",
        injure=_hang_watchdog_under_systemd,
        settle_s=2.0,
    ),
    Fault(
        "36",
        "bad configuration, SIGHUP",
        _reload_badly,
        TWO,
        Bounds(detected_s=5.0),
        expects=frozenset({"WatchdogConfigInvalid"}),
        restarts=(0, 0),
        mend=_reload_well,
        clients=2,
    ),
    replace(
        _TWIN,
        id="27'",
        name="clock set by an hour, ahead and back",
        layout=_SET,
        injure=_set_clock(1, -1, 0),
        settle_s=2.0,
        missing=no_compiler,
    ),
    Fault(
        "27",
        "engine hangs after the clock was set back",
        _set_clock_and_hang,
        _SET,
        Bounds(detected_s=5.0, recovered_s=15.0),
        clients=4,
        missing=no_compiler,
    ),
    Fault(
        "28",
        "state disk full",
        _fill_disk,
        _DISK,
        expects=frozenset({"HostDiskFull"}),
        restarts=(0, 0),
        mend=_free_disk,
        clients=2,
        missing=not_root,
    ),
    Fault(
        "28a",
        "state disk full, then a replica is killed",
        _fill_and_kill,
        _DISK,
        expects=frozenset({"HostDiskFull", "ReplicaDead"}),
        tolerates=frozenset({"ReplicaStartFailed", "ReplicaHung", "StateDiskFull"}),
        restarts=(1, 3),
        mend=_free_disk,
        clients=2,
        missing=not_root,
    ),
    Fault(
        "28'",
        "state directory turns read-only",
        _freeze_disk,
        _DISK,
        must_act=False,
        clients=2,
        missing=not_root,
    ),
)
