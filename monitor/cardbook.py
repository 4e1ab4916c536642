"""All cards: what was last seen of each, its XIDs, its verdict, and who may be placed on it."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from monitor.cardhealth import (
    CardEvidence,
    CardLimits,
    CardState,
    CardVerdict,
    Finding,
    duplicate,
    feel,
    judge,
    last_action,
    settled,
)
from monitor.gpu import Card, CardSample, Field, GpuRound, Instance, XidEvent, bus_id
from monitor.model import Reason, Unavailable, Why
from monitor.scaling import Place
from monitor.tenancy import (
    Holder,
    Owner,
    OwnerOf,
    Tenancy,
    find_strangers,
    free_ratio,
    tenancy,
)
from monitor.xid import BURST_S, XidClass, classify, condemns

_MAX_XIDS = 100  # remembered per card; a storm is one incident and a count
_HISTORY = 120  # samples behind a sparkline
_LONG_S = 10.0  # for how long a stranger must hold much of a card to be told of


@dataclass(frozen=True, slots=True)
class CardView:
    """One card at the end of a tick, for exporter and page."""

    card: Card
    sample: CardSample
    verdict: CardVerdict
    cordoned: bool = False
    xids: Mapping[int, int] = field(default_factory=dict)
    last_xid_at: Mapping[int, float] = field(default_factory=dict)
    utilization: tuple[float, ...] = ()
    tenancy: Tenancy = field(default_factory=Tenancy)


class _Entry:
    """Mutable, and owned by the loop's thread."""

    def __init__(self, sample: CardSample) -> None:
        self.evidence = CardEvidence(sample)
        self.verdict = CardVerdict(CardState.UNKNOWN)
        self.xids: deque[XidEvent] = deque(maxlen=_MAX_XIDS)
        self.counts: Counter[int] = Counter()
        self.last_wall: dict[int, float] = {}
        self.utilization: deque[float] = deque(maxlen=_HISTORY)
        self.tenancy = Tenancy()
        self.instances: tuple[Instance, ...] = sample.instances
        self.held: Finding | None = None
        self.held_since: float | None = None

    def findings(self) -> tuple[Finding, ...]:
        return self.verdict.findings if self.held is None else (*self.verdict.findings, self.held)


class CardBook:
    """Owned by the loop's thread; moments are `time.monotonic()` seconds."""

    def __init__(self, limits: CardLimits) -> None:
        self._limits = limits
        self._entries: dict[str, _Entry] = {}
        self._cordons: dict[str, float | None] = {}
        # by card and code the newest: no storm of others pushes one out
        self._condemned: dict[str, dict[int, XidEvent]] = {}
        self._early: deque[XidEvent] = deque(maxlen=_MAX_XIDS)
        self.driver: str | Unavailable | None = None
        self._driver_gone_since: float | None = None
        self.round: GpuRound | None = None
        self._looked_at: float | None = None

    @property
    def known(self) -> bool:
        """There was a look at the cards, or none will come of it: the driver said so."""
        driver = self.driver
        starting = isinstance(driver, Unavailable) and driver.why is Why.NOT_ANSWERING
        return self.round is not None and not starting

    def see(
        self,
        found: GpuRound,
        now: float,
        wall: float,
        owner_of: OwnerOf | None = None,
        *,
        running: Collection[str] = (),
    ) -> list[XidEvent]:
        """Take one look; returns the XIDs that are new.

        Args:
            owner_of: whose a process is; None: nobody can tell, and nobody is told of.
            running: the cards on which a replica runs.
        """
        self.round = found
        self._looked_at = now
        self.driver = found.driver
        gone = isinstance(found.driver, Unavailable)
        self._driver_gone_since = (self._driver_gone_since or now) if gone else None
        listed = {sample.card.uuid for sample in found.cards}
        self._entries = {uuid: one for uuid, one in self._entries.items() if uuid in listed}
        for sample in found.cards:
            self._see_card(sample, now)
            if owner_of is not None:
                entry = self._entries[sample.card.uuid]
                entry.tenancy = tenancy(sample, owner_of, runs=sample.card.uuid in running)
                self._see_strangers(entry, now)
        # the kernel's log is read at once at a start, and may tell of cards before they are known
        early = [event for event in self._early if now - event.at < self._limits.xid_s]
        self._early.clear()
        new = [event for event in (*early, *found.xids) if self.see_xid(event, wall)]
        self.judge(now)
        return new

    def expire(self, now: float, wall: float, every_s: float) -> None:
        """Readings that nobody renews are none, and are not shown as if they were.

        Args:
            every_s: between two looks.
        """
        looked_at = self._looked_at
        if looked_at is None or now - looked_at <= max(self._limits.stale_s, 3 * every_s):
            return
        blind = Unavailable(Why.DRIVER_GONE, f"no look at the cards for {now - looked_at:.0f} s")
        cards = [
            CardSample(one.evidence.sample.card, fault=blind) for one in self._entries.values()
        ]
        self.see(GpuRound(now, blind, tuple(cards)), now, wall)
        self._looked_at = looked_at

    def _see_card(self, sample: CardSample, now: float) -> None:
        entry = self._entries.get(sample.card.uuid)
        if entry is None:
            entry = self._entries[sample.card.uuid] = _Entry(sample)
        before = entry.evidence
        faulty = sample.fault is not None
        if not faulty:  # a card that cannot be read still has the devices that replicas are on
            entry.instances = sample.instances
        entry.evidence = replace(
            before,
            sample=sample,
            faulty_since=(before.faulty_since or now) if faulty else None,
            faulty_rounds=before.faulty_rounds + 1 if faulty else 0,
            well_since=None if faulty else (before.well_since or now),
            heat=feel(before.heat, sample, self._limits, now),
        )
        entry.evidence = replace(entry.evidence, action=last_action(entry.evidence))
        utilization = sample.number(Field.UTILIZATION)
        if utilization is not None:
            entry.utilization.append(utilization)

    def _see_strangers(self, entry: _Entry, now: float) -> None:
        total = entry.evidence.sample.number(Field.MEMORY_TOTAL)
        held = find_strangers(entry.tenancy, total)
        entry.held_since = None if held is None else (entry.held_since or now)
        since = entry.held_since
        entry.held = held if since is not None and now - since >= _LONG_S else None

    def see_xid(self, event: XidEvent, wall: float) -> bool:
        """Take one XID; False when another source told of it already.

        False too for a card that is not known yet: the look that finds it returns the event.
        """
        entry = self._by_address(event.pci_bus_id)
        if entry is None:
            self._early.append(event)
            return False
        if duplicate(event, tuple(entry.xids), BURST_S):
            return False
        entry.xids.append(event)
        entry.counts[event.xid] += 1
        entry.last_wall[event.xid] = wall
        if condemns(event.xid):
            self.condemn(entry.evidence.sample.card.uuid, event)
        return True

    def judge(self, now: float) -> None:
        limits = self._limits
        for uuid, entry in self._entries.items():
            while entry.xids and now - entry.xids[0].at > limits.xid_s:
                entry.xids.popleft()
            self._settle(uuid, entry.evidence, now)
            entry.evidence = replace(
                entry.evidence,
                xids=tuple(entry.xids),
                condemned=_oldest_first(self._condemned.get(uuid, {})),
            )
            entry.verdict = judge(entry.evidence, limits, now)
        self._cordons = {
            uuid: until for uuid, until in self._cordons.items() if until is None or until > now
        }

    def _settle(self, uuid: str, evidence: CardEvidence, now: float) -> None:
        """Forget what is over."""
        events = self._condemned.pop(uuid, {})
        left = {
            xid: event
            for xid, event in events.items()
            if not settled(evidence, event, self._limits, now)
        }
        if left:
            self._condemned[uuid] = left

    def fault_of(self, uuid: str | None) -> Reason | None:
        """Why nothing may run on this card."""
        entry = self._entry_of(uuid)
        return None if entry is None else entry.verdict.reason

    def card_of(self, uuid: str | None) -> str | None:
        """The card itself, also of one of its MIG devices; None for what is not known."""
        entry = self._entry_of(uuid)
        return None if entry is None else entry.evidence.sample.card.uuid

    def name_of(self, uuid: str | None) -> str:
        """What sort of card it is; empty where nothing is known of it."""
        entry = self._entry_of(uuid)
        return "" if entry is None else entry.evidence.sample.card.name

    def restarts_app(self, event: XidEvent) -> str | None:
        """The card whose application must be restarted for this event."""
        if classify(event.xid) is not XidClass.RESTART_APP:
            return None
        entry = self._by_address(event.pci_bus_id)
        return None if entry is None else entry.evidence.sample.card.uuid

    def findings(self) -> dict[str | None, tuple[Finding, ...]]:
        """What to tell of each card; under None of the host. Cordoned cards are not told of."""
        found: dict[str | None, tuple[Finding, ...]] = {
            uuid: () if uuid in self._cordons else entry.findings()
            for uuid, entry in self._entries.items()
        }
        found[None] = self._driver_findings()
        return found

    def _driver_findings(self) -> tuple[Finding, ...]:
        driver, since = self.driver, self._driver_gone_since
        if not isinstance(driver, Unavailable) or since is None or self.round is None:
            return ()
        if driver.why is Why.NO_LIBRARY or self.round.at - since < self._limits.unknown_s:
            return ()
        return (Finding("DriverUnavailable", driver.why.value, driver.detail, critical=True),)

    def cordon(self, uuid: str, until: float | None) -> None:
        self._cordons[uuid] = until

    def uncordon(self, uuid: str) -> None:
        """An operator says that it is fit for use: what an XID asked for is over as well."""
        self._cordons.pop(uuid, None)
        self.was_reset(uuid)

    def is_missing(self, uuid: str | None) -> bool:
        """It cannot be read, and no operator took it out of use."""
        entry = self._entry_of(uuid)
        readable = entry is None or entry.evidence.sample.fault is None
        return not readable and uuid not in self._cordons

    @property
    def lost(self) -> tuple[Card, ...]:
        """The cards that have a name, and that the driver does not find at this look."""
        samples = (one.evidence.sample for one in self._entries.values())
        return tuple(
            sample.card
            for sample in samples
            if sample.fault is not None
            and sample.fault.why is Why.GPU_LOST
            and sample.card.pci_bus_id
        )

    @property
    def condemned(self) -> dict[str, tuple[XidEvent, ...]]:
        """The cards that must be reset, and the XIDs for which, oldest first."""
        return {uuid: _oldest_first(events) for uuid, events in self._condemned.items()}

    def condemn(self, uuid: str, event: XidEvent) -> None:
        """Nothing may run on this card, known yet or not, until the event is settled."""
        self._condemned.setdefault(uuid, {})[event.xid] = event

    def places(self, has_ended: Callable[[str, Holder], bool]) -> list[Place]:
        """Every card as a place, one with MIG on as each of its devices.

        Memory of our own processes that ended since the last look counts as free, and no other.

        Args:
            has_ended: from a card and a replica's process on it to whether that is so.
        """
        places = []
        for uuid, entry in self._entries.items():
            sample = entry.evidence.sample
            if sample.number(Field.MIG) or entry.instances:
                places += [
                    self._place(one.uuid, entry, 1 - one.memory_used_bytes / one.memory_total_bytes)
                    for one in entry.instances
                    if one.memory_total_bytes
                ]
            else:
                free = free_ratio(sample, entry.tenancy, partial(has_ended, uuid))
                places.append(self._place(uuid, entry, free))
        return places

    def unusable(self, reason: Reason) -> dict[str, CardEvidence]:
        """What is known of the cards that are unusable for this reason."""
        return {
            uuid: entry.evidence
            for uuid, entry in self._entries.items()
            if entry.verdict.reason is reason
        }

    def was_reset(self, uuid: str) -> None:
        """What asked for the reset is over; from now on the card's readings count."""
        self._condemned.pop(uuid, None)
        entry = self._entries.get(uuid)
        if entry is not None:
            entry.xids.clear()
            entry.evidence = replace(entry.evidence, action=None)

    def orphans(self) -> list[int]:
        """Processes of ours with memory on a card that belong to no replica any more."""
        return [
            holder.pid
            for entry in self._entries.values()
            for holder in entry.tenancy.of(Owner.ORPHAN)
        ]

    def replica_bytes(self, replica: str) -> int | None:
        """Memory that a replica has on all cards; None where the driver tells of none."""
        held = [
            holder.used_bytes
            for entry in self._entries.values()
            for holder in entry.tenancy.holders
            if holder.replica == replica and holder.used_bytes is not None
        ]
        return sum(held) if held else None

    def views(self) -> tuple[CardView, ...]:
        return tuple(
            CardView(
                card=entry.evidence.sample.card,
                sample=entry.evidence.sample,
                verdict=entry.verdict,
                cordoned=uuid in self._cordons,
                xids=dict(entry.counts),
                last_xid_at=dict(entry.last_wall),
                utilization=tuple(entry.utilization),
                tenancy=entry.tenancy,
            )
            for uuid, entry in self._entries.items()
        )

    def _entry_of(self, uuid: str | None) -> _Entry | None:
        if uuid is None or uuid in self._entries:
            return None if uuid is None else self._entries[uuid]
        for entry in self._entries.values():
            if any(one.uuid == uuid for one in entry.instances):
                return entry
        return None

    def _place(self, uuid: str, entry: _Entry, free_ratio: float | None) -> Place:
        card = entry.evidence.sample.card.uuid
        return Place(
            uuid,
            usable=entry.verdict.state in {CardState.OK, CardState.WARNING},
            cordoned=uuid in self._cordons or card in self._cordons,
            free_ratio=free_ratio,
        )

    def _by_address(self, address: str) -> _Entry | None:
        if not address:
            return None  # a card without a name has none either
        for entry in self._entries.values():
            if bus_id(entry.evidence.sample.card.pci_bus_id) == address:
                return entry
        return None


def _oldest_first(events: Mapping[int, XidEvent]) -> tuple[XidEvent, ...]:
    return tuple(sorted(events.values(), key=lambda one: one.at))
