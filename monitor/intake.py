"""What other threads brought, and whom it concerns: cards, kernel, host, probes, operators."""

from __future__ import annotations

import logging
from collections.abc import Callable

from monitor.cardbook import CardBook
from monitor.collectors.kmsg import OomKill
from monitor.findings import Findings
from monitor.gpu import GpuRound, XidEvent
from monitor.holds import Holds
from monitor.inbox import (
    CanarySeen,
    CardsSeen,
    CommandAsked,
    CordonAsked,
    HostSeen,
    KernelSeen,
    LoadSeen,
    Message,
    ProgressSeen,
    ResetEnded,
    RolloutAsked,
    RolloutEnded,
)
from monitor.keeper import Keeper, Tools
from monitor.model import Moment, Reason
from monitor.probes.process import read_stat
from monitor.resets import Resets
from monitor.rolling import Rolling, members
from monitor.roster import Roster
from monitor.rows import Transition
from monitor.scaling import Load
from monitor.watch import Watch

log = logging.getLogger("rankguard.watchdog")


class Intake:
    """Owned by the loop's thread; `load` is the last that the gateway told of its load."""

    def __init__(  # noqa: PLR0917 - whom a message may concern
        self,
        tools: Tools,
        keeper: Keeper,
        cards: CardBook,
        roster: Roster,
        findings: Findings,
        holds: Holds,
        resets: Resets,
        rolling: Callable[[], Rolling | None],
    ) -> None:
        self._tools = tools
        self._keeper = keeper
        self._cards = cards
        self._roster = roster
        self._findings = findings
        self._holds = holds
        self._resets = resets
        self._rolling = rolling
        self.load: Load | None = None

    def receive(self, message: Message, now: Moment) -> None:
        """Take in one message."""
        if isinstance(message, CardsSeen):
            self._see_cards(message.found, now)
        elif isinstance(message, KernelSeen):
            self._hear_kernel(message, now)
        elif isinstance(message, HostSeen):
            self._findings.host = message.sample
        elif isinstance(message, LoadSeen):
            self.load = message.load
            self._findings.see_load(message.load, now)
        elif isinstance(message, CordonAsked):
            self._holds.cordon(message, now)
        elif isinstance(message, ResetEnded):
            self._resets.ended(message, now)
        elif isinstance(message, RolloutAsked | RolloutEnded):
            self._hear_rollout(message, now)
        else:
            watch = self._roster.get(message.replica)
            if watch is not None:
                self._hear_of(watch, message, now)

    def _see_cards(self, found: GpuRound, now: Moment) -> None:
        owner_of, identities = self._tools.owner_of, self._roster.identities()
        whose = None if owner_of is None else lambda pid: owner_of(pid, identities)
        running = self._roster.cards_in_use()
        for event in self._cards.see(found, now.mono, now.wall, whose, running=running):
            self._hear_xid(event)
        for watch in self._roster:
            watch.gpu_bytes = self._cards.replica_bytes(watch.replica.id)
        orphans = self._cards.orphans()
        if orphans and self._tools.end_strays():
            pids = ", ".join(map(str, orphans))
            change = Transition(now.wall, "watchdog", "", "reaped", "orphan", detail=f"pid {pids}")
            self._keeper.ledger.journaled(lambda: self._tools.journal.record(change))

    def _hear_rollout(self, message: RolloutAsked | RolloutEnded, now: Moment) -> None:
        rolling = self._rolling()
        if rolling is None:
            log.warning("rollouts are not for this watchdog")
        elif isinstance(message, RolloutAsked):
            rolling.begin(message, members(self._roster), now)
        else:
            rolling.finish(message, members(self._roster), now)

    def _hear_of(
        self, watch: Watch, message: ProgressSeen | CanarySeen | CommandAsked, now: Moment
    ) -> None:
        if isinstance(message, ProgressSeen):
            if message.generation == watch.window.generation:
                watch.see_progress(message.sample, message.began, message.ended)
        elif isinstance(message, CanarySeen):
            self._keeper.receive_canary(watch, message.result, now)
        else:
            watch.command = message.command
            self._holds.replica(watch.replica.id, message.command, now)

    def _hear_kernel(self, message: KernelSeen, now: Moment) -> None:
        event = message.event
        if isinstance(event, OomKill):
            self._findings.oom = event
            for watch in self._roster:
                identity = watch.replica.identity
                if identity is not None and identity.pid == event.pid:
                    watch.killed_for_memory = True
            log.warning("the kernel killed pid %d for memory", event.pid)
        elif self._cards.see_xid(event, now.wall):
            self._hear_xid(event)

    def _hear_xid(self, event: XidEvent) -> None:
        """An application's XID: its process is restarted, or asked at once when it is unclear."""
        log.warning("XID %d on %s (%s)", event.xid, event.pci_bus_id, event.source)
        uuid = self._cards.restarts_app(event)
        if uuid is None:
            return
        for watch in self._roster:
            identity = watch.replica.identity
            if self._cards.card_of(watch.replica.gpu_uuid) != uuid or identity is None:
                continue
            if event.pid is None:
                self._tools.probes.canary(watch.replica.id)
                continue
            stat = read_stat(event.pid)
            if event.pid == identity.pid or (stat is not None and stat.session == identity.pid):
                watch.app_fault = Reason.GPU_FAULT
