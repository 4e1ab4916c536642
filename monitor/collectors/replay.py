"""Recorded cards: the whole pipeline without a GPU. Also writes recordings.

A recording is JSON lines. The first is
`{"format": "rankguard-recording", "version": 1, "synthetic": bool, "about": text, "cards": [...]}`;
each further one is a frame, `{"at": seconds, "cards": {uuid: {"values": {...}, "fault": why}},
"xids": [[uuid, xid], ...], "driver": why}`. A frame names only what changed since the last one;
XIDs belong to their frame. After the last frame it begins anew.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monitor.collectors.cards import card_from_json, sample_from_json
from monitor.gpu import Card, CardSample, GpuRound, XidEvent, bus_id
from monitor.model import Unavailable, Why
from monitor.ports import GpuReader

FORMAT, VERSION = "rankguard-recording", 1

log = logging.getLogger("rankguard.watchdog")


class RecordingError(Exception):
    """The file is no recording; the words say which line and why."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What changed at one moment; `at` is seconds from the begin of the recording."""

    at: float
    cards: dict[str, dict[str, Any]]
    xids: tuple[tuple[str, int], ...]
    driver: str


@dataclass(frozen=True, slots=True)
class Recording:
    """A file's content."""

    cards: tuple[Card, ...]
    frames: tuple[Frame, ...]
    synthetic: bool
    about: str


def load(path: Path) -> Recording:
    """Raises RecordingError for a file that is not there or is no recording."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise RecordingError(f"cannot read the recording {path}: {error}") from error
    number = 1
    try:
        head = json.loads(lines[0])
        if (head["format"], head["version"]) != (FORMAT, VERSION):
            raise RecordingError(f"{path}: not a {FORMAT} of version {VERSION}")
        cards = tuple(card_from_json(card) for card in head["cards"])
        frames = []
        for line in lines[1:]:
            number += 1
            if line.strip():
                frames.append(_frame(json.loads(line)))
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise RecordingError(f"{path}, line {number}: {error!r}") from error
    if not frames:
        raise RecordingError(f"{path}: no frames")
    return Recording(cards, tuple(frames), bool(head.get("synthetic")), str(head.get("about", "")))


def _frame(body: dict[str, Any]) -> Frame:
    return Frame(
        at=float(body["at"]),
        cards=dict(body.get("cards", {})),
        xids=tuple((str(uuid), int(xid)) for uuid, xid in body.get("xids", [])),
        driver=str(body.get("driver", "")),
    )


class ReplayReader:
    """Implements `GpuReader` over a recording, in its own time."""

    def __init__(self, recording: Recording, clock: Callable[[], float] = time.monotonic) -> None:
        self._recording = recording
        self._clock = clock
        self._began = clock()
        self._next = 0
        self._bodies: dict[str, dict[str, Any]] = {card.uuid: {} for card in recording.cards}
        self._driver = ""

    def read(self) -> GpuRound:
        now = self._clock()
        xids: list[tuple[str, int]] = []
        frames = self._recording.frames
        # one frame more than the recording's end closes its last interval
        length_s = frames[-1].at + (frames[-1].at / max(1, len(frames) - 1) or 1.0)
        while self._next < len(frames) and frames[self._next].at <= now - self._began:
            self._apply(frames[self._next], xids)
            self._next += 1
        if self._next == len(frames) and now - self._began >= length_s:
            self._began, self._next = now, 0
        return self._round(now, xids)

    def close(self) -> None:
        return

    def _apply(self, frame: Frame, xids: list[tuple[str, int]]) -> None:
        self._driver = frame.driver
        for uuid, change in frame.cards.items():
            if uuid not in self._bodies:
                continue
            body = self._bodies[uuid]
            values = {**body.get("values", {}), **change.get("values", {})}
            self._bodies[uuid] = {**body, **change, "values": values}
            if "fault" not in change:
                self._bodies[uuid].pop("fault", None)
        xids.extend(frame.xids)

    def _round(self, now: float, xids: list[tuple[str, int]]) -> GpuRound:
        addresses = {card.uuid: bus_id(card.pci_bus_id) for card in self._recording.cards}
        events = tuple(XidEvent(now, addresses.get(uuid, ""), xid, "nvml") for uuid, xid in xids)
        if self._driver:
            gone = Unavailable(Why(self._driver), "as recorded")
            faulty = tuple(CardSample(card, fault=gone) for card in self._recording.cards)
            return GpuRound(now, gone, faulty, events)
        samples = tuple(
            sample_from_json(card, self._bodies[card.uuid]) for card in self._recording.cards
        )
        return GpuRound(now, "replay", samples, events, self._clock() - now)


class RecordingReader:
    """Implements `GpuReader`: reads through another one and keeps what it read."""

    def __init__(self, reader: GpuReader, writer: RecordingWriter) -> None:
        self._reader = reader
        self._writer = writer

    def read(self) -> GpuRound:
        found = self._reader.read()
        try:
            self._writer.write(found)
        except OSError as error:  # a full disk must not blind who watches the cards
            log.warning("a look at the cards is not recorded: %s", error.strerror)
        return found

    def close(self) -> None:
        self._reader.close()


class RecordingWriter:
    """Writes rounds as they come; only what changed since the last one."""

    def __init__(self, path: Path, about: str) -> None:
        self._path = path
        self._about = about
        self._began: float | None = None
        self._last: dict[str, dict[str, Any]] = {}

    def write(self, found: GpuRound) -> None:
        """Append one round; the first decides which cards the recording has."""
        if self._began is None:
            self._began = found.at
            cards = [
                {
                    "uuid": one.card.uuid,
                    "index": one.card.index,
                    "name": one.card.name,
                    "pci_bus_id": one.card.pci_bus_id,
                }
                for one in found.cards
            ]
            head = {"format": FORMAT, "version": VERSION, "synthetic": False}
            self._append({**head, "about": self._about, "cards": cards})
        frame: dict[str, Any] = {"at": round(found.at - self._began, 3), "cards": {}}
        for sample in found.cards:
            body = _body(sample)
            change = _change(self._last.get(sample.card.uuid, {}), body)
            self._last[sample.card.uuid] = body
            if change:
                frame["cards"][sample.card.uuid] = change
        by_address = {bus_id(one.card.pci_bus_id): one.card.uuid for one in found.cards}
        if found.xids:
            frame["xids"] = [[by_address.get(one.pci_bus_id, ""), one.xid] for one in found.xids]
        if isinstance(found.driver, Unavailable):
            frame["driver"] = found.driver.why.value
        self._append(frame)

    def _append(self, line: dict[str, Any]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, separators=(",", ":")) + "\n")


def _body(sample: CardSample) -> dict[str, Any]:
    if sample.fault is not None:
        return {"fault": f"{sample.fault.why.value}: {sample.fault.detail}"}
    values = {
        name.value: f"{value.why.value}" if isinstance(value, Unavailable) else value
        for name, value in sample.values.items()
    }
    processes: Any = (
        sample.processes.why.value
        if isinstance(sample.processes, Unavailable)
        else [[one.pid, one.used_bytes] for one in sample.processes]
    )
    instances = [
        [one.uuid, one.memory_total_bytes, one.memory_used_bytes] for one in sample.instances
    ]
    return {
        "values": values,
        "processes": processes,
        **({"instances": instances} if instances else {}),
    }


def _change(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    if "fault" in now:
        return now
    old = before.get("values", {})
    change: dict[str, Any] = {
        "values": {name: value for name, value in now["values"].items() if old.get(name) != value}
    }
    if before.get("processes") != now["processes"]:
        change["processes"] = now["processes"]
    if before.get("instances", []) != now.get("instances", []):
        change["instances"] = now.get("instances", [])
    return change if change["values"] or len(change) > 1 or "fault" in before else {}
