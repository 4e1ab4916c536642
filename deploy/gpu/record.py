"""Part 3: a recording of the real cards for replay, without what names this host's cards."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from deploy.gpu.card import open_collector
from deploy.gpu.part import Failed, Part, State
from monitor.collectors.replay import RecordingWriter, load
from monitor.gpu import CardSample, GpuProcess, GpuRound
from monitor.model import Unavailable

NAME = "recording"
_FIRST_PID = 1000


class Scrubber:
    """Replaces UUIDs and pids by stable made-up ones; serial numbers are never read."""

    def __init__(self) -> None:
        self._uuids: dict[str, str] = {}
        self._pids: dict[int, int] = {}

    def scrub(self, found: GpuRound) -> GpuRound:
        """The same round without names; the same card and pid get the same name again."""
        return replace(found, cards=tuple(self._sample(one) for one in found.cards))

    def _sample(self, sample: CardSample) -> CardSample:
        uuid = self._uuids.setdefault(
            sample.card.uuid, f"GPU-{len(self._uuids):08x}-0000-4000-8000-00000000c0de"
        )
        processes = sample.processes
        if not isinstance(processes, Unavailable):
            processes = tuple(GpuProcess(self._pid(one.pid), one.used_bytes) for one in processes)
        card = replace(sample.card, uuid=uuid)
        # the words of a fault may hold a UUID; the word why is what replay needs
        fault = None if sample.fault is None else Unavailable(sample.fault.why)
        return replace(sample, card=card, processes=processes, fault=fault)

    def _pid(self, pid: int) -> int:
        return self._pids.setdefault(pid, _FIRST_PID + len(self._pids))

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must not be in the file."""
        return tuple(self._uuids)


def run(
    folder: Path,
    *,
    frames: int = 60,
    period_s: float = 1.0,
    synthetic: bool = False,
    sleep: Callable[[float], None] = time.sleep,
) -> Part:
    """Write `<card>x<count>.jsonl`, and read it again.

    Args:
        synthetic: the driver is a fake; the file says so.

    Raises:
        Skip: no driver. Failed: a name is left in the file, or it cannot be replayed.
    """
    collector, first = open_collector()
    scrubber = Scrubber()
    try:
        path = folder / f"{_name(first)}.jsonl"
        folder.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        writer = RecordingWriter(path, _about(first, synthetic=synthetic))
        writer.write(scrubber.scrub(first))
        for _ in range(frames - 1):
            sleep(period_s)
            writer.write(scrubber.scrub(collector.read()))
    finally:
        collector.close()
    return _checked(path, scrubber)


def _checked(path: Path, scrubber: Scrubber) -> Part:
    """The file names no card and can be replayed."""
    text = path.read_text(encoding="utf-8")
    left = [name for name in scrubber.secrets if name in text]
    if left:
        path.unlink()
        raise Failed(f"{len(left)} UUIDs were left in the recording; it is deleted")
    back = load(path)
    return Part(
        NAME,
        State.PASSED,
        "",
        {
            "file": str(path),
            "cards": len(back.cards),
            "frames": len(back.frames),
            "bytes": len(text),
        },
    )


def _name(found: GpuRound) -> str:
    words = re.findall(r"[a-z]+\d+[a-z]*|\d+gb", found.cards[0].card.name.lower())
    return f"{words[0] if words else 'card'}x{len(found.cards)}-real"


def _about(found: GpuRound, *, synthetic: bool) -> str:
    made = "fake driver" if synthetic else "real cards"
    return f"{made}: {found.cards[0].card.name} x {len(found.cards)}, driver {found.driver}"
