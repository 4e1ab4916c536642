"""What the next watchdog of this boot must know of cards, in the journal.

A card that an XID condemned is no better for a restart of the watchdog; the host's reboot is what
takes that back, with a reset, the driver's own word and an operator's.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Any

from monitor.cardbook import CardBook
from monitor.gpu import XidEvent
from monitor.journal import Journal
from monitor.model import Moment

_NOTE = "cards"

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
        self._kept: dict[str, tuple[XidEvent, ...]] = {}

    def take_up(self, now: Moment) -> None:
        """At the start: what was condemned in this boot still is."""
        for uuid, events in self._read(now).items():
            for event in events:
                log.warning("%s: XID %d from before still counts", uuid, event.xid)
                self._cards.condemn(uuid, event)
        self._kept = self._cards.condemned

    def keep(self, now: Moment) -> None:
        """Write down what changed; to be called before anything is done about it."""
        condemned = self._cards.condemned
        if condemned == self._kept:
            return
        text = json.dumps(self._body(condemned, now))
        if self._journaled(lambda: self._journal.note(_NOTE, text)):
            self._kept = condemned

    def _body(self, condemned: dict[str, tuple[XidEvent, ...]], now: Moment) -> dict[str, Any]:
        """`{"boot": id, "condemned": {uuid: [[xid, Unix seconds, address], ...]}}`."""
        return {
            "boot": self._boot_id,
            "condemned": {
                uuid: [
                    [event.xid, round(now.wall + event.at - now.mono, 3), event.pci_bus_id]
                    for event in events
                ]
                for uuid, events in condemned.items()
            },
        }

    def _read(self, now: Moment) -> dict[str, list[XidEvent]]:
        try:
            body = json.loads(self._journal.noted(_NOTE) or "{}")
            if body.get("boot") != self._boot_id:
                return {}
            return {
                str(uuid): [_event(row, now) for row in rows]
                for uuid, rows in body["condemned"].items()
            }
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            log.warning("the journal's note of cards is not readable: %s", error)
            return {}


def _event(row: list[Any], now: Moment) -> XidEvent:
    """A clock that was set in between makes it older or younger, never one of the future."""
    xid, wall, address = row
    at = now.mono - max(0.0, now.wall - float(wall))
    return XidEvent(at, str(address), int(xid), "journal")
