"""Part 6: a real engine process is stopped; the watchdog must notice and mend it."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace

import psutil

from deploy.chaos.fault import Fault, NotPossible, Outcome, follow
from deploy.gpu.part import Cells, Failed, Part, State, Value
from deploy.gpu.stack import Plan, Stack, Traffic, running
from service.manifest import Manifest

NAME = "hang"
_START_S = 600.0
_FOLLOW_S = 600.0  # recovery starts an engine
DETECTED_S = 5.0
"""The promise of the design for a hung engine."""


def run(
    plan: Plan, *, cost_s: float = 20.0, slack: float = 1.0, sleep: Callable[[float], None]
) -> Part:
    """Start `rankguard up`, measure its watchdog at rest, stop the engine, follow what happens.

    Args:
        cost_s: how long the watchdog is measured at rest.
        slack: factor on the promised time, where the machine is shared.

    Raises:
        Failed: it does not start, nothing is detected in time, or a request is lost.
    """
    with running(replace(plan, folder=plan.folder / "hang"), _START_S) as stack:
        numbers: dict[str, Value] = {
            "engine": plan.engine,
            "started_s": round(stack.started_s, 2),
            **_cost(stack, cost_s, sleep),
        }
        victim = stack.ready()
        process = engine_process(victim)
        numbers["stopped"] = "worker" if process.pid == victim.pid else "engine core"
        traffic = Traffic(stack)
        try:
            outcome = _follow(stack, victim, process)
        finally:
            traffic.stop()
        numbers |= {
            "incident": outcome.name,
            "detected_s": outcome.detected_s,
            "recovered_s": outcome.recovered_s,
            "sent": traffic.sent,
            "failed": traffic.failed,
        }
    wrong = []
    if outcome.detected_s > slack * DETECTED_S:
        wrong.append(f"detected after {outcome.detected_s:g} s, promised {DETECTED_S:g} s")
    if traffic.failed:
        wrong.append(f"{traffic.failed} of {traffic.sent} requests were lost")
    if wrong:
        raise Failed("; ".join(wrong), numbers)
    return Part(NAME, State.PASSED, "", numbers)


def engine_process(manifest: Manifest) -> psutil.Process:
    """The process that computes: vLLM's engine core, else the worker itself."""
    worker = psutil.Process(manifest.pid)
    for child in worker.children(recursive=True):
        if "EngineCore" in _name(child):
            return child
    return worker


def _name(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error):
        return " ".join(process.cmdline()[:3]) or process.name()
    return "gone"


def _cost(stack: Stack, seconds: float, sleep: Callable[[float], None]) -> Cells:
    """CPU and memory of the watchdog and its readers at their own periods, replicas idle."""
    family = stack.watchdog()
    began, spent = time.monotonic(), _cpu_s(family)
    sleep(seconds)
    lasted = time.monotonic() - began
    return {
        "watchdog_cpu_ratio": round((_cpu_s(family) - spent) / lasted, 5) if lasted else None,
        "watchdog_rss_mb": round(sum(one.memory_info().rss for one in family) / 1e6, 1),
        "watchdog_processes": len(family),
        "watchdog_hz": 1.0,
    }


def _cpu_s(family: list[psutil.Process]) -> float:
    return sum(sum(one.cpu_times()[:2]) for one in family)


def _follow(stack: Stack, victim: Manifest, process: psutil.Process) -> Outcome:
    try:
        for told in follow(
            Fault.HANG,
            victim,
            stack.incidents,
            limit_s=_FOLLOW_S,
            hurt=lambda: os.kill(process.pid, signal.SIGSTOP),
        ):
            if isinstance(told, Outcome):
                return told
    except NotPossible as error:
        raise Failed(str(error)) from error
    raise Failed("the fault ended without an outcome")
