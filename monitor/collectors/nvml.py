"""All cards through reader processes with a deadline: one that hangs blinds nobody else.

A card that did not answer gets a reader of its own and leaves the common one; a reader that cannot
be killed (the kernel holds it) is abandoned and counted, and while it lasts no other one is sent to
the same place. Nothing here ever waits for one to end.
"""

from __future__ import annotations

import ctypes
import logging
import os
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from monitor.collectors.cards import card_from_json, sample_from_json
from monitor.collectors.nvml_process import Gone, ReaderProcess, Silent
from monitor.gpu import Card, CardSample, GpuRound, XidEvent, bus_id
from monitor.model import Unavailable, Why

_COMMON = ""
_INDEX = "index:"  # and its number: a card that has not told its UUID
_RETRY_S = 10.0  # a reader that failed to start, or whose card hangs, is tried again after so long
_GLANCE_S = 0.02

log = logging.getLogger("rankguard.watchdog")


def library_is_there() -> bool:
    """Whether `libnvidia-ml.so.1` can be loaded; does not talk to the driver."""
    try:
        ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return False
    return True


@dataclass(slots=True)
class _Station:
    """A reader for one card alone, or the common one; and when it may be tried again.

    `held`: one that could not be killed, and may be there still.
    """

    reader: ReaderProcess | None = None
    held: ReaderProcess | None = None
    asked_at: float | None = None
    retry_at: float = 0.0
    fault: Unavailable | None = None


@dataclass(slots=True)
class _Round:
    """What one round has brought so far."""

    driver: str | Unavailable | None = None
    samples: dict[str, CardSample] = field(default_factory=dict)
    xids: list[XidEvent] = field(default_factory=list)


class NvmlCollector:
    """Implements `GpuReader`. Called by one thread.

    `read` returns within about two deadlines, or five seconds while a reader starts.
    """

    def __init__(
        self,
        deadline_s: float = 1.5,
        start_s: float = 60.0,
        environment: Mapping[str, str] | None = None,
        *,
        start_look_s: float = 5.0,
        lost: Iterable[Card] = (),
    ) -> None:
        """Read through processes of our own.

        Args:
            deadline_s: how long one look may take. start_s: how long a reader may take to start:
                without persistence mode the driver wakes every card for the first one, which
                takes seconds a card.
            start_look_s: how long one round waits for a reader that starts; the next ones go on.
            lost: cards that are there and were lost before; the driver may not list them.
        """
        self._deadline_s = deadline_s
        self._start_s = start_s
        self._start_look_s = start_look_s
        self._environment = dict(os.environ if environment is None else environment)
        self._stations: dict[str, _Station] = {_COMMON: _Station()}
        self._cards: dict[str, Card] = {card.uuid: card for card in lost}
        self._unnamed: dict[int, Unavailable] = {}
        self._driver: str | Unavailable = Unavailable(Why.NOT_ANSWERING, "still starting")
        self._abandoned = 0
        self._closed = False

    def read(self) -> GpuRound:
        """One look at everything; what did not answer is there as a fault."""
        began = time.monotonic()
        found = _Round()
        for uuid, station in list(self._stations.items()):
            if not self._closed:
                self._visit(uuid, station, found, began)
        if found.driver is not None:
            self._driver = found.driver
        samples = (
            *(self._sample_of(card, found) for card in self._cards.values()),
            *self._samples_without_name(),
        )
        took_s = time.monotonic() - began
        return GpuRound(began, self._driver, samples, tuple(found.xids), took_s, self._abandoned)

    def rest(self) -> None:
        """Let go of every card until the next look."""
        for station in self._stations.values():
            self._dismiss(station)

    def close(self) -> None:
        """End the readers; waits for none, and may be called while another thread reads."""
        self._closed = True
        for station in list(self._stations.values()):
            self._dismiss(station)
            if station.held is not None:
                station.held.leave()

    def _visit(self, uuid: str, station: _Station, found: _Round, now: float) -> None:
        if station.reader is None:
            station.reader = self._new_reader(station, now)
        if station.reader is None:
            return
        if station.asked_at is None:
            station.asked_at = now
        # a reader that starts also imports and initializes
        limit_s = self._deadline_s if station.reader.greeted else self._start_s
        give_up_at = station.asked_at + limit_s
        # a card apart is not waited for: its answer is fetched in one of the next rounds
        look_s = self._deadline_s if station.reader.greeted else self._start_look_s
        wait_until = min(give_up_at, now + (look_s if uuid == _COMMON else _GLANCE_S))
        try:
            self._listen(uuid, station, found, wait_until)
            station.asked_at = None
            if station.reader is not None:
                station.fault = None
                if uuid != _COMMON:
                    self._rejoin(uuid, station)
        except Silent as silent:
            if time.monotonic() >= give_up_at:
                self._went_silent(uuid, station, silent.uuid, limit_s)
        except (Gone, ValueError, KeyError) as error:
            log.warning("a GPU reader ended: %r", error)
            station.fault = Unavailable(Why.FAILED, "the reader ended")
            self._dismiss(station, retry_at=now + _RETRY_S)

    def _new_reader(self, station: _Station, now: float) -> ReaderProcess | None:
        """None where it is too early for one, or the last one is held still."""
        if station.held is not None and station.held.has_ended():
            station.held = None
        if station.held is not None or now < station.retry_at:
            return None
        try:
            return ReaderProcess(self._environment)
        except OSError as error:
            station.fault = Unavailable(Why.FAILED, f"no reader: {error.strerror}")
            station.retry_at = now + _RETRY_S
            return None

    def _request(self, uuid: str) -> dict[str, Any]:
        """The common reader leaves out who has one of its own; that one reads its card alone."""
        if uuid != _COMMON:
            return {"indexes": [self._index_of(uuid)]}
        alone = [one for one in self._stations if one != _COMMON]
        return {"skip": alone, "skip_indexes": [self._index_of(one) for one in alone]}

    def _index_of(self, uuid: str) -> int:
        card = self._cards.get(uuid)
        # a card that hung before it told its UUID is known as `index:N`
        return card.index if card is not None else int(uuid.partition(":")[2])

    def _listen(self, uuid: str, station: _Station, found: _Round, deadline: float) -> None:
        reader = station.reader
        assert reader is not None
        if reader.greeted and not reader.asked:
            reader.ask(self._request(uuid))
        for line in reader.lines(deadline):
            kind = line["t"]
            if kind == "init":
                if "fault" in line:
                    found.driver = station.fault = _why(line["fault"])
                    self._dismiss(station, retry_at=time.monotonic() + _RETRY_S)
                    return
                found.driver = str(line["driver"])
                reader.greeted = True
                reader.ask(self._request(uuid))
            elif kind == "cards":
                self._meet(line, found, common=uuid == _COMMON)
            elif kind == "card":
                card = self._cards[line["uuid"]]
                found.samples[card.uuid] = sample_from_json(card, line["body"])
            elif kind == "end":
                reader.asked = False
                self._finish(line, station, found)
                return

    def _meet(self, line: dict[str, Any], found: _Round, *, common: bool) -> None:
        listed = {}
        for body in line["cards"]:
            card = card_from_json(body)
            listed[card.uuid] = card
            self._cards.setdefault(card.uuid, card)
        if not common:
            return
        failed = {int(index): _why(text) for index, text in line["failed"].items()}
        indexes = {card.index for card in self._cards.values()}
        self._unnamed = {index: why for index, why in failed.items() if index not in indexes}
        for card in self._cards.values():
            if card.uuid in listed or card.uuid in self._stations:
                continue
            gone = Unavailable(Why.GPU_LOST, "the driver does not list it any more")
            found.samples[card.uuid] = CardSample(card, fault=failed.get(card.index, gone))

    def _finish(self, line: dict[str, Any], station: _Station, found: _Round) -> None:
        if "fault" in line:
            found.driver = station.fault = _why(line["fault"])
            # start anew: the driver may have been reloaded
            self._dismiss(station, retry_at=time.monotonic() + _RETRY_S)
            return
        now = time.monotonic()
        for uuid, xid in line["xids"]:
            card = self._cards.get(uuid)
            address = bus_id(card.pci_bus_id) if card is not None else ""
            found.xids.append(XidEvent(now, address, int(xid), "nvml"))

    def _went_silent(self, uuid: str, station: _Station, at: str, limit_s: float) -> None:
        fault = Unavailable(Why.TIMED_OUT, f"no answer within {limit_s:g} s")
        retry_at = time.monotonic() + _RETRY_S
        at = self._uuid_of(at)
        if uuid == _COMMON and at:
            log.warning("%s does not answer; it is read apart from now on", at)
            self._dismiss(station)  # the others are read again at once
            self._stations[at] = _Station(held=station.held, retry_at=retry_at, fault=fault)
            station.held = None
            return
        self._dismiss(station, retry_at)
        station.fault = fault
        if uuid == _COMMON:
            self._driver = fault

    def _uuid_of(self, at: str) -> str:
        """Where a reader hung: a UUID; `index:N` of a card that is known is its UUID."""
        if not at.startswith(_INDEX):
            return at
        known = [card.uuid for card in self._cards.values() if at == f"{_INDEX}{card.index}"]
        return known[0] if known else at

    def _rejoin(self, uuid: str, station: _Station) -> None:
        """It answers again: back to the others."""
        log.info("%s answers again", uuid)
        self._dismiss(station)
        del self._stations[uuid]

    def _dismiss(self, station: _Station, retry_at: float = 0.0) -> None:
        station.retry_at = retry_at
        station.asked_at = None
        reader, station.reader = station.reader, None
        if reader is not None and not reader.end():
            self._abandoned += 1
            station.held = reader
            log.error("a GPU reader cannot be killed; left behind")

    def _samples_without_name(self) -> list[CardSample]:
        """Cards that are there, and could not be asked for their UUID since this began."""
        apart = {
            self._index_of(uuid): station.fault
            for uuid, station in self._stations.items()
            if uuid.startswith(_INDEX)
        }
        found = {**self._unnamed, **apart}
        return [
            CardSample(Card(f"{_INDEX}{index}", index, "", ""), fault=fault)
            for index, fault in sorted(found.items())
            if fault is not None
        ]

    def _sample_of(self, card: Card, found: _Round) -> CardSample:
        sample = found.samples.get(card.uuid)
        if sample is not None:
            return sample
        station = self._stations.get(card.uuid, self._stations[_COMMON])
        fault = station.fault
        if fault is None and isinstance(self._driver, Unavailable):
            fault = self._driver
        return CardSample(card, fault=fault or Unavailable(Why.NOT_ANSWERING, "not read"))


def _why(text: str) -> Unavailable:
    word, _, detail = text.partition(":")
    try:
        return Unavailable(Why(word), detail.strip())
    except ValueError:
        return Unavailable(Why.FAILED, text)
