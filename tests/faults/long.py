"""What takes its time: saturation, the soak, and what the watchdog costs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from tests.e2e.stack import Load
from tests.faults.fault import SLOWNESS
from tests.faults.ground import Ground, Layout, ground
from tests.faults.replica_rows import TWO

RECORDING = Path(__file__).parents[1] / "recordings" / "h100x8.jsonl"
_SOAK_EVERY_S = 5.0
Report = Callable[[str], None]


def saturate(minutes: float, engine: str, tell: Report) -> dict[str, Any]:
    """Keep one replica's queue full; every restart is a false one."""
    layout = Layout(replicas=1, engine=engine, document_s=0.1)
    with ground(layout) as on:
        load = Load(on.stack, clients=12, documents=20)
        _pass(60 * minutes, tell, lambda: f"{len(load.answers)} answers")
        restarts = sum(item["restarts"] for item in on.stack.status()["replicas"])
        load.stop()
        incidents = [one["name"] for one in on.stack.incidents()]
        return {
            "minutes": minutes,
            # an incident that asks for a restart is one, whether it came to it or not
            "false_restarts": restarts + sum(name not in SLOWNESS for name in incidents),
            "incidents": incidents,
            "answers": len(load.answers),
            "failed": len(load.failed),
        }


def watchdog_cost(seconds: float) -> dict[str, Any]:
    """CPU and memory of the watchdog and its samplers, at its default periods, replicas idle."""
    with ground(Layout(replicas=1, canary_s=15.0, settings=_replayed())) as on:
        time.sleep(5.0)
        family = watchdog_family(on)
        first = sum(sum(member.cpu_times()[:2]) for member in family)
        time.sleep(seconds)
        used = sum(sum(member.cpu_times()[:2]) for member in family) - first
        return {
            "cpu_ratio": round(used / seconds, 5),
            "rss_mb": round(_rss_mb(family), 1),
            "gpus": len(on.stack.status()["gpus"]),
            "hz": 1.0,
        }


def soak(minutes: float, tell: Report) -> dict[str, Any]:
    """A look every 10 ms for a long time, with some load: nothing may grow.

    Slopes are least squares over the second half: in the first, caches and histories fill.
    """
    settings = (*_replayed(), ("MONITOR__POLL_S", "0.01"))
    with ground(replace(TWO, settings=settings)) as on:
        load = Load(on.stack, clients=2)
        samples: list[tuple[float, float, int, int]] = []
        began = time.monotonic()
        while (at := time.monotonic() - began) < 60 * minutes:
            family = watchdog_family(on)
            threads = sum(member.num_threads() for member in family)
            files = sum(member.num_fds() for member in family)
            samples.append((at, _rss_mb(family), files, threads))
            if len(samples) % 12 == 1:
                tell(f"{at:.0f} s: {samples[-1][1]:.1f} MB, {files} files, {threads} threads")
            time.sleep(_SOAK_EVERY_S)
        load.stop()
        incidents = [one["name"] for one in on.stack.incidents() if one["name"] not in SLOWNESS]
        return {"incidents": len(incidents), **judge_soak(samples, minutes)}


def judge_soak(samples: Sequence[tuple[float, float, int, int]], minutes: float) -> dict[str, Any]:
    """Growth from first to last by the fitted line, and whether it is flat.

    Args:
        samples: seconds since the start, MB of memory, open files, threads.
    """
    kept = samples[len(samples) // 2 :]
    over_s = kept[-1][0] - kept[0][0]
    grown = [slope([(one[0], one[column]) for one in kept]) * over_s for column in (1, 2, 3)]
    rss_mb = kept[-1][1]
    return {
        "minutes": minutes,
        "poll_s": 0.01,
        "rss_mb": round(rss_mb, 1),
        "rss_mb_per_hour": round(3600 * grown[0] / over_s, 2),
        "files": kept[-1][2],
        "files_grown": round(grown[1], 2),
        "threads": kept[-1][3],
        "threads_grown": round(grown[2], 2),
        # the allocator takes memory in steps of 2 MB; a leak at a hundred looks a second is more
        "flat": grown[0] < 0.05 * rss_mb and abs(grown[1]) < 2 and abs(grown[2]) < 2,
    }


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Least squares: units of y per unit of x."""
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0


def watchdog_family(on: Ground) -> list[psutil.Process]:
    """The watchdog and its sampler processes, without the replicas that it started."""
    watchdog = psutil.Process(on.stack.processes["watchdog"].pid)
    replicas = {manifest.pid for manifest in on.stack.manifests()}
    samplers = [child for child in watchdog.children() if child.pid not in replicas]
    return [watchdog, *samplers]


def _rss_mb(family: Sequence[psutil.Process]) -> float:
    return sum(member.memory_info().rss for member in family) / 1e6


def _replayed() -> tuple[tuple[str, str], ...]:
    return (("MONITOR__GPUS", f"replay:{RECORDING}"),) if RECORDING.exists() else ()


def _pass(seconds: float, tell: Report, how: Callable[[], str]) -> None:
    """Wait, and say every minute how it goes."""
    began = time.monotonic()
    while (at := time.monotonic() - began) < seconds:
        time.sleep(min(60.0, seconds - at))
        tell(f"{time.monotonic() - began:.0f} of {seconds:.0f} s: {how()}")
