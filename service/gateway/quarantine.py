"""Texts that end the engines which score them: who is suspected, who is refused. PURE.

A process that ends takes innocent work with it, so one end says nothing, and neither do two:
whoever kills all replicas meets a text where it is, and again where it is tried next. Whatever was
in flight at two ends is tried once more, with a replica for itself; when that one ends too, it is
refused for a while. Processes that end together have a cause in common, whether they had work or
not: then only texts that were at several of them are suspected. A text that is scored is a suspect
no longer. Time comes in as monotonic seconds; nothing here knows HTTP or files.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from service.embedding import EmbedJob
from service.request import ScoreJob

Marks = tuple[bytes, ...]
"""One per text of a chunk, in order: names the text with all that an engine computes it with."""

_NO_INSTRUCTION = "\0"
_NOBODY: Mapping[str, float] = MappingProxyType({})

ENDS_BEFORE_ALONE = 2
"""Ends at which a text was in flight before it is tried alone; the next one is its own doing."""


class Standing(str, Enum):
    """How a chunk may travel."""

    FREE = "free"
    SUSPECT = "suspect"  # in flight at one end: to one replica at a time
    UNSETTLED = "unsettled"  # whether the last replica ended is known in a moment
    ALONE = "alone"  # in flight at two ends: with a replica for itself, one such chunk at a time
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
    """Chunks whose connection to one process broke, not known yet why.

    `alone`: the one of them that had the process for itself.
    """

    at: float
    chunks: list[Marks]
    alone: Marks | None = None


class Quarantine:
    """Belongs to one event loop."""

    def __init__(self, limits: QuarantineLimits | None = None) -> None:
        self.limits = limits or QuarantineLimits()
        self._records: OrderedDict[bytes, _Record] = OrderedDict()
        self._losses: dict[str, _Loss] = {}
        self._ends_of_late: dict[str, _Loss] = {}

    @property
    def is_idle(self) -> bool:
        """Nobody is suspected: no chunk needs a look."""
        return not self._records and not self._losses

    def lost(self, process: str, marks: Marks, now: float, *, alone: bool = False) -> None:
        """The connection to this process broke while it had this chunk, or had it `alone`."""
        loss = self._losses.setdefault(process, _Loss(now, []))
        if alone:
            loss.alone = marks
        if sum(map(len, loss.chunks)) + len(marks) <= self.limits.size:
            loss.chunks.append(marks)

    def settle(
        self,
        routable: Collection[str],
        reachable: Collection[str],
        now: float,
        departed: Mapping[str, float] = _NOBODY,
    ) -> None:
        """Find out which broken connections were ends.

        Args:
            routable: processes that are there and may be used; one that is not any more ended.
            reachable: those to which the last connection did not break.
            departed: those that were used until a moment ago and when that was over, with work in
                flight or without.
        """
        there = {*routable} & {*reachable}
        left = {process: at for process, at in departed.items() if process not in there}
        ended = {}
        for process, loss in list(self._losses.items()):
            gone = process not in routable
            if now - loss.at < (self.limits.together_s if gone else self.limits.settle_s):
                continue
            if gone or process not in reachable:
                ended[process] = loss
            else:
                del self._losses[process]
        for process, loss in ended.items():
            self._ended(self._suspicious(process, left), loss.alone, now)
        for process in ended:
            self._ends_of_late[process] = self._losses.pop(process)
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
        if pending and ends + pending >= ENDS_BEFORE_ALONE:
            return Standing.UNSETTLED
        if ends >= ENDS_BEFORE_ALONE:
            return Standing.ALONE
        return Standing.SUSPECT if ends + pending else Standing.FREE

    def refused(self, marks: Marks) -> list[int]:
        """Places in a chunk of the texts for which it is refused."""
        return [
            place
            for place, mark in enumerate(marks)
            if mark in self._records and self._records[mark].poison
        ]

    def _suspicious(self, process: str, left: Mapping[str, float]) -> list[Marks]:
        """Its chunks; where other processes ended with it, those that were there as well."""
        loss = self._losses[process]
        # what a broken connection tells of a process is more than that it is not there any more
        broken = {**self._ends_of_late, **self._losses}
        ends = {**left, **{other: each.at for other, each in broken.items()}}
        others = [
            other
            for other, at in ends.items()
            if other != process and abs(at - loss.at) <= self.limits.together_s
        ]
        if not others:
            return loss.chunks
        elsewhere = {
            mark
            for other in others
            if other in broken
            for chunk in broken[other].chunks
            for mark in chunk
        }
        return [chunk for chunk in loss.chunks if not elsewhere.isdisjoint(chunk)]

    def _ended(self, chunks: Sequence[Marks], alone: Marks | None, now: float) -> None:
        """A process ended with these chunks in flight; the one that had it for itself is guilty."""
        nothing_else = {*chunks} == {alone}
        for mark in {mark for chunk in chunks for mark in chunk}:
            record = self._records.pop(mark, None) or _Record(0, now)
            guilty = nothing_else and record.ends >= ENDS_BEFORE_ALONE
            record.ends += 1
            record.poison |= guilty
            record.until = now + (self.limits.refuse_s if guilty else self.limits.suspect_s)
            self._records[mark] = record
        while len(self._records) > self.limits.size:
            self._records.popitem(last=False)

    def _forget(self, now: float) -> None:
        for mark in [mark for mark, record in self._records.items() if record.until <= now]:
            del self._records[mark]
        late_s = self.limits.settle_s + self.limits.together_s
        for process in [
            each for each, loss in self._ends_of_late.items() if now - loss.at > late_s
        ]:
            del self._ends_of_late[process]


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
