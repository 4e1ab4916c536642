"""Part 4: both sources of driver errors open and stay quiet on a healthy host."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from deploy.gpu.card import open_collector
from deploy.gpu.part import Cells, Failed, Part, State, Value
from monitor.collectors.kmsg import KMSG, KernelEvent, KmsgReader

NAME = "events"
_LIMIT_S = 30.0


def run(
    *,
    seconds: float = 3.0,
    path: Path = KMSG,
    listen: Callable[[float], list[Cells]] | None = None,
) -> Part:
    """Open the NVML event set of every card and the kernel log, and listen for a moment.

    Args:
        listen: asks the cards instead of a process of our own; takes as long as it is told.

    Raises:
        Skip: no driver.
        Failed: no card's events can be had, or a driver error came while nothing was done.
    """
    open_collector()[0].close()
    heard: list[KernelEvent] = []
    reader = KmsgReader(heard.append, after=None, path=path)
    opened = reader.start()
    rows = (listen or _nvml)(seconds)
    if opened:
        reader.stop()
    numbers: dict[str, Value] = {
        "seconds": seconds,
        "cards_registered": sum(row["registered"] is True for row in rows),
        "nvml_events": sum(int(row["events"] or 0) for row in rows),
        "kmsg_opened": opened,
        "kmsg_events": len(heard),
    }
    tables = {"cards": rows}
    if not numbers["cards_registered"]:
        why = rows[0]["error"] if rows else "no answer"
        raise Failed(f"no card gives events: {why}", numbers, tables)
    if numbers["nvml_events"] or numbers["kmsg_events"]:
        raise Failed("a driver error came while nothing was done", numbers, tables)
    why = "" if opened else "the kernel log cannot be read here (no permission, or a container)"
    return Part(NAME, State.PASSED, why, numbers, tables)


def _nvml(seconds: float) -> list[Cells]:
    """In a process of its own: any call may hang."""
    command = [sys.executable, "-m", "deploy.gpu.event_child", f"{seconds:g}"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds + _LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise Failed(f"the event set did not answer within {seconds + _LIMIT_S:g} s") from None
    try:
        return [dict(row) for row in json.loads(done.stdout.splitlines()[-1])]
    except (ValueError, IndexError):
        raise Failed(f"the event set ended its process: {done.stderr.strip()[-300:]}") from None
