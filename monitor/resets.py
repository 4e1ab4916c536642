"""Resets of cards: asked for when they may be, journaled, and counted across reboots."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable

from monitor.cardbook import CardBook
from monitor.casebook import Casebook
from monitor.gpureset import Reset, ResetLimits, decide
from monitor.inbox import ResetEnded
from monitor.journal import Journal
from monitor.keeper import UP
from monitor.model import Moment, Reason
from monitor.rows import Transition
from monitor.watch import Watch

_NOTE = "gpu-resets"
_KEPT = 20  # resets remembered per card

log = logging.getLogger("rankguard.watchdog")


class Resets:
    """Owned by the loop's thread."""

    def __init__(
        self,
        cards: CardBook,
        journal: Journal,
        casebook: Casebook,
        ask: Callable[[str], None] | None,
        journaled: Callable[[Callable[[], None]], bool],
    ) -> None:
        """Ask through `ask`, which returns at once; None: nobody here can reset cards."""
        self._cards = cards
        self._journal = journal
        self._casebook = casebook
        self._ask = ask
        self._journaled = journaled
        self._past: dict[str, list[float]] = json.loads(journal.noted(_NOTE) or "{}")
        self._since: dict[str, float] = {}
        self._under_way: str | None = None
        self._given_up: set[str] = set()

    def look(self, watches: Iterable[Watch], limits: ResetLimits, now: Moment) -> None:
        """Ask for the reset of a card that needs one and may have it; one at a time."""
        if self._ask is None:
            return
        broken = self._cards.unusable(Reason.GPU_NEEDS_RESET)
        self._since = {uuid: self._since.get(uuid, now.mono) for uuid in broken}
        up = (one.replica for one in watches if one.replica.phase in UP)
        running = [self._cards.card_of(one.gpu_uuid) for one in up]
        for uuid, evidence in broken.items():
            found = decide(
                evidence,
                needed_for_s=now.mono - self._since[uuid],
                replicas=running.count(uuid),
                past=self._past.get(uuid, ()),
                limits=limits,
                now=now.wall,
            )
            if found is Reset.GO and self._under_way is None:
                self._begin(uuid, now)
            if found is Reset.BUDGET_SPENT and uuid not in self._given_up:
                self._given_up.add(uuid)
                self._tell(uuid, found.value, "it needs another reset: a person must look", now)

    def ended(self, message: ResetEnded, now: Moment) -> None:
        """Take what the command said; the card proves itself by its next readings."""
        self._under_way = None
        word = "reset" if message.ok else "reset_failed"
        self._tell(message.gpu_uuid, word, message.detail, now)
        self._since.pop(message.gpu_uuid, None)
        if message.ok:
            self._cards.was_reset(message.gpu_uuid)

    def _begin(self, uuid: str, now: Moment) -> None:
        """The budget is spent before the command runs: a crash in it must not give another one."""
        self._under_way = uuid
        self._past[uuid] = [*self._past.get(uuid, []), now.wall][-_KEPT:]
        text = json.dumps(self._past)
        self._journaled(lambda: self._journal.note(_NOTE, text))
        self._tell(uuid, "resetting", "nothing runs on it", now)
        assert self._ask is not None
        self._ask(uuid)

    def _tell(self, uuid: str, word: str, detail: str, now: Moment) -> None:
        log.warning("%s: %s: %s", uuid, word, detail)
        change = Transition(
            now.wall, f"gpu {uuid}", "", word, Reason.GPU_NEEDS_RESET.value, detail=detail[:200]
        )
        self._journaled(lambda: self._journal.record(change))
        self._casebook.note(f"{word}: {detail}"[:200], gpu_uuid=uuid)
