"""What the next watchdog of this boot must know of cards, in the journal.

A card that an XID condemned is no better for a restart of the watchdog; the host's reboot is what
takes that back, with a reset, the driver's own word and an operator's. A card that is lost is often
not listed any more: the next watchdog would not even miss it.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from monitor.cardbook import CardBook
from monitor.gpu import Card, XidEvent
from monitor.journal import Journal
from monitor.model import Moment

_NOTE = "cards"
_UNREADABLE = (ValueError, TypeError, KeyError, AttributeError)
_Known = tuple[dict[str, tuple[XidEvent, ...]], tuple[Card, ...]]

log = logging.getLogger("rankguard.watchdog")


class CardNotes:
    """Owned by the loop's thread."""

    def __init__(
        self,
        cards: CardBook,
        journal: Journal,
        journaled: Callable[[Callable[[], None]], bool],
        boot_id: str,
    ) -> None:
        """Keep notes in this journal; `journaled` runs a write and says whether it was done."""
        self._cards = cards
        self._journal = journal
        self._journaled = journaled
        self._boot_id = boot_id
        self._kept: _Known = ({}, ())

    def take_up(self, now: Moment) -> None:
        """At the start: what was condemned in this boot still is."""
        try:
            rows = _read(self._journal, self._boot_id).get("condemned", {})
            found = [(str(uuid), _event(row, now)) for uuid in rows for row in rows[uuid]]
        except _UNREADABLE as error:
            log.warning("the journal's note of cards is not readable: %s", error)
            return
        for uuid, event in found:
            log.warning("%s: XID %d from before still counts", uuid, event.xid)
            self._cards.condemn(uuid, event)
        lost = lost_cards(self._journal, self._boot_id)
        self._kept = (self._cards.condemned, tuple(lost))

    def keep(self, now: Moment) -> None:
        """Write down what changed; to be called before anything is done about it."""
        answers = isinstance(self._cards.driver, str)
        lost = self._cards.lost if answers else self._kept[1]
        known = (self._cards.condemned, lost)
        if known == self._kept:
            return
        text = json.dumps(self._body(known, now))
        if self._journaled(lambda: self._journal.note(_NOTE, text)):
            self._kept = known

    def _body(self, known: _Known, now: Moment) -> dict[str, Any]:
        condemned, lost = known
        return {
            "boot": self._boot_id,
            "lost": [asdict(card) for card in lost],
            "condemned": {
                uuid: [
                    [event.xid, round(now.wall + event.at - now.mono, 3), event.pci_bus_id]
                    for event in events
                ]
                for uuid, events in condemned.items()
            },
        }


def lost_cards(journal: Journal, boot_id: str) -> list[Card]:
    """The cards that were lost when the last watchdog of this boot ended."""
    try:
        return [Card(**card) for card in _read(journal, boot_id).get("lost", [])]
    except _UNREADABLE:
        return []


def _read(journal: Journal, boot_id: str) -> dict[str, Any]:
    """The note, empty when it is of another boot.

    `{"boot": id, "condemned": {uuid: [[xid, Unix seconds, address], ...]}, "lost": [card, ...]}`.
    """
    body: dict[str, Any] = json.loads(journal.noted(_NOTE) or "{}")
    return body if body.get("boot") == boot_id else {}


def _event(row: list[Any], now: Moment) -> XidEvent:
    """A clock that was set in between makes it older or younger, never one of the future."""
    xid, wall, address = row
    at = now.mono - max(0.0, now.wall - float(wall))
    return XidEvent(at, str(address), int(xid), "journal")
