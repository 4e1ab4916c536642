"""Part 5: memory of a card while a process takes it, gives it back and is killed.

The gate is the watchdog's own: `CardBook.places` and `scaling.place` say whether a replica may
start on the card.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from deploy.gpu.card import idle_card, open_collector, sample_of, sees_host_pids, watch_until
from deploy.gpu.holder import Holder
from deploy.gpu.part import Cells, Failed, Part, State, Value
from monitor.cardbook import CardBook
from monitor.cardhealth import CardLimits
from monitor.gpu import CardSample, Field
from monitor.model import Unavailable
from monitor.ports import GpuReader
from monitor.scaling import place

NAME = "memory"
SHARE = 0.6
"""Of the card's memory: more than half, so that the gate must close."""

_CONTEXT_BYTES = 2 * 2**30
"""What a CUDA context may take beside the allocation; seen are 0.3 to 0.6 GiB."""

_SLACK_BYTES = 64 * 2**20
_LIMIT_S = 30.0


@dataclass(slots=True)
class _Stand:
    """One card, its reader, the watchdog's book over it, and what was found so far."""

    reader: GpuReader
    uuid: str
    book: CardBook
    numbers: dict[str, Value] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def look(self) -> CardSample:
        found = self.reader.read()
        self.book.see(found, found.at, time.time())
        return sample_of(found, self.uuid)

    def used(self) -> float:
        used = self.look().number(Field.MEMORY_USED)
        if used is None:
            raise Failed("the card's used memory cannot be read")
        return used

    def gate_is_open(self) -> bool:
        """Whether the watchdog would start a replica here now."""
        self.look()
        everywhere = self.book.places(lambda _card, _holder: False)
        places = [one for one in everywhere if one.uuid == self.uuid]
        return place(places, {}, preferred=None, engine="vllm").refused is None


def run() -> Part:
    """Take 60 % of an idle card, give it back, take it again and be killed.

    Raises:
        Skip: no driver, no idle card, no CUDA. Failed: a number or the gate is wrong.
    """
    reader, first = open_collector()
    try:
        idle = idle_card(first)
        stand = _Stand(reader, idle.card.uuid, CardBook(CardLimits()))
        return _course(stand, idle)
    finally:
        reader.close()


def _course(stand: _Stand, idle: CardSample) -> Part:
    numbers, wrong = stand.numbers, stand.wrong
    total = idle.number(Field.MEMORY_TOTAL) or 0.0
    size = int(SHARE * total)
    before = stand.used()
    numbers |= {
        "total_bytes": total,
        "before_bytes": before,
        "asked_bytes": size,
        "gate_open_before": stand.gate_is_open(),
        "pids_are_ours": sees_host_pids(),
    }
    if not numbers["gate_open_before"]:
        wrong.append("the gate was closed on an idle card")
    with Holder(stand.uuid) as holder:
        numbers["context_bytes"] = stand.used() - before
        holder.allocate(size)
        _taken(stand, holder.pid, size, before)
        holder.free()
        given_back = watch_until(lambda: stand.used() < before + _CONTEXT_BYTES, _LIMIT_S)
        numbers["freed_after_s"] = None if given_back is None else round(given_back, 3)
        numbers["gate_open_after_free"] = stand.gate_is_open()
        if given_back is None or not numbers["gate_open_after_free"]:
            wrong.append("memory that was given back does not open the gate")
        holder.allocate(size)
        if stand.gate_is_open():
            wrong.append("the gate is open on a card that is full again")
        _killed(stand, holder, before)
    if wrong:
        raise Failed("; ".join(wrong), numbers)
    why = "" if numbers["pids_are_ours"] else "a pid namespace of its own: pids cannot be compared"
    return Part(NAME, State.PASSED, why, numbers)


def _taken(stand: _Stand, pid: int, size: int, before: float) -> None:
    sample = stand.look()
    grown = (sample.number(Field.MEMORY_USED) or 0.0) - before
    is_open = stand.gate_is_open()
    stand.numbers |= {"grown_bytes": grown, "gate_open_while_full": is_open}
    stand.numbers |= _process(sample, pid, size)
    if not size <= grown <= size + _CONTEXT_BYTES:
        stand.wrong.append(f"{size} bytes taken, {grown:.0f} seen")
    if is_open:
        stand.wrong.append("the gate is open on a card that is full")
    if stand.numbers["process_found"] == "no" and sees_host_pids():
        stand.wrong.append(f"the driver does not list pid {pid}")


def _process(sample: CardSample, pid: int, size: int) -> Cells:
    """How the process that holds memory is listed: by its pid, or in a container by its memory."""
    if isinstance(sample.processes, Unavailable):
        return {"process_found": f"no list: {sample.processes.why.value}", "process_bytes": None}
    for one in sample.processes:
        if one.pid == pid:
            return {"process_found": "by its pid", "process_bytes": one.used_bytes}
    for one in sample.processes:
        if (one.used_bytes or 0) >= size:
            return {"process_found": "by its memory alone", "process_bytes": one.used_bytes}
    return {"process_found": "no", "process_bytes": None}


def _killed(stand: _Stand, holder: Holder, before: float) -> None:
    began = time.monotonic()
    holder.kill()
    opened = watch_until(stand.gate_is_open, _LIMIT_S, 0.01)
    stand.numbers["gate_opened_after_kill_s"] = (
        None if opened is None else round(time.monotonic() - began, 3)
    )
    if opened is None:
        stand.wrong.append(f"the gate stays closed {_LIMIT_S:g} s after kill -9")
    gone = watch_until(lambda: stand.used() <= before + _SLACK_BYTES, _LIMIT_S, 0.01)
    stand.numbers["freed_after_kill_s"] = (
        None if gone is None else round(time.monotonic() - began, 3)
    )
    if gone is None:
        stand.wrong.append(f"memory of a killed process is not free after {_LIMIT_S:g} s")
