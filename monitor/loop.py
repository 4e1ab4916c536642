"""observe -> assess -> decide -> act -> publish, again and again, from what is seen now.

One thread owns all state. Probes, ends of processes and operators put values into the inbox and
wake it; a tick that is missed loses nothing but time.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from alerts.model import Severity
from monitor.cardbook import CardBook
from monitor.cardhealth import CardLimits, Finding
from monitor.collectors.kmsg import OomKill
from monitor.gpu import XidEvent
from monitor.host import HostLimits, HostSample, judge_host
from monitor.inbox import (
    CanarySeen,
    CardsSeen,
    CommandAsked,
    CordonAsked,
    HostSeen,
    Inbox,
    KernelSeen,
    LoadSeen,
    Message,
    ProgressSeen,
)
from monitor.journal import Transition
from monitor.keeper import UP, Keeper, Tools
from monitor.limits import LoopLimits
from monitor.model import Health, Moment, Reason
from monitor.ports import Clock
from monitor.probes.process import exists, read_stat
from monitor.replica import Command, CommandKind, Phase, Replica
from monitor.scaling import CPU_ENGINES, Load, Placement, ScalingLimits, ScalingState, place, resize
from monitor.snapshot import Counters, ReplicaView, Snapshot
from monitor.watch import Watch

_QUICK_S = 0.1  # between two looks while something starts or ends
_DOUBTFUL_S = 0.25
_BLIND_S = 5.0  # a pause between two ticks over which the watchdog itself did not run
_JUMP_S = 2.0  # wall against monotonic clock between two ticks: somebody set the time
_OOM_KEPT_S = 300.0
_STARVED_S, _FED_S = 10.0, 30.0
_PRUNE_EVERY_S = 3600.0

log = logging.getLogger("rankguard.watchdog")


@dataclass(slots=True)
class _Seen:
    """What was last heard of host and load; moments are `time.monotonic()` seconds."""

    mono: float | None = None
    wall: float = 0.0
    host: HostSample | None = None
    oom: OomKill | None = None
    load: Load | None = None
    starved_since: float | None = None
    starved_last: float = 0.0


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
    ) -> None:
        """Wire it.

        Args:
            await_cards: there is a driver, so no replica is started before the first look at it.
            scaling: None: as many replicas as there are watches, always.
            make_watch: makes the watch of a replica that scaling adds.
            may_start: why a replica cannot be started at all now; None when it can.
            keep_s: how long transitions and ended incidents are kept.
        """
        self._clock = clock
        self._tools = tools
        self._inbox = inbox
        self._keeper = Keeper(tools, limits)
        self._watches = {watch.replica.id: watch for watch in watches}
        self._publish = publish
        self._await_cards = await_cards
        self._cards = CardBook(card_limits or CardLimits())
        self._scaling = scaling or ScalingLimits(len(watches), len(watches))
        self._size = ScalingState(len(watches))
        self._make_watch = make_watch
        self._may_start = may_start
        self._keep_s = keep_s
        self._pruned_at: float | None = None
        self.config_error: str | None = None
        self.notices = tuple(notices)
        self._seen = _Seen()
        self._started_at = clock.now().wall
        self._ticks = 0
        self._tick_errors = 0
        for watch in self._watches.values():
            self._take_up_hold(watch)
        self._take_up_cordons()

    def tick(self) -> float:
        """One round over everything; returns the seconds until the next one is due."""
        began = time.perf_counter()
        now = self._clock.now()
        self._mind_the_gap(now)
        for message in self._inbox.take():
            self._receive(message, now)
        self._rescale(now)
        for watch in list(self._watches.values()):
            self._look_after(watch, now)
        self._tell_findings(now)
        self._tools.casebook.flush()
        self._keep_house(now)
        self._ticks += 1
        self._publish(self._snapshot(now, time.perf_counter() - began))
        return self._pause(now)

    def set_limits(self, limits: LoopLimits, scaling: ScalingLimits) -> None:
        """Go by other limits from the next tick on."""
        self._keeper.limits = limits
        self._scaling = scaling

    def _keep_house(self, now: Moment) -> None:
        if self._pruned_at is None or now.mono - self._pruned_at >= _PRUNE_EVERY_S:
            self._pruned_at = now.mono
            self._keeper.journaled(lambda: self._tools.journal.prune(now.wall - self._keep_s))

    def _look_after(self, watch: Watch, now: Moment) -> None:
        others = [one.replica for one in self._watches.values() if one is not watch]
        watch.alone = not any(other.routable for other in others)
        on_card = watch.engine not in CPU_ENGINES
        fault = self._cards.fault_of(watch.replica.gpu_uuid) if on_card else None
        watch.window.see_gpu(watch.app_fault or fault)
        try:
            self._keeper.look_after(watch, self._placement, now)
        except Exception:  # one replica's trouble must not blind the loop for the others
            self._tick_errors += 1
            log.exception("%s: this round failed", watch.replica.id)

    def _mind_the_gap(self, now: Moment) -> None:
        """Time in which the watchdog did not run, or was told another hour, is nobody's fault."""
        seen = self._seen
        if seen.mono is not None:
            gap_s = now.mono - seen.mono
            if gap_s > _BLIND_S + self._keeper.limits.poll_s:
                log.warning("the watchdog did not run for %.1f s", gap_s)
                for watch in self._watches.values():
                    watch.window.forget_blind_time(now.mono)
            jump_s = now.wall - seen.wall - gap_s
            if abs(jump_s) > _JUMP_S:
                log.warning("the wall clock was set by %+.1f s", jump_s)
                self._tools.probes.realign()
        seen.mono, seen.wall = now.mono, now.wall

    # what comes in

    def _receive(self, message: Message, now: Moment) -> None:
        if isinstance(message, CardsSeen):
            for event in self._cards.see(message.found, now.mono, now.wall):
                self._receive_xid(event)
        elif isinstance(message, KernelSeen):
            self._receive_kernel(message, now)
        elif isinstance(message, HostSeen):
            self._seen.host = message.sample
        elif isinstance(message, LoadSeen):
            self._seen.load = message.load
        elif isinstance(message, CordonAsked):
            self._cordon(message, now)
        else:
            watch = self._watches.get(message.replica)
            if watch is not None:
                self._receive_for(watch, message, now)

    def _receive_for(
        self, watch: Watch, message: ProgressSeen | CanarySeen | CommandAsked, now: Moment
    ) -> None:
        if isinstance(message, ProgressSeen):
            if message.generation == watch.window.generation:
                watch.window.see_progress(message.sample, message.began, message.ended)
                watch.note_rate(message.ended)
        elif isinstance(message, CanarySeen):
            self._keeper.receive_canary(watch, message.result, now)
        else:
            watch.command = message.command
            self._journal_hold(watch.replica.id, message.command, now)

    def _receive_kernel(self, message: KernelSeen, now: Moment) -> None:
        event = message.event
        if isinstance(event, OomKill):
            self._seen.oom = event
            for watch in self._watches.values():
                identity = watch.replica.identity
                if identity is not None and identity.pid == event.pid:
                    watch.killed_for_memory = True
            log.warning("the kernel killed pid %d for memory", event.pid)
        elif self._cards.see_xid(event, now.wall):
            self._receive_xid(event)

    def _receive_xid(self, event: XidEvent) -> None:
        """An application's XID: its process is restarted, or asked at once when it is unclear."""
        log.warning("XID %d on %s (%s)", event.xid, event.pci_bus_id, event.source)
        uuid = self._cards.restarts_app(event)
        if uuid is None:
            return
        for watch in self._watches.values():
            identity = watch.replica.identity
            if watch.replica.gpu_uuid != uuid or identity is None:
                continue
            if event.pid is None:
                self._tools.probes.canary(watch.replica.id)
                continue
            stat = read_stat(event.pid)
            if event.pid == identity.pid or (stat is not None and stat.session == identity.pid):
                watch.app_fault = Reason.GPU_FAULT

    # cards

    def _placement(self, watch: Watch) -> Placement:
        """Where a replica may start now.

        After failures in a row one at a time: a cause that they share must not be multiplied.
        """
        refused = self._may_start(watch.replica.id)
        if refused is not None:
            return Placement(refused=refused)
        others = [one.replica for one in self._watches.values() if one is not watch]
        if watch.replica.failures >= 2 and any(one.phase is Phase.STARTING for one in others):
            return Placement(refused=Reason.ONE_AT_A_TIME)
        if self._await_cards and not self._cards.known:
            return Placement(refused=Reason.AWAITING_GPUS)
        taken: dict[str, int] = {}
        for other in others:
            if other.gpu_uuid is not None and other.phase in UP:
                taken[other.gpu_uuid] = taken.get(other.gpu_uuid, 0) + 1
        return place(
            self._cards.places(lambda pid: read_stat(pid) is not None),
            taken,
            preferred=watch.replica.gpu_uuid,
            engine=watch.engine,
        )

    def _cordon(self, asked: CordonAsked, now: Moment) -> None:
        subject = f"gpu {asked.gpu_uuid}"
        journal = self._tools.journal
        if asked.cordon:
            until = None if asked.for_s is None else now.mono + asked.for_s
            wall = None if asked.for_s is None else now.wall + asked.for_s
            self._cards.cordon(asked.gpu_uuid, until)
            self._keeper.journaled(lambda: journal.hold(subject, now.wall, wall, asked.why))
        else:
            self._cards.uncordon(asked.gpu_uuid)
            self._keeper.journaled(lambda: journal.release(subject))
        word = "cordoned" if asked.cordon else "in use"
        change = Transition(
            now.wall, subject, "", word, Reason.OPERATOR.value, detail=asked.why[:200]
        )
        self._keeper.journaled(lambda: journal.record(change))

    def _take_up_cordons(self) -> None:
        now = self._clock.now()
        for subject, until in self._tools.journal.holds().items():
            if subject.startswith("gpu ") and (until is None or until > now.wall):
                mono = None if until is None else now.mono + until - now.wall
                self._cards.cordon(subject.removeprefix("gpu "), mono)

    def _journal_hold(self, replica_id: str, command: Command, now: Moment) -> None:
        journal = self._tools.journal
        if command.kind is CommandKind.DRAIN:
            until = None if command.for_s is None else now.wall + command.for_s
            self._keeper.journaled(
                lambda: journal.hold(replica_id, now.wall, until, command.reason.value)
            )
        else:
            self._keeper.journaled(lambda: journal.release(replica_id))

    def _take_up_hold(self, watch: Watch) -> None:
        """A drain that a crash cut short is finished."""
        holds = self._tools.journal.holds()
        replica = watch.replica
        if replica.id not in holds or replica.phase not in {Phase.STARTING, Phase.SERVING}:
            return
        until, now = holds[replica.id], self._clock.now()
        if until is None or until > now.wall:
            for_s = None if until is None else until - now.wall
            watch.command = Command(CommandKind.DRAIN, for_s)

    # scaling

    def _rescale(self, now: Moment) -> None:
        self._size = resize(self._size, self._seen.load, self._scaling, now.mono)
        wanted = {f"replica-{index}" for index in range(self._size.size)}
        for replica_id in sorted(wanted - set(self._watches)):
            if self._make_watch is not None:
                log.info("scaling: adding %s", replica_id)
                self._watches[replica_id] = self._make_watch(replica_id)
        for replica_id, watch in list(self._watches.items()):
            if replica_id in wanted:
                continue
            if watch.replica.phase is Phase.DRAINED and watch.replica.identity is None:
                del self._watches[replica_id]
                self._tools.board.remove_verdict(replica_id)
                self._tools.casebook.close(now, replica=replica_id)
            elif watch.replica.phase is not Phase.DRAINED and not watch.leaving:
                log.info("scaling: draining %s", replica_id)
                watch.leaving = True
                watch.command = Command(CommandKind.DRAIN, reason=Reason.SCALED)

    # what is told

    def _tell_findings(self, now: Moment) -> None:
        """Incidents of cards and host are open exactly while their finding is there."""
        found = self._cards.findings()
        host = list(found.get(None, ()))
        if self._seen.host is not None:
            host += judge_host(self._seen.host, HostLimits())
        oom = self._seen.oom
        if oom is not None and now.mono - oom.at < _OOM_KEPT_S:
            host.append(Finding("HostOomKill", "out_of_memory", oom.text, critical=True))
        if self.config_error is not None:
            host.append(Finding("WatchdogConfigInvalid", "config_invalid", self.config_error))
        if self._is_starved(now):
            host.append(Finding("HostStarved", Reason.STARVED.value, "replicas wait for a CPU"))
        found[None] = tuple(host)
        present = set()
        for uuid, findings in found.items():
            for finding in findings:
                present.add((uuid, finding.name))
                self._tell_finding(uuid, finding, now)
        for incident in self._tools.casebook.open_incidents():
            key = (incident.gpu_uuid, incident.name)
            if incident.replica is None and key not in present and self._can_close(key):
                self._tools.casebook.close(now, gpu_uuid=incident.gpu_uuid, name=incident.name)

    def _is_starved(self, now: Moment) -> bool:
        """For a while some replica could not run; over when none was for a longer while."""
        seen = self._seen
        watches = self._watches.values()
        if any(one.verdict and one.verdict.health is Health.STARVED for one in watches):
            seen.starved_since = seen.starved_since or now.mono
            seen.starved_last = now.mono
        elif now.mono - seen.starved_last >= _FED_S:
            seen.starved_since = None
        since = seen.starved_since
        return since is not None and seen.starved_last - since >= _STARVED_S

    def _tell_finding(self, uuid: str | None, finding: Finding, now: Moment) -> None:
        where = uuid or "host"
        self._tools.casebook.open(
            finding.name,
            now,
            severity=Severity.CRITICAL if finding.critical else Severity.WARNING,
            reason=finding.reason,
            summary=f"{where}: {finding.detail}",
            gpu_uuid=uuid,
        )

    def _can_close(self, key: tuple[str | None, str]) -> bool:
        """Before the first look at cards nothing is known of their old incidents."""
        return (
            not key[1].startswith(("Gpu", "Driver")) or not self._await_cards or self._cards.known
        )

    def _snapshot(self, now: Moment, tick_s: float) -> Snapshot:
        keeper, casebook = self._keeper, self._tools.casebook
        counters = Counters(
            ticks=self._ticks,
            tick_errors=self._tick_errors,
            board_errors=keeper.board_errors,
            journal_errors=keeper.journal_errors + casebook.journal_errors,
            sink_errors=casebook.sink_errors,
            dropped=self._inbox.dropped,
            restarts=dict(keeper.restarts),
            canaries=dict(keeper.canaries),
            incidents=dict(casebook.opened),
        )
        return Snapshot(
            at=now.wall,
            started_at=self._started_at,
            tick_s=tick_s,
            replicas=tuple(_view(watch) for watch in self._watches.values()),
            wanted=self._size.size,
            cards=self._cards.views(),
            gpus=self._cards.round,
            host=self._seen.host,
            load=self._seen.load,
            incidents=casebook.open_incidents(),
            counters=counters,
            notices=self.notices,
        )

    def _pause(self, now: Moment) -> float:
        poll_s = self._keeper.limits.poll_s
        watches = self._watches.values()
        if any(one.replica.phase in {Phase.STARTING, Phase.STOPPING} for one in watches):
            return min(_QUICK_S, poll_s)
        if any(one.verdict and one.verdict.health is Health.SUSPECT for one in watches):
            return min(_DOUBTFUL_S, poll_s)
        waits = [
            one.replica.start_at - now.mono for one in watches if one.replica.phase is Phase.STOPPED
        ]
        if waits:
            return min(max(_QUICK_S, min(waits)), poll_s)
        return poll_s

    # the end

    def stop_replicas(self, forced: Callable[[], bool]) -> None:
        """Drain every replica and wait for it; `forced` cuts the drain short."""
        self._size = replace(self._size, size=len(self._watches))
        self._scaling = ScalingLimits(len(self._watches), len(self._watches))
        for watch in self._watches.values():
            if watch.replica.phase is not Phase.DRAINED:
                watch.command = Command(CommandKind.DRAIN, reason=Reason.SHUTDOWN)
        deadline = self._clock.now().mono + self._keeper.limits.policy.drain_timeout_s + 10.0
        while self._clock.now().mono < deadline:
            self.tick()
            if all(_is_down(watch.replica) for watch in self._watches.values()):
                break
            if forced():
                for watch in self._watches.values():
                    if watch.replica.phase is Phase.STOPPING:
                        watch.replica = replace(watch.replica, kill_at=0.0)
            self._inbox.wait(_QUICK_S)
        board = self._tools.board
        for replica_id in self._watches:
            board.remove_verdict(replica_id)
            manifest = board.manifest(replica_id)
            if manifest is not None and manifest.watched and exists(manifest.identity) is None:
                board.remove_manifest(replica_id, manifest.identity)

    def replicas(self) -> tuple[Replica, ...]:
        return tuple(watch.replica for watch in self._watches.values())


def _is_down(replica: Replica) -> bool:
    return replica.identity is None and replica.phase not in UP


def _view(watch: Watch) -> ReplicaView:
    return ReplicaView(
        replica=watch.replica,
        verdict=watch.verdict,
        waiting=watch.waiting,
        manifest=watch.manifest,
        progress=watch.window.progress,
        canary=watch.window.canary,
        recent=tuple(watch.recent),
        resident_bytes=watch.resident[-1] if watch.resident else 0,
    )
