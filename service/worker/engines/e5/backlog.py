"""Which windows go into the next forward pass. PURE: numbers in, numbers out, no thread, no clock.

Windows of similar length share a pass, since the short ones are padded to the longest. Jobs take
turns, so that a job of one document does not wait for a job of a thousand.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

_TOLERANCE = 5  # a window joins a pass when it is at most a fifth shorter than its longest …
_TOLERANCE_TOKENS = 4  # … or at most this much


@dataclass(frozen=True, slots=True)
class Item:
    """One window: the job's number, the window's place in the job."""

    job: int
    index: int


class Backlog:
    """Windows that wait, by job. Not thread-safe: its owner has the lock."""

    def __init__(self, max_tokens: int) -> None:
        """Make an empty one that takes at most `max_tokens` over all jobs."""
        self._max_tokens = max_tokens
        self._tokens = 0
        self._jobs: OrderedDict[int, list[tuple[int, int]]] = OrderedDict()

    @property
    def tokens(self) -> int:
        """Tokens that wait."""
        return self._tokens

    def add(self, job: int, lengths: Sequence[int]) -> bool:
        """Queue a job's windows; False, and nothing is queued, when they do not fit."""
        total = sum(lengths)
        if self._tokens + total > self._max_tokens:
            return False
        self._tokens += total
        self._jobs[job] = sorted((length, index) for index, length in enumerate(lengths))
        return True

    def drop(self, job: int) -> None:
        """Forget what waits of a job; nothing when nothing does."""
        self._tokens -= sum(length for length, _ in self._jobs.pop(job, []))

    def take(self, budget: int) -> list[Item]:
        """Remove and return the windows of the next pass; empty when nothing waits.

        The job whose turn it is sets the length with its longest window; the jobs then give one
        fitting window each, in turn, until the padded pass would hold more than `budget` tokens.
        A window longer than the budget goes alone.
        """
        if not self._jobs:
            return []
        order = list(self._jobs)
        self._jobs.move_to_end(order[0])
        longest = self._jobs[order[0]][-1][0]
        shortest = min(longest - longest // _TOLERANCE, longest - _TOLERANCE_TOKENS)
        room = max(1, budget // longest)
        taken: list[Item] = []
        while order and len(taken) < room:
            order = [job for job in order if self._give(job, shortest, longest, taken, room)]
        return taken

    def _give(self, job: int, shortest: int, longest: int, taken: list[Item], room: int) -> bool:
        """Move one window of `job` to `taken` if one fits; False when the job has no more."""
        waiting = self._jobs[job]
        at = bisect_right(waiting, (longest + 1,)) - 1
        if len(taken) >= room or at < 0 or waiting[at][0] < shortest:
            return False
        length, index = waiting.pop(at)
        self._tokens -= length
        taken.append(Item(job, index))
        if not waiting:
            del self._jobs[job]
            return False
        return True
