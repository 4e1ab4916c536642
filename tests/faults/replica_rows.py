"""Replicas that die, hang, lie or are only slow, and the host around them."""

from __future__ import annotations

import concurrent.futures
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import requests

from tests.faults.course import Course
from tests.faults.fault import Fault, Injury, replicas_are_well
from tests.faults.ground import PATIENT, Ground, Layout, wait_for_watchdog
from tests.faults.result import Bounds
from tests.waiting import until

TWO = Layout(settings=PATIENT)
ONE = Layout(replicas=1, settings=PATIENT)
_DEAD = Bounds(detected_s=1.0, recovered_s=15.0)
_HUNG = Bounds(detected_s=5.0, recovered_s=15.0)
_WRONG = Bounds(detected_s=2 * TWO.canary_s + 1.0, recovered_s=15.0, may_be_wrong=True)


def _signal(number: signal.Signals) -> Injury:
    return lambda on: os.kill(on.replica().pid, number)


def script(**fault: object) -> Injury:
    """The fault hits one replica: the file names its pid, so the replacement is well."""
    return lambda on: on.stack.script(**fault, pid=on.replica().pid)


def nothing(_on: Ground) -> None:
    """The layout itself is what is tried."""


def kill_all(on: Ground) -> None:
    for manifest in on.stack.manifests():
        os.kill(manifest.pid, signal.SIGKILL)


def _pause_briefly(on: Ground) -> None:
    """A pause shorter than any limit: a garbage collection, a page-in."""
    pid = on.replica().pid
    os.kill(pid, signal.SIGSTOP)
    time.sleep(1.0)
    os.kill(pid, signal.SIGCONT)


def _starve_the_host(_on: Ground) -> None:
    """Twice as many busy processes as cores, for ten seconds."""
    count = 2 * (os.cpu_count() or 1)
    busy = [subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _ in range(count)]
    try:
        time.sleep(10.0)
    finally:
        for process in busy:
            process.kill()
            process.wait(5)


def _scrape_storm(on: Ground) -> None:
    def scrape(_: int) -> int:
        return requests.get(f"{on.stack.watchdog_url}/metrics", timeout=10).status_code

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert set(pool.map(scrape, range(500))) <= {200, 503}


def _restart_watchdog(on: Ground) -> None:
    on.kill_watchdog()
    time.sleep(2.0)
    on.watch()
    wait_for_watchdog(on)


def _stop_watchdog_for_a_while(on: Ground) -> None:
    on.stack.processes["watchdog"].send_signal(signal.SIGSTOP)
    time.sleep(8.0)
    on.stack.processes["watchdog"].send_signal(signal.SIGCONT)


_POISON = "xyzzy"


def _send_poison(on: Ground) -> None:
    """A request that ends whichever engine reads it; it is answered while the rest goes on."""
    on.stack.script(poison=_POISON)

    def send() -> None:
        began = time.monotonic()
        on.answers.append(on.stack.rerank(query="what is it", documents=[_POISON, "a door"]))
        on.figures["answered_s"] = round(time.monotonic() - began, 2)

    threading.Thread(target=send, daemon=True).start()


def _refused_for_good(course: Course) -> Iterator[str]:
    on = course.on
    until("the poison is answered", lambda: on.answers, 60)
    on.stack.wait_healthy(2, 60)
    before = course.restarts()
    again = on.stack.rerank(query="what is it", documents=[_POISON, "a door"])
    codes = [on.answers[0].status_code, again.status_code]
    if codes != [422, 422]:
        yield f"answered {codes}, not 422"
    if course.restarts() != before:
        yield "the second time it ended an engine still"
    innocent = on.stack.rerank(query="what is it", documents=["a window", "a wall"])
    if innocent.status_code != 200:
        yield f"other texts are answered {innocent.status_code}"


ROWS: tuple[Fault, ...] = (
    Fault("15", "replica killed", _signal(signal.SIGKILL), TWO, _DEAD, clients=8),
    Fault("15b", "replica crashes (SIGSEGV)", _signal(signal.SIGSEGV), TWO, _DEAD, clients=8),
    Fault("16", "replica stopped (SIGSTOP)", _signal(signal.SIGSTOP), TWO, _HUNG, clients=8),
    Fault("16b", "engine hangs, its HTTP answers", script(fault="hang"), TWO, _HUNG, clients=8),
    Fault("16'", "replica pauses for one second", _pause_briefly, TWO, must_act=False, clients=8),
    Fault(
        "17'",
        "slow but progressing",
        lambda on: on.stack.script(document_s=0.3),
        TWO,
        must_act=False,
        settle_s=20.0,
    ),
    Fault("17a'", "the host has no CPU to spare", _starve_the_host, TWO, must_act=False),
    Fault("17b", "replica scores wrong", script(fault="wrong"), TWO, _WRONG, clients=8),
    Fault("17c", "replica scores everything alike", script(fault="constant"), TWO, _WRONG),
    Fault(
        "24",
        "a request that ends whichever engine reads it",
        _send_poison,
        TWO,
        expects=frozenset({"ReplicaDead"}),
        tolerates=frozenset({"PoisonRequest"}),
        recovered=replicas_are_well,  # that a text is refused is told for as long as it is
        restarts=(3, 4),
        check=_refused_for_good,
    ),
    Fault("25'", "watchdog killed and started again", _restart_watchdog, TWO, must_act=False),
    Fault("26'", "watchdog stopped for 8 s", _stop_watchdog_for_a_while, TWO, must_act=False),
    Fault("32'", "500 scrapes at once", _scrape_storm, TWO, must_act=False, settle_s=3.0),
    Fault("35'", "idle", nothing, TWO, must_act=False, clients=0, settle_s=15.0),
    Fault("15a", "the only replica killed", _signal(signal.SIGKILL), ONE, _DEAD, clients=8),
    Fault("16a", "the only replica stopped", _signal(signal.SIGSTOP), ONE, _HUNG, clients=8),
    Fault(
        "21'",
        "a start of 20 s",
        nothing,
        replace(TWO, load_s=20.0),
        must_act=False,
        settle_s=3.0,
    ),
)
