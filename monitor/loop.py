"""observe -> assess -> decide -> act -> publish, again and again, from what is seen now.

One thread owns all state. Probes, ends of processes and operators put values into the inbox and
wake it; a tick that is missed loses nothing but time.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from monitor.cardbook import CardBook
from monitor.cardhealth import CardLimits
from monitor.cardnotes import CardNotes
from monitor.findings import Findings
from monitor.holds import Holds
from monitor.inbox import (
    Inbox,
)
from monitor.intake import Intake
from monitor.keeper import UP, Keeper, Tools
from monitor.limits import LoopLimits
from monitor.model import Moment, Reason
from monitor.ports import Clock
from monitor.probes.process import exists
from monitor.replica import Command, CommandKind, Phase, Replica
from monitor.resets import Resets
from monitor.rolling import Rolling, members
from monitor.roster import QUICK_S, Roster
from monitor.scaling import CPU_ENGINES, ScalingLimits
from monitor.snapshot import Counters, Snapshot
from monitor.watch import Watch

_BLIND_S = 5.0  # a pause between two ticks over which the watchdog itself did not run
_JUMP_S = 2.0  # wall against monotonic clock: somebody set the time, or it goes wrong
_PRUNE_EVERY_S = 3600.0

log = logging.getLogger("rankguard.watchdog")


class Loop:
    """The watchdog itself. Adapters come from app.py; tests bring their own."""

    def __init__(
        self,
        *,
        clock: Clock,
        tools: Tools,
        inbox: Inbox,
        limits: LoopLimits,
        watches: Sequence[Watch],
        publish: Callable[[Snapshot], None],
        await_cards: bool = False,
        card_limits: CardLimits | None = None,
        scaling: ScalingLimits | None = None,
        make_watch: Callable[[str], Watch] | None = None,
        may_start: Callable[[str], Reason | None] = lambda _: None,
        keep_s: float = 90 * 86400.0,
        notices: Sequence[str] = (),
        rolling: Rolling | None = None,
        ask_reset: Callable[[str], None] | None = None,
        boot_id: str = "",
    ) -> None:
        """Wire it.

        Args:
            await_cards: there is a driver, so no replica is started before the first look at it.
            scaling: None: as many replicas as there are watches, always.
            make_watch: makes the watch of a replica that scaling adds.
            may_start: why a replica cannot be started at all now; None when it can.
            keep_s: how long transitions and ended incidents are kept.
            ask_reset: has a card reset; None: nobody here can.
            boot_id: names this boot of the host.
            rolling: carries out rolling restarts; None: there are none here.
        """
        self._clock = clock
        self._tools = tools
        self._inbox = inbox
        self._keeper = Keeper(tools, limits)
        self._publish = publish
        self._cards = cards = CardBook(card_limits or CardLimits())

        def cards_known() -> bool:
            return not await_cards or cards.known

        self._roster = Roster(
            watches,
            cards,
            scaling=scaling,
            make_watch=make_watch,
            may_start=may_start,
            cards_known=cards_known,
        )
        self._findings = Findings(cards, tools.casebook, cards_known)
        self._holds = Holds(cards, tools.journal, self._keeper.ledger.journaled)
        self._holds.take_up(self._roster, clock.now())
        journaled = self._keeper.ledger.journaled
        self._card_notes = CardNotes(cards, tools.journal, journaled, boot_id)
        self._card_notes.take_up(clock.now())
        self._keep_s = keep_s
        self._pruned_at: float | None = None
        self.notices = tuple(notices)
        self._rolling = rolling
        self._resets = Resets(
            cards, tools.journal, tools.casebook, ask_reset, self._keeper.ledger.journaled
        )
        self._intake = Intake(
            tools,
            self._keeper,
            cards,
            self._roster,
            self._findings,
            self._holds,
            self._resets,
            lambda: self._rolling,
        )
        self._last: Moment | None = None
        began = clock.now()
        self._started_at = began.wall
        self._wall_at_zero = began.wall - began.mono
        self._ticks = 0
        self._tick_errors = 0

    def tick(self) -> float:
        """One round over everything; returns the seconds until the next one is due."""
        began = time.perf_counter()
        now = self._clock.now()
        self._mind_the_gap(now)
        for message in self._inbox.take():
            self._part(type(message).__name__, self._intake.receive, message, now)
        poll_s = self._keeper.limits.poll_s
        self._part("cards", self._cards.expire, now.mono, now.wall, poll_s)
        self._part("notes of cards", lambda: self._card_notes.keep(now))
        self._part("rollout", lambda: self._roll(now))
        self._part("scaling", self._rescale, now)
        for watch in self._roster:
            self._part(watch.replica.id, self._look_after, watch, now)
        reset = self._keeper.limits.reset
        self._part("resets", lambda: self._resets.look(self._roster, reset, now))
        self._part("findings", lambda: self._tell(now))
        self._part("alerts", self._tools.casebook.flush)
        self._part("pruning", lambda: self._keep_house(now))
        self._ticks += 1
        self._publish(self._snapshot(now, time.perf_counter() - began))
        pause_s = self._roster.pause_s(self._keeper.limits.poll_s, now)
        rolls = self._rolling is not None and self._rolling.is_active
        return min(QUICK_S, pause_s) if rolls else pause_s

    def set_limits(self, limits: LoopLimits, scaling: ScalingLimits) -> None:
        """Go by other limits from the next tick on."""
        self._keeper.limits = limits
        self._roster.scaling = scaling

    def set_config_error(self, error: str | None) -> None:
        """Tell of a configuration that could not be taken up; None when the last one could."""
        self._findings.config_error = error

    def replicas(self) -> tuple[Replica, ...]:
        return tuple(watch.replica for watch in self._roster)

    def _keep_house(self, now: Moment) -> None:
        if self._pruned_at is None or now.mono - self._pruned_at >= _PRUNE_EVERY_S:
            self._pruned_at = now.mono
            self._keeper.ledger.journaled(
                lambda: self._tools.journal.prune(now.wall - self._keep_s)
            )

    def _part(self, what: str, do: Callable[..., None], *given: object) -> None:
        """One part of a round: its trouble must not blind the loop for all the others."""
        try:
            do(*given)
        except Exception:
            self._tick_errors += 1
            log.exception("%s: this round failed", what)

    def _rescale(self, now: Moment) -> None:
        for replica_id in self._roster.rescale(self._intake.load, now):
            self._tools.board.remove_verdict(replica_id)
            self._tools.casebook.close(now, replica=replica_id)

    def _tell(self, now: Moment) -> None:
        self._findings.board_error = self._keeper.ledger.board_error
        self._findings.tell(self._roster, now)

    def _look_after(self, watch: Watch, now: Moment) -> None:
        watch.alone = not any(other.routable for other in self._roster.others(watch))
        on_card = watch.engine not in CPU_ENGINES
        fault = self._cards.fault_of(watch.replica.gpu_uuid) if on_card else None
        watch.window.see_gpu(watch.app_fault or fault)
        self._roster.mind_pace(watch, self._keeper.limits.pace, now)
        self._keeper.look_after(watch, self._roster.placement, now)

    def _roll(self, now: Moment) -> None:
        """One step of a rollout, if there is one."""
        if self._rolling is None:
            return
        spare = self._roster.spare() if self._has_room() else None
        turn = self._rolling.step(members(self._roster), now, surge_id=spare)
        watch = None if turn is None else self._roster.get(turn)
        if watch is not None and watch.command is None:
            watch.command = Command(CommandKind.RESTART)
        self._roster.surge = self._rolling.surge
        self._findings.rollout = self._rolling.rollout

    def _has_room(self) -> bool:
        """The host's memory takes one more of the largest replica, and half of one to spare."""
        host = self._findings.host
        free = None if host is None else host.memory_available
        largest = max((max(watch.resident, default=0) for watch in self._roster), default=0)
        return free is None or free > 1.5 * largest

    def _mind_the_gap(self, now: Moment) -> None:
        """Time in which the watchdog did not run, or was told another hour, is nobody's fault."""
        last, self._last = self._last, now
        if last is None:
            return
        gap_s = now.mono - last.mono
        if gap_s > _BLIND_S + self._keeper.limits.poll_s:
            log.warning("the watchdog did not run for %.1f s", gap_s)
            for watch in self._roster:
                watch.window.forget_blind_time(now.mono)
        jump_s = now.wall - now.mono - self._wall_at_zero
        if abs(jump_s) > _JUMP_S:
            log.warning("the wall clock was set by %+.1f s", jump_s)
            self._wall_at_zero += jump_s
            self._tools.probes.realign()
            if self._rolling is not None:
                self._rolling.clock_was_set(jump_s)

    # what is published

    def _snapshot(self, now: Moment, tick_s: float) -> Snapshot:
        keeper, casebook = self._keeper, self._tools.casebook
        ledger = keeper.ledger
        counters = Counters(
            ticks=self._ticks,
            tick_errors=self._tick_errors,
            board_errors=ledger.board_errors,
            journal_errors=ledger.journal_errors + casebook.journal_errors,
            sink_errors=casebook.sink_errors,
            dropped=self._inbox.dropped,
            restarts=dict(ledger.restarts),
            canaries=dict(keeper.canaries),
            incidents=dict(casebook.opened),
        )
        return Snapshot(
            at=now.wall,
            started_at=self._started_at,
            tick_s=tick_s,
            replicas=tuple(watch.view() for watch in self._roster),
            wanted=self._roster.wanted,
            cards=self._cards.views(),
            gpus=self._cards.round,
            host=self._findings.host,
            load=self._intake.load,
            incidents=casebook.open_incidents(),
            counters=counters,
            notices=self.notices,
            rollout=None if self._rolling is None else self._rolling.rollout,
        )

    # the end

    def stop_replicas(self, forced: Callable[[], bool]) -> None:
        """Drain every replica and wait for it; `forced` cuts the drain short."""
        self._roster.freeze()
        self._rolling = None  # the journal has it: it goes on with the next watchdog
        for watch in self._roster:
            if watch.replica.phase is not Phase.DRAINED:
                watch.command = Command(CommandKind.DRAIN, reason=Reason.SHUTDOWN)
        deadline = self._clock.now().mono + self._keeper.limits.policy.drain_timeout_s + 10.0
        while self._clock.now().mono < deadline:
            self.tick()
            if all(_is_down(watch.replica) for watch in self._roster):
                break
            if forced():
                for watch in self._roster:
                    if watch.replica.phase is Phase.STOPPING:
                        watch.replica = replace(watch.replica, kill_at=0.0)
            self._inbox.wait(QUICK_S)
        board = self._tools.board
        for replica in self.replicas():
            board.remove_verdict(replica.id)
            manifest = board.manifest(replica.id)
            if manifest is not None and manifest.watched and exists(manifest.identity) is None:
                board.remove_manifest(replica.id, manifest.identity)


def _is_down(replica: Replica) -> bool:
    return replica.identity is None and replica.phase not in UP
