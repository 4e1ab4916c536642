"""Which replicas there are, how many there shall be, and on which card one may start."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from monitor.cardbook import CardBook
from monitor.keeper import UP
from monitor.model import Health, Identity, Moment, Reason
from monitor.pace import PaceLimits
from monitor.probes.process import read_stat
from monitor.replica import Command, CommandKind, Phase, Replica
from monitor.scaling import (
    CPU_ENGINES,
    Load,
    Placement,
    ScalingLimits,
    ScalingState,
    place,
    resize,
)
from monitor.tenancy import Holder
from monitor.watch import Watch

QUICK_S = 0.1
"""Between two looks while something starts or ends."""
_DOUBTFUL_S = 0.25

log = logging.getLogger("rankguard.watchdog")


class Roster:
    """Owned by the loop's thread."""

    def __init__(
        self,
        watches: Sequence[Watch],
        cards: CardBook,
        *,
        scaling: ScalingLimits | None,
        make_watch: Callable[[str], Watch] | None,
        may_start: Callable[[str], Reason | None],
        cards_known: Callable[[], bool],
    ) -> None:
        """Begin with these watches; the other arguments are the loop's."""
        self._watches = {watch.replica.id: watch for watch in watches}
        self._cards = cards
        self.scaling = scaling or ScalingLimits(len(watches), len(watches))
        self._size = ScalingState(len(watches))
        self._make_watch = make_watch
        self._may_start = may_start
        self._cards_known = cards_known
        self.surge: str | None = None  # one replica more, while a rollout needs it

    def __iter__(self) -> Iterator[Watch]:
        return iter(tuple(self._watches.values()))

    def get(self, replica_id: str) -> Watch | None:
        return self._watches.get(replica_id)

    @property
    def wanted(self) -> int:
        """How many replicas there shall be."""
        return self._size.size

    def identities(self) -> dict[str, Identity]:
        """The processes that are replicas now."""
        found = ((one.replica.id, one.replica.identity) for one in self)
        return {name: identity for name, identity in found if identity is not None}

    def others(self, watch: Watch) -> list[Replica]:
        return [one.replica for one in self if one is not watch]

    def mind_pace(self, watch: Watch, limits: PaceLimits, now: Moment) -> None:
        """Compare a replica that serves with those that serve beside it."""
        manifest = watch.manifest
        if manifest is None or watch.replica.phase is not Phase.SERVING:
            return
        watch.track.see_kind(manifest.fingerprint, self._cards.name_of(watch.replica.gpu_uuid))
        others = [one for one in self if one is not watch and one.replica.routable]
        watch.mind_pace([one.track.pace() for one in others], limits, now.mono)

    def rescale(self, load: Load | None, now: Moment) -> list[str]:
        """Add and drain replicas as the load asks; returns who is gone for good."""
        self._size = resize(self._size, load, self.scaling, now.mono)
        wanted = {f"replica-{index}" for index in range(self._size.size)}
        if self.surge is not None:
            wanted.add(self.surge)
        for replica_id in sorted(wanted - set(self._watches)):
            if self._make_watch is not None:
                log.info("scaling: adding %s", replica_id)
                self._watches[replica_id] = watch = self._make_watch(replica_id)
                if watch.replica.phase in {Phase.DRAINED, Phase.FAILED} and (
                    watch.replica.reason is not Reason.OPERATOR
                ):
                    # how its last life ended says nothing about this one
                    watch.command = Command(CommandKind.RESTART, reason=Reason.SCALED)
        gone = []
        for replica_id, watch in list(self._watches.items()):
            if replica_id in wanted:
                continue
            if watch.replica.phase is Phase.DRAINED and watch.replica.identity is None:
                del self._watches[replica_id]
                gone.append(replica_id)
            elif watch.replica.phase is not Phase.DRAINED and not watch.leaving:
                log.info("scaling: draining %s", replica_id)
                watch.leaving = True
                watch.command = Command(CommandKind.DRAIN, reason=Reason.SCALED)
        return gone

    def spare(self) -> str | None:
        """The name of a replica that could be added; None when none can."""
        if self._make_watch is None:
            return None
        names = (f"replica-{index}" for index in range(len(self._watches) + 1))
        return next(name for name in names if name not in self._watches)

    def freeze(self) -> None:
        """Neither add nor drain any more."""
        count = len(self._watches)
        self._size = replace(self._size, size=count)
        self.scaling = ScalingLimits(count, count)

    def placement(self, watch: Watch) -> Placement:
        """Where a replica may start now.

        After failures in a row one at a time: a cause that they share must not be multiplied.
        """
        refused = self._may_start(watch.replica.id)
        if refused is not None:
            return Placement(refused=refused)
        others = self.others(watch)
        if watch.replica.failures >= 2 and any(one.phase is Phase.STARTING for one in others):
            return Placement(refused=Reason.ONE_AT_A_TIME)
        if not self._cards_known():
            return Placement(refused=Reason.AWAITING_GPUS)
        taken: dict[str, int] = {}
        for other in others:
            if other.gpu_uuid is not None and other.phase in UP:
                taken[other.gpu_uuid] = taken.get(other.gpu_uuid, 0) + 1
        return place(
            self._cards.places(self._has_ended),
            taken,
            preferred=watch.replica.gpu_uuid,
            engine=watch.engine,
        )

    def cards_in_use(self) -> set[str]:
        """The cards on which replicas run."""
        on_cards = (
            one.replica.gpu_uuid
            for one in self
            if one.replica.phase in UP and one.engine not in CPU_ENGINES
        )
        found = (self._cards.card_of(uuid) for uuid in on_cards)
        return {uuid for uuid in found if uuid is not None}

    def _has_ended(self, card: str, holder: Holder) -> bool:
        """Whether a replica's process is gone; on another card than its own it is none of it."""
        if not holder.replica:
            return True  # of a recording
        watch = self._watches.get(holder.replica)
        uuid = None if watch is None else watch.replica.gpu_uuid
        own = uuid is None or self._cards.card_of(uuid) == card
        return own and read_stat(holder.pid) is None

    def pause_s(self, poll_s: float, now: Moment) -> float:
        """Seconds until the next look at everybody is due."""
        if any(one.replica.phase in {Phase.STARTING, Phase.STOPPING} for one in self):
            return min(QUICK_S, poll_s)
        if any(one.verdict and one.verdict.health is Health.SUSPECT for one in self):
            return min(_DOUBTFUL_S, poll_s)
        waits = [
            one.replica.start_at - now.mono for one in self if one.replica.phase is Phase.STOPPED
        ]
        if waits:
            return min(max(QUICK_S, min(waits)), poll_s)
        return poll_s
