"""Texts that end the engines which score them: who is suspected, who is refused. PURE.

A process that ends takes innocent work with it, so one end says nothing. Whatever was in flight at
two ends is refused for a while; where several texts were, they go on one at a time until a third
end tells which it is. Processes that end together have a cause in common: then only texts that were
at several of them are suspected. A text that is scored is a suspect no longer. Time comes in as
monotonic seconds; nothing here knows HTTP or files.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum

from service.embedding import EmbedJob
from service.request import ScoreJob

Marks = tuple[bytes, ...]
"""One per text of a chunk, in order: names the text with all that an engine computes it with."""

_NO_INSTRUCTION = "\0"


class Standing(str, Enum):
    """How a chunk may travel."""

    FREE = "free"
    SUSPECT = "suspect"  # in flight at one end: to one replica at a time
    UNSETTLED = "unsettled"  # whether the last replica ended is known in a moment
    ALONE = "alone"  # in flight at two ends, as others were: one such chunk at a time
    POISON = "poison"  # refused


@dataclass(frozen=True, slots=True)
class QuarantineLimits:
    """How long and how much is remembered.

    Attributes:
        suspect_s, refuse_s: how long a text is suspected, and refused.
        settle_s: after a broken connection, until it is known whether the process ended.
        together_s: ends no further apart than this are one event.
        size: texts remembered; the oldest are forgotten first.
    """

    suspect_s: float = 600.0
    refuse_s: float = 600.0
    settle_s: float = 2.0
    together_s: float = 1.0
    size: int = 8192


@dataclass(slots=True)
class _Record:
    """`ends`: processes that ended with it in flight. `until`: remembered so long."""

    ends: int
    until: float
    poison: bool = False


@dataclass(slots=True)
class _Loss:
    """Chunks whose connection to one process broke, not known yet why."""

    at: float
    chunks: list[Marks]


class Quarantine:
    """Belongs to one event loop."""

    def __init__(self, limits: QuarantineLimits | None = None) -> None:
        self.limits = limits or QuarantineLimits()
        self._records: OrderedDict[bytes, _Record] = OrderedDict()
        self._losses: dict[str, _Loss] = {}
        self._ends_of_late: list[_Loss] = []

    @property
    def is_idle(self) -> bool:
        """Nobody is suspected: no chunk needs a look."""
        return not self._records and not self._losses

    def lost(self, process: str, marks: Marks, now: float) -> None:
        """The connection to this process broke while it had this chunk."""
        loss = self._losses.setdefault(process, _Loss(now, []))
        if sum(map(len, loss.chunks)) + len(marks) <= self.limits.size:
            loss.chunks.append(marks)

    def settle(self, routable: Collection[str], reachable: Collection[str], now: float) -> None:
        """Find out which broken connections were ends.

        Args:
            routable: processes that are there and may be used; one that is not any more ended.
            reachable: those to which the last connection did not break.
        """
        ended = []
        for process, loss in list(self._losses.items()):
            gone = process not in routable
            if now - loss.at < (self.limits.together_s if gone else self.limits.settle_s):
                continue
            if gone or process not in reachable:
                ended.append(loss)
            else:
                del self._losses[process]
        for loss in ended:
            self._ended(self._suspicious(loss, ended), now)
        for process in [each for each, loss in self._losses.items() if loss in ended]:
            del self._losses[process]
        self._ends_of_late += ended
        self._forget(now)

    def scored(self, marks: Marks) -> None:
        """A chunk came back with its answer: nothing in it ends engines."""
        for mark in marks:
            record = self._records.get(mark)
            if record is not None and not record.poison:
                del self._records[mark]

    def standing(self, marks: Marks) -> Standing:
        """How this chunk may travel now."""
        records = [self._records[mark] for mark in marks if mark in self._records]
        if any(record.poison for record in records):
            return Standing.POISON
        ends = max((record.ends for record in records), default=0)
        pending = sum(
            1
            for loss in self._losses.values()
            if any(not set(marks).isdisjoint(chunk) for chunk in loss.chunks)
        )
        if pending and ends + pending >= 2:
            return Standing.UNSETTLED
        if ends >= 2:
            return Standing.ALONE
        return Standing.SUSPECT if ends + pending else Standing.FREE

    def refused(self, marks: Marks) -> list[int]:
        """Places in a chunk of the texts for which it is refused."""
        return [
            place
            for place, mark in enumerate(marks)
            if mark in self._records and self._records[mark].poison
        ]

    def _suspicious(self, loss: _Loss, ended: Sequence[_Loss]) -> list[Marks]:
        """Its chunks; where other processes broke off with it, those that were there as well."""
        others = [
            other
            for other in (*self._losses.values(), *ended, *self._ends_of_late)
            if other is not loss and abs(other.at - loss.at) <= self.limits.together_s
        ]
        if not others:
            return loss.chunks
        elsewhere = {mark for other in others for chunk in other.chunks for mark in chunk}
        return [chunk for chunk in loss.chunks if not elsewhere.isdisjoint(chunk)]

    def _ended(self, chunks: Sequence[Marks], now: float) -> None:
        """A process ended with these chunks in flight; one that alone stands out is guilty."""
        alone = [chunk for chunk in chunks if self._ends(chunk) >= 2]
        again = [chunk for chunk in chunks if self._ends(chunk) >= 1]
        # a chunk and its hedge, or equal texts of two callers, are one and the same
        guilty = set(alone or again)
        if len(guilty) == 1:
            self._convict(guilty.pop(), now)
            return
        for mark in {mark for chunk in chunks for mark in chunk}:
            record = self._records.pop(mark, None)
            ends = 1 if record is None else record.ends + 1
            until = now + self.limits.suspect_s
            self._records[mark] = _Record(ends, until, record is not None and record.poison)
        while len(self._records) > self.limits.size:
            self._records.popitem(last=False)

    def _convict(self, chunk: Marks, now: float) -> None:
        """Those of its texts that were at the earlier end too; the others came along."""
        for mark in chunk:
            record = self._records.pop(mark, None)
            if record is not None:
                until = now + self.limits.refuse_s
                self._records[mark] = _Record(record.ends + 1, until, poison=True)

    def _ends(self, chunk: Marks) -> int:
        records = (self._records.get(mark) for mark in chunk)
        return max((record.ends for record in records if record and not record.poison), default=0)

    def _forget(self, now: float) -> None:
        for mark in [mark for mark, record in self._records.items() if record.until <= now]:
            del self._records[mark]
        late_s = self.limits.settle_s + self.limits.together_s
        self._ends_of_late = [each for each in self._ends_of_late if now - each.at <= late_s]


def marks_of(job: ScoreJob | EmbedJob) -> Marks:
    """One mark per text, 16 bytes each; no text can be told from its mark."""
    if isinstance(job, EmbedJob):
        return tuple(_mark(job.input_type.value, text) for text in job.texts)
    instruction = _NO_INSTRUCTION if job.instruction is None else job.instruction
    head = f"{len(instruction)}:{instruction}{len(job.query)}:{job.query}"
    return tuple(_mark(head, document) for document in job.documents)


def _mark(head: str, text: str) -> bytes:
    whole = f"{len(head)}:{head}{text}".encode("utf-8", "surrogatepass")
    return hashlib.blake2b(whole, digest_size=16).digest()
