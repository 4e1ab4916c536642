"""What only the kernel does: it holds a reader that nobody can kill, and gives a pid out again."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from monitor.probes.process import read_stat
from tests.faults import frozen_disk
from tests.faults.card_rows import EIGHT, celsius, has_series, no_compiler, stopped_in_time
from tests.faults.course import Course
from tests.faults.fault import Fault, everything_is_over
from tests.faults.ground import Ground, wait_for_watchdog
from tests.faults.replica_rows import TWO
from tests.faults.result import Bounds
from tests.waiting import until

_TAKER = Path(__file__).with_name("pid_taker.c")
_DRIVER = frozenset({"DriverUnavailable"})
_RETRIED_S = 12.0
"""A reader that hangs is tried again every ten seconds; one that is held must not be."""


# a reader that cannot be killed


def _hold_a_reader(on: Ground) -> float:
    """The next call for the first replica's card ends in the kernel, in an uninterruptible wait."""
    path = on.closing.enter_context(frozen_disk.frozen_disk(on.stack.folder))
    on.driver.say(f"write {on.card()} {path}")
    return time.monotonic()


def _held(on: Ground) -> list[int]:
    """Readers of this watchdog that were killed and are there still."""
    watchdog = on.stack.processes["watchdog"].pid
    children = psutil.Process(watchdog).children()
    stats = [stat for child in children if (stat := read_stat(child.pid)) is not None]
    return [stat.pid for stat in stats if stat.state == "D" and _is_killed(stat.pid)]


def _is_killed(pid: int) -> bool:
    """Whether SIGKILL waits for it: it would have ended if that could end it (proc(5))."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    pending = next(line.split()[1] for line in lines if line.startswith("ShdPnd:"))
    return bool(int(pending, 16) >> (signal.SIGKILL - 1) & 1)


def _abandoned(on: Ground) -> float:
    name = "rankguard_gpu_readers_abandoned_total"
    return next(float(line.split()[-1]) for line in on.metrics().splitlines() if _is(line, name))


def _is(line: str, name: str) -> bool:
    return line.startswith((f"{name} ", f"{name}{{"))


def _look_and_thaw(course: Course) -> None:
    """It is left behind and counted, once, and the other cards are read on."""
    on, other = course.on, course.on.card("replica-1")
    until("it is told", lambda: "DriverUnavailable" in course.names(), 30)
    until("it is left behind", lambda: len(_held(on)) == 1 and _abandoned(on) >= 1, 20)
    on.driver.say(f"set {other} temperature 61")
    until("another card is read on", lambda: celsius(on, other) == 61, 10)
    time.sleep(_RETRIED_S)
    assert len(_held(on)) == 1, f"more readers were sent to where one is held: {_held(on)}"
    on.take_back()
    until("it ends", lambda: not _held(on), 20)


def _stop_while_held(on: Ground) -> None:
    """The watchdog ends when it is told to, whatever becomes of its reader."""
    card = on.card()
    _hold_a_reader(on)
    until("it is left behind", lambda: bool(_held(on)), 20)
    (held,) = _held(on)
    on.figures["stop_s"] = on.stop_watchdog()
    stat = read_stat(held)
    assert stat is not None, "nothing was held"
    assert stat.state == "D", f"it was in state {stat.state}"
    on.take_back()
    on.watch()
    wait_for_watchdog(on)
    until("the card is read again", lambda: has_series(on, card), 30)


# a pid that is somebody else's now


def _reuse_pid(on: Ground) -> float:
    """A replica ends while nobody watches; when somebody does, its pid is another process's."""
    taker = on.stack.folder / "pid_taker"
    subprocess.run(["gcc", "-o", str(taker), str(_TAKER)], check=True)
    pid = on.replica().pid
    on.kill_watchdog()
    os.kill(pid, signal.SIGKILL)
    until("its pid is free", lambda: read_stat(pid) is None, 20)
    stranger = subprocess.Popen([str(taker), str(pid), "sleep", "600"])
    on.closing.callback(_end, stranger, pid)
    until("another process has it", lambda: _sleeps(pid), 20)
    on.strangers.append(stranger)
    on.watch()
    return time.monotonic()


def _sleeps(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"sleep\0")
    except OSError:
        return False


def _end(taker: subprocess.Popen[bytes], pid: int) -> None:
    if taker.poll() is None:  # else the pid is nobody's, or somebody else's once more
        os.kill(pid, signal.SIGKILL)
    taker.wait(10)


def _stranger_lives(course: Course) -> Iterator[str]:
    pid = course.replicas["replica-0"].pid
    (stranger,) = course.on.strangers
    if stranger.poll() is not None or not _sleeps(pid):
        yield f"whoever had pid {pid} after the replica was killed"
    if course.on.replica().pid == pid:
        yield "the replica's manifest still says the old pid"


def _cannot_choose_pid() -> str:
    return no_compiler() or ("" if os.geteuid() == 0 else "needs root, to choose a pid")


def _cannot_hold() -> str:
    return no_compiler() or frozen_disk.missing()


ROWS: tuple[Fault, ...] = (
    Fault(
        "5",
        "a reader that no signal ends (state D)",
        _hold_a_reader,
        EIGHT,
        Bounds(detected_s=5.0),
        expects=_DRIVER,
        restarts=(0, 0),
        detected=lambda course: not has_series(course.on, course.on.card()),
        mend=_look_and_thaw,
        recovered=lambda course: (
            has_series(course.on, course.on.card()) and everything_is_over(course)
        ),
        clients=2,
        missing=_cannot_hold,
    ),
    Fault(
        "5'",
        "SIGTERM while a reader cannot be ended",
        _stop_while_held,
        EIGHT,
        must_act=False,
        check=stopped_in_time,
        tolerates=_DRIVER,
        settle_s=1.0,
        clients=2,
        missing=_cannot_hold,
    ),
    Fault(
        "25a",
        "a dead replica's pid is another process's",
        _reuse_pid,
        TWO,
        expects=frozenset({"ReplicaDead"}),
        check=_stranger_lives,
        clients=2,
        missing=_cannot_choose_pid,
    ),
)
