"""The faults: each hurts a running stack and says what must follow.

The numbers are those of the failure scenarios in docs/measurements.md. A twin, marked with a
prime, is the harmless look-alike on which the watchdog must not act.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.e2e.stack import Stack
from tests.faults.result import Bounds
from tests.waiting import until

Injury = Callable[[Stack], None]


@dataclass(frozen=True, slots=True)
class Fault:
    """One scenario.

    Attributes:
        injure: does the damage; detection is timed from its return.
        mend: takes away what caused it, once it was detected.
        settle_s: for a twin: how long the watchdog is given to do something wrong.
        options: of the stack, such as `document_s`.
    """

    id: str
    name: str
    injure: Injury
    bounds: Bounds = field(default_factory=Bounds)
    must_act: bool = True
    replicas: int = 2
    mend: Injury | None = None
    settle_s: float = 12.0
    documents: int = 4
    clients: int = 8
    options: dict[str, object] = field(default_factory=dict)


def _victim(stack: Stack) -> int:
    manifest = stack.manifest("replica-0")
    assert manifest is not None
    return manifest.pid


def _signal(number: signal.Signals) -> Injury:
    return lambda stack: os.kill(_victim(stack), number)


def _script(**script: object) -> Injury:
    """The fault hits one replica: the file names its pid, so the replacement is well."""
    return lambda stack: stack.script(**script, pid=_victim(stack))


def _script_all(**script: object) -> Injury:
    return lambda stack: stack.script(**script)


def _restart_watchdog(stack: Stack) -> None:
    stack.processes["watchdog"].kill()
    stack.processes["watchdog"].wait(5)
    time.sleep(2.0)
    stack.start("watchdog", "watch", "--stop-replicas-on-exit")
    until("the watchdog is back", lambda: stack.routable() == 2, 20)


def _stop_watchdog_for_a_while(stack: Stack) -> None:
    stack.processes["watchdog"].send_signal(signal.SIGSTOP)
    time.sleep(8.0)
    stack.processes["watchdog"].send_signal(signal.SIGCONT)


def _kill_both(stack: Stack) -> None:
    for manifest in stack.manifests():
        os.kill(manifest.pid, signal.SIGKILL)


def _freeze_briefly(stack: Stack) -> None:
    """A pause shorter than any limit: a garbage collection, a page-in."""
    os.kill(_victim(stack), signal.SIGSTOP)
    time.sleep(1.0)
    os.kill(_victim(stack), signal.SIGCONT)


def _starve_the_host(stack: Stack) -> None:
    """Twice as many busy processes as cores, for ten seconds."""
    count = 2 * (os.cpu_count() or 1)
    busy = [subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _ in range(count)]
    try:
        time.sleep(10.0)
    finally:
        for process in busy:
            process.kill()
            process.wait(5)


def _scrape_storm(stack: Stack) -> None:
    import concurrent.futures

    import requests

    def scrape(_: int) -> int:
        return requests.get(f"{stack.watchdog_url}/metrics", timeout=10).status_code

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert set(pool.map(scrape, range(500))) <= {200, 503}


_DEAD = Bounds(detected_s=1.0, recovered_s=15.0)
_HUNG = Bounds(detected_s=5.0, recovered_s=15.0)
_CANARY_S = 2.0  # the stack's canary period

FAULTS: tuple[Fault, ...] = (
    Fault("15", "replica killed", _signal(signal.SIGKILL), _DEAD),
    Fault("15a", "the only replica killed", _signal(signal.SIGKILL), _DEAD, replicas=1),
    Fault("15b", "replica crashes (SIGSEGV)", _signal(signal.SIGSEGV), _DEAD),
    Fault("16", "replica stopped (SIGSTOP)", _signal(signal.SIGSTOP), _HUNG),
    Fault("16a", "the only replica stopped", _signal(signal.SIGSTOP), _HUNG, replicas=1),
    Fault("16b", "engine hangs, its HTTP answers", _script(fault="hang"), _HUNG),
    Fault("16'", "replica pauses for one second", _freeze_briefly, must_act=False),
    Fault(
        "17'",
        "slow but progressing",
        _script_all(document_s=0.3),
        must_act=False,
        settle_s=20.0,
        clients=4,
    ),
    Fault("17a'", "the host has no CPU to spare", _starve_the_host, must_act=False),
    Fault(
        "17b",
        "replica scores wrong",
        _script(fault="wrong"),
        Bounds(detected_s=2 * _CANARY_S + 1.0, recovered_s=15.0, may_be_wrong=True),
    ),
    Fault(
        "17c",
        "replica scores everything alike",
        _script(fault="constant"),
        Bounds(detected_s=2 * _CANARY_S + 1.0, recovered_s=15.0, may_be_wrong=True),
    ),
    Fault(
        "21'",
        "a start of 20 s",
        lambda _stack: None,
        must_act=False,
        options={"load_s": 20.0},
        settle_s=3.0,
    ),
    Fault("25'", "watchdog killed and started again", _restart_watchdog, must_act=False),
    Fault("26'", "watchdog stopped for 8 s", _stop_watchdog_for_a_while, must_act=False),
    Fault("32'", "500 scrapes at once", _scrape_storm, must_act=False, settle_s=3.0),
    Fault("35'", "idle", lambda _stack: None, must_act=False, clients=0, settle_s=15.0),
)
