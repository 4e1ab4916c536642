"""One look at all cards through the watchdog's own collector, and which card may be used."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from deploy.gpu.part import Failed, Skip
from monitor.collectors.nvml import NvmlCollector, library_is_there
from monitor.gpu import CardSample, Field, GpuRound
from monitor.model import Unavailable

_DEADLINE_S = 5.0
_START_S = 30.0
"""Without persistence mode the driver starts with the first reader."""

_FIRST_PID_NAMESPACE = "pid:[4026531836]"
"""PROC_PID_INIT_INO in the kernel's include/linux/proc_ns.h."""

_MOST_USED = 0.05
"""Share of a card's memory in use with which it counts as nobody's: the driver's own is below."""


def open_collector() -> tuple[NvmlCollector, GpuRound]:
    """The watchdog's collector, and its first look; more patient, since values are judged here.

    The first look alone says what a card does not support: that is never asked again.

    Raises:
        Skip: there is no driver or no card.
    """
    if not library_is_there():
        raise Skip("no NVIDIA driver here: libnvidia-ml.so.1 cannot be loaded")
    collector = NvmlCollector(deadline_s=_DEADLINE_S, start_s=_START_S, start_look_s=_START_S)
    found = collector.read()
    if isinstance(found.driver, Unavailable):
        collector.close()
        raise Skip(f"NVML: {found.driver.why.value}: {found.driver.detail}")
    if not found.cards:
        collector.close()
        raise Skip("the driver lists no card")
    return collector, found


def sample_of(found: GpuRound, uuid: str) -> CardSample:
    """The card's sample.

    Raises:
        Failed: it is not there, or cannot be read.
    """
    for sample in found.cards:
        if sample.card.uuid == uuid:
            if sample.fault is not None:
                raise Failed(f"{uuid} cannot be read: {sample.fault.why.value}")
            return sample
    raise Failed(f"{uuid} is not listed any more")


def idle_card(found: GpuRound) -> CardSample:
    """A card that nobody else uses: its memory may be taken for a moment.

    Raises:
        Skip: every card is in use, and other people's work is not risked.
    """
    for sample in found.cards:
        total, used = sample.number(Field.MEMORY_TOTAL), sample.number(Field.MEMORY_USED)
        held = () if isinstance(sample.processes, Unavailable) else sample.processes
        if sample.fault is not None or held or not total or used is None:
            continue
        if used <= _MOST_USED * total:
            return sample
    raise Skip("every card is in use by others; free one, or run where one is free")


def sees_host_pids() -> bool:
    """False in a pid namespace of its own (a container), where the driver's pids are not ours."""
    try:
        return str(Path("/proc/self/ns/pid").readlink()) == _FIRST_PID_NAMESPACE
    except OSError:
        return True


def watch_until(read: Callable[[], bool], limit_s: float, poll_s: float = 0.05) -> float | None:
    """Seconds until it is true, or None when the limit passes first."""
    began = time.monotonic()
    while time.monotonic() - began < limit_s:
        if read():
            return time.monotonic() - began
        time.sleep(poll_s)
    return None
