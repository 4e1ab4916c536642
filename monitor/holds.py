"""What operators hold back: cordoned cards and drained replicas, journaled so that they last."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from monitor.cardbook import CardBook
from monitor.inbox import CordonAsked
from monitor.journal import Journal, Transition
from monitor.model import Moment, Reason
from monitor.replica import Command, CommandKind, Phase
from monitor.watch import Watch

_CARD = "gpu "


class Holds:
    """Owned by the loop's thread."""

    def __init__(
        self,
        cards: CardBook,
        journal: Journal,
        journaled: Callable[[Callable[[], None]], bool],
    ) -> None:
        """Keep holds in this journal; `journaled` runs a write and counts what it refuses."""
        self._cards = cards
        self._journal = journal
        self._journaled = journaled

    def take_up(self, watches: Iterable[Watch], now: Moment) -> None:
        """At the start: what was held goes on, and a drain that a crash cut short is finished."""
        holds = self._journal.holds()
        for subject, until in holds.items():
            if subject.startswith(_CARD) and (until is None or until > now.wall):
                mono = None if until is None else now.mono + until - now.wall
                self._cards.cordon(subject.removeprefix(_CARD), mono)
        for watch in watches:
            replica = watch.replica
            running = replica.phase in {Phase.STARTING, Phase.SERVING}
            if replica.id not in holds or not running:
                continue
            until = holds[replica.id]
            if until is None or until > now.wall:
                for_s = None if until is None else until - now.wall
                watch.command = Command(CommandKind.DRAIN, for_s)

    def cordon(self, asked: CordonAsked, now: Moment) -> None:
        """Take a card out of use, or back."""
        subject = f"{_CARD}{asked.gpu_uuid}"
        journal = self._journal
        if asked.cordon:
            until = None if asked.for_s is None else now.mono + asked.for_s
            wall = None if asked.for_s is None else now.wall + asked.for_s
            self._cards.cordon(asked.gpu_uuid, until)
            self._journaled(lambda: journal.hold(subject, now.wall, wall, asked.why))
        else:
            self._cards.uncordon(asked.gpu_uuid)
            self._journaled(lambda: journal.release(subject))
        word = "cordoned" if asked.cordon else "in use"
        change = Transition(
            now.wall, subject, "", word, Reason.OPERATOR.value, detail=asked.why[:200]
        )
        self._journaled(lambda: journal.record(change))

    def replica(self, replica_id: str, command: Command, now: Moment) -> None:
        """Note that an operator drained a replica, or took that back."""
        journal = self._journal
        if command.kind is CommandKind.DRAIN:
            until = None if command.for_s is None else now.wall + command.for_s
            self._journaled(lambda: journal.hold(replica_id, now.wall, until, command.reason.value))
        else:
            self._journaled(lambda: journal.release(replica_id))
