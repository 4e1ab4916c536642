"""Scores of pairs seen before: bounded in bytes, and one computation for equal pairs in flight.

Knows neither replicas nor requests; the event loop's one thread is its lock.
"""

from __future__ import annotations

import asyncio
import collections
import hashlib
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from service.request import Score

ENTRY_BYTES = 400
"""What one pair takes: digest, score, and its place in the table; measured in the test."""

DIGEST_BYTES = 16


class Flight:
    """Pairs that one request is scoring while others wait for them."""

    __slots__ = ("_landed", "fingerprint", "scores")

    def __init__(self) -> None:
        self._landed = asyncio.Event()
        self.scores: dict[bytes, Score] = {}
        self.fingerprint = ""

    def land(self, scores: Mapping[bytes, Score], fingerprint: str) -> None:
        """Wake who waits; pairs that are not in `scores` have to be scored by them."""
        if not self._landed.is_set():
            self.scores.update(scores)
            self.fingerprint = fingerprint
            self._landed.set()

    async def wait(self) -> None:
        await self._landed.wait()


@dataclass(slots=True)
class Claim:
    """What is to be done for some pairs: nothing, to score them, or to wait for others.

    Attributes:
        known: scores that were there.
        own: pairs that the holder of this claim has to score, and then to `settle` it; with the
            place at which each came first.
        shared: pairs that others are scoring, by whose flight.
    """

    known: dict[bytes, Score] = field(default_factory=dict)
    own: dict[bytes, int] = field(default_factory=dict)
    shared: dict[Flight, list[bytes]] = field(default_factory=dict)
    flight: Flight = field(default_factory=Flight)


class ScoreCache:
    """Least recently used pairs leave first."""

    def __init__(self, max_bytes: int) -> None:
        self._max_entries = max_bytes // ENTRY_BYTES
        self._entries: collections.OrderedDict[bytes, Score] = collections.OrderedDict()
        self._flights: dict[bytes, Flight] = {}
        # keyed, so that nobody can prepare two texts of one digest
        self._salt = secrets.token_bytes(32)

    @property
    def enabled(self) -> bool:
        return self._max_entries > 0

    @property
    def size_bytes(self) -> int:
        return len(self._entries) * ENTRY_BYTES

    def keys(self, scope: Sequence[str], query: str, documents: Iterable[str]) -> list[bytes]:
        """The pairs' names.

        Args:
            scope: what else the scores depend on: model fingerprint, instruction, cutting.
        """
        start = hashlib.blake2b(digest_size=DIGEST_BYTES, key=self._salt)
        for part in (*scope, query):
            data = part.encode("utf-8", "surrogatepass")
            # with its length, so that no two lists of parts run together into the same bytes
            start.update(len(data).to_bytes(8, "little"))
            start.update(data)
        keys = []
        for document in documents:
            digest = start.copy()
            digest.update(document.encode("utf-8", "surrogatepass"))
            keys.append(digest.digest())
        return keys

    def claim(self, keys: Iterable[bytes]) -> Claim:
        """Divide the pairs into those that are known, those to score, and those to wait for.

        Whoever claims has to `settle`, whatever becomes of its scoring.
        """
        claim = Claim()
        if not self.enabled:
            for place, key in enumerate(keys):
                claim.own.setdefault(key, place)
            return claim
        for place, key in enumerate(keys):
            if key in claim.own or key in claim.known:
                continue
            score = self._entries.get(key)
            if score is not None:
                self._entries.move_to_end(key)
                claim.known[key] = score
                continue
            flight = self._flights.get(key)
            if flight is not None:
                claim.shared.setdefault(flight, []).append(key)
            else:
                claim.own[key] = place
                self._flights[key] = claim.flight
        return claim

    def settle(
        self,
        claim: Claim,
        scores: Mapping[bytes, Score],
        fingerprint: str = "",
        *,
        keep: bool = True,
    ) -> None:
        """Wake who waits for these pairs, and keep their scores; errors are not kept.

        Args:
            fingerprint: of the model that scored them.
            keep: whether that is the model under whose fingerprint the pairs were named.
        """
        for key in claim.own:
            if self._flights.get(key) is claim.flight:
                del self._flights[key]
        if keep:
            self._entries.update(
                (key, score) for key, score in scores.items() if score.error is None
            )
        while len(self._entries) > self._max_entries:
            self._entries.popitem(last=False)
        claim.flight.land(scores, fingerprint)
