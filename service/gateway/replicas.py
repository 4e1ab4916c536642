"""The replicas: read from the state directory, leased to chunks, left alone while they fail.

Who gets what is decided in routing.py; what a lease is used for is dispatch.py's business.
"""

from __future__ import annotations

import asyncio
import collections
import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping

from service.gateway import routing
from service.gateway.directory import Directory, Seen
from service.gateway.replica import Replica, key_of
from service.gateway.routing import Candidate, Choice, Failure, Health, Why
from service.manifest import routable

logger = logging.getLogger(__name__)

POLL_S = 0.1
DISTRUST = "canary_"
"""How the watchdog's reasons begin when a replica scored known pairs wrong."""

GONE_AFTER_S = 1.0
"""A worker that ends in order answers, then removes its manifest: so long for the last answers."""

DEPARTED_S = 10.0
"""Departures are known for longer than quarantine.py compares their times."""


class NoReplica(Exception):
    """None could take the chunk before its deadline; `why` says what stood in the way."""

    def __init__(self, why: Why) -> None:
        super().__init__(why.value)
        self.why = why


class Lease:
    """Room for one chunk on one replica; `release` is to be called exactly once.

    `alone`: nothing else has room on the replica until then.
    """

    __slots__ = ("_owner", "alone", "replica", "tokens")

    def __init__(self, owner: Replicas, replica: Replica, tokens: int, *, alone: bool) -> None:
        self._owner = owner
        self.replica = replica
        self.tokens = tokens
        self.alone = alone
        replica.outstanding += tokens

    def release(self) -> None:
        self.replica.outstanding -= self.tokens
        self._owner.wake()


class Replicas:
    """All replicas, and the queue of chunks that wait for one.

    Waiting is first come, first served. Whoever waits is woken when a lease is released, when a
    replica appears or becomes routable, and when the pause of an ejected one is over.
    """

    def __init__(
        self,
        directory: Directory,
        *,
        capacity: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._directory = directory
        self._capacity = capacity
        self._clock = clock
        self._replicas: dict[str, Replica] = {}
        self._leaving: list[Replica] = []
        self._departed: dict[str, float] = {}
        self._waiting: collections.deque[asyncio.Event] = collections.deque()
        self._fingerprint = ""
        self._model = ""
        self._was_routable = False
        self.readable = True
        self.outages = 0
        self.distrusted = 0

    # what is there

    def all(self) -> list[Replica]:
        return list(self._replicas.values())

    def routable(self) -> list[Replica]:
        return [one for one in self._replicas.values() if one.routable]

    @property
    def departed(self) -> Mapping[str, float]:
        """Replicas that could be used until a moment ago, by key, and when that was over."""
        return self._departed

    @property
    def waiting(self) -> int:
        """Chunks that wait for a replica."""
        return len(self._waiting)

    @property
    def fingerprint(self) -> str:
        """Names the scores that are given out now; the last one known while no replica is there."""
        return self._fingerprint

    @property
    def model(self) -> str:
        """The name of what gives the scores now; the last one known while no replica is there."""
        return self._model

    def not_ready_reason(self) -> str | None:
        """None when there is a replica to route to, else why not, in a few words."""
        routable = self.routable()
        if any(one.health.reachable for one in routable):
            return None
        if routable:
            return ", ".join(f"{one.id} does not accept connections" for one in routable)
        if not self.readable:
            return "the state directory cannot be read"
        if not self._replicas:
            return "no replica has started"
        words = (
            f"{one.id} {one.reason}" + (f": {one.manifest.reason}" if one.manifest.reason else "")
            for one in self._replicas.values()
        )
        return ", ".join(words)

    # keeping up with the state directory

    async def watch(self) -> None:
        """Read the state directory again and again; ends when cancelled."""
        while True:
            try:
                seen = await asyncio.to_thread(self._directory.read)
            except OSError as error:
                # what is known stays known: replicas go on serving without the directory
                if self.readable:
                    logger.warning("state directory unreadable", extra={"error": error.strerror})
                self.readable = False
            else:
                self.readable = True
                self.update(seen)
            await asyncio.sleep(POLL_S)

    def update(self, seen: Iterable[Seen]) -> None:
        """Take over what the state directory says now."""
        now = self._clock()
        current: dict[str, Replica] = {}
        for one in seen:
            may, reason = routable(one.manifest, one.verdict)
            key = key_of(one.manifest)
            replica = self._replicas.pop(key, None)
            if replica is None:
                replica = Replica(one.manifest, routable=may, reason=reason)
                logger.info("replica seen", extra={"replica": replica.id, "reason": reason})
            elif (may, reason) != (replica.routable, replica.reason):
                logger.info("replica changed", extra={"replica": replica.id, "reason": reason})
            if replica.routable and not may and reason.startswith(DISTRUST):
                self.distrusted += 1
            if not may:
                self._note_departure(replica)
            replica.manifest, replica.routable, replica.reason = one.manifest, may, reason
            current[key] = replica
        ids = {one.id for one in current.values()}
        for replica in self._replicas.values():
            self._note_departure(replica)
            # where the next generation runs already, the last one does not answer any more
            replica.routable = False
            replica.gone_at = now - GONE_AFTER_S if replica.id in ids else now
            logger.info("replica gone", extra={"replica": replica.id})
            self._leaving.append(replica)
        if not any(one.routable for one in current.values()) and self._was_routable:
            self.outages += 1
        self._was_routable = any(one.routable for one in current.values())
        self._replicas = current
        self._abandon(now)
        self._choose_fingerprint()
        self.wake()

    def _note_departure(self, replica: Replica) -> None:
        """To be called before what makes it unusable is noted."""
        if replica.routable and replica.health.reachable:
            now = self._clock()
            recent = {key: at for key, at in self._departed.items() if now - at <= DEPARTED_S}
            self._departed = {**recent, replica.key: now}

    def _abandon(self, now: float) -> None:
        """End what still waits for an answer of a generation that is no more."""
        staying = []
        for replica in self._leaving:
            if replica.gone_at is not None and now - replica.gone_at >= GONE_AFTER_S:
                for task in replica.work:
                    task.cancel()
            elif replica.work:
                staying.append(replica)
        self._leaving = staying

    def _choose_fingerprint(self) -> None:
        """Scores of unlike fingerprints are not comparable: one of them is given out at a time."""
        routable = [one.manifest for one in self._replicas.values() if one.routable]
        counts = collections.Counter(manifest.fingerprint for manifest in routable)
        if routable and counts[self._fingerprint] * 2 < len(routable):
            self._fingerprint = counts.most_common(1)[0][0]
        for manifest in routable:
            if manifest.fingerprint == self._fingerprint:
                self._model = manifest.model

    # leases

    def try_lease(self, tokens: int, avoid: Collection[str] = ()) -> tuple[Lease | None, Choice]:
        """Room on the best replica now, without waiting and without regard to who waits."""
        now = self._clock()
        candidates = [
            Candidate(
                key,
                one.routable and one.manifest.fingerprint == self._fingerprint,
                one.outstanding,
                one.health,
                one.stalled_until > now,
            )
            for key, one in self._replicas.items()
        ]
        choice = routing.choose(
            candidates, tokens=tokens, capacity=self._capacity, now=now, avoid=avoid
        )
        if choice.key is None:
            return None, choice
        # routing gives no replica to a chunk of this size but an idle one, and then to nobody else
        alone = tokens >= self._capacity
        return Lease(self, self._replicas[choice.key], tokens, alone=alone), choice

    async def lease(
        self,
        tokens: int,
        *,
        deadline: float,
        avoid: Collection[str] = (),
        alone: bool = False,
    ) -> Lease:
        """Room on a replica, or all of it for one chunk `alone`, waiting for it in turn.

        Raises:
            NoReplica: the deadline passed.
        """
        if alone:
            tokens = max(tokens, self._capacity)
        if not self._waiting:
            lease, _ = self.try_lease(tokens, avoid)
            if lease is not None:
                return lease
        turn = asyncio.Event()
        self._waiting.append(turn)
        try:
            return await self._wait_for_lease(turn, tokens, deadline, avoid)
        finally:
            self._waiting.remove(turn)
            self.wake()

    async def _wait_for_lease(
        self, turn: asyncio.Event, tokens: int, deadline: float, avoid: Collection[str]
    ) -> Lease:
        while True:
            why, until = Why.ALL_FULL, deadline
            if self._waiting[0] is turn:
                lease, choice = self.try_lease(tokens, avoid)
                if lease is not None:
                    return lease
                why = choice.why
                until = min(deadline, choice.look_again_at or deadline)
            now = self._clock()
            if now >= deadline:
                raise NoReplica(why if self.routable() else Why.NONE_READY)
            turn.clear()
            # no TimeLimit: the end of the pause is a turn like any other
            timer = asyncio.get_running_loop().call_later(max(0.0, until - now), turn.set)
            try:
                await turn.wait()
            finally:
                timer.cancel()

    def wake(self) -> None:
        """Let the chunk that waits longest look again; it wakes the next when it is served."""
        if self._waiting:
            self._waiting[0].set()

    # what chunks saw

    def succeeded(self, replica: Replica) -> None:
        replica.health = Health()
        replica.stalled_until = 0.0

    def stalled(self, replica: Replica) -> None:
        """Note that a chunk on it is late."""
        replica.stalled_until = self._clock() + routing.STALLED_S

    def reached(self, replica: Replica) -> None:
        before = replica.health
        replica.health = routing.after_contact(before, self._clock())
        if replica.health is not before:
            self.wake()

    def failed(self, replica: Replica, failure: Failure) -> bool:
        """Note a failure. True when the replica is ejected by it."""
        before = replica.health
        after = routing.after_failure(before, failure, self._clock())
        if not after.reachable:
            self._note_departure(replica)
        replica.health = after
        ejected = after.failures > before.failures
        if ejected:
            logger.warning(
                "replica ejected", extra={"replica": replica.id, "reason": failure.value}
            )
        return ejected
