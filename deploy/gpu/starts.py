"""How long a start takes: with nothing compiled, with everything compiled, after `kill -9`."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from deploy.bench.bare import sides
from deploy.bench.starts import caches_below
from deploy.gpu import caches
from deploy.gpu.card import watch_until
from deploy.gpu.ground import environment
from deploy.gpu.loads import Bench
from deploy.gpu.part import Failed, Part, State, Value
from deploy.gpu.stack import Plan, running

NAME = "starts"
RESTART = "restart"
_LIMIT_S = 600.0


def run(bench: Bench, folder: Path, *, cold: bool) -> Part:
    """Start our stack on empty caches, and again on full ones; it stays up.

    Args:
        cold: False: one start alone, on the caches that are there, and beside others.

    Raises:
        Failed: it does not start.
    """
    ground = bench.ground
    numbers: dict[str, Value] = {}
    if cold:
        with environment(**caches_below(folder / "cold")):
            ground.ours()
            numbers["cold_s"] = round(ground.began(sides.OURS), 1)
            ground.stop(sides.OURS)
            ground.ours()
            numbers["warm_s"] = round(ground.began(sides.OURS), 1)
        return Part(NAME, State.PASSED, "", numbers)
    if not ground.machine.engine.on_cpu:
        ground.ours()
        numbers["started_s"] = round(ground.began(sides.OURS), 1)
        return Part(NAME, State.PASSED, "one start alone: a quick run", numbers)
    # on the CPU later parts' engines start beside it: a trial has no time for one after the other;
    # on a card they do not, since each measures the free memory while it starts
    ground.begin(sides.OURS)
    ground.begin(sides.BARE)
    ground.begin(caches.NO_PREFIX, more=caches.WITHOUT)
    ground.ours()
    numbers["three_at_once_s"] = round(ground.began(sides.OURS), 1)
    return Part(NAME, State.PASSED, "three engines started at once: a quick run", numbers)


def restart(plan: Plan) -> Part:
    """Kill the only replica of `rankguard up`, and wait for the next answer.

    Raises:
        Failed: no answer came, or the incident was not resolved.
    """
    with running(plan, _LIMIT_S) as stack:
        victim = stack.ready()
        if not stack.rerank(0):
            raise Failed("the replica does not answer")
        numbers: dict[str, Value] = {"up_started_s": round(stack.started_s, 1)}
        os.kill(victim.pid, signal.SIGKILL)
        began = time.monotonic()
        answered = stack.rerank(1, _LIMIT_S)
        numbers["first_answer_s"] = round(time.monotonic() - began, 2)
        if not answered:
            raise Failed("the request that waited through the restart was lost", numbers)
        closed = watch_until(
            lambda: (
                bool(stack.incidents())
                and all(one["status"] == "resolved" for one in stack.incidents())
            ),
            _LIMIT_S,
        )
        for incident in stack.incidents()[:1]:
            numbers |= {
                "incident": str(incident["name"]),
                "detected_s": incident.get("detected_s"),
                "recovered_s": incident.get("recovered_s"),
            }
    if closed is None:
        raise Failed("the incident was not resolved", numbers)
    return Part(RESTART, State.PASSED, "", numbers)
