"""Part 2: what a look at the cards costs, in time and in CPU."""

from __future__ import annotations

import statistics
import time

import psutil

from deploy.gpu.card import open_collector
from deploy.gpu.part import Part, State

NAME = "cost"


def run(*, looks: int = 200) -> Part:
    """Time and CPU of one look at all cards, the reader process included.

    Raises:
        Skip: no driver.
    """
    collector, _ = open_collector()
    try:
        family = [psutil.Process(), *psutil.Process().children()]
        spent, cards = _cpu_s(family), 0
        took = []
        for _ in range(looks):
            began = time.perf_counter()
            cards = len(collector.read().cards)
            took.append(time.perf_counter() - began)
        spent = _cpu_s(family) - spent
    finally:
        collector.close()
    took.sort()
    return Part(
        NAME,
        State.PASSED,
        "",
        {
            "cards": cards,
            "looks": looks,
            "look_p50_us": round(1e6 * statistics.median(took)),
            "look_p99_us": round(1e6 * took[int(0.99 * (looks - 1))]),
            "look_max_us": round(1e6 * took[-1]),
            "cpu_us_per_look": round(1e6 * spent / looks),
        },
    )


def _cpu_s(processes: list[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)
