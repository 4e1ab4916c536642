"""observe -> assess -> decide -> act -> publish, again and again, from what is seen now.

One thread owns all state. Probes, ends of processes and operators put values into the inbox and
wake it; a tick that is missed loses nothing but time.
"""

from __future__ import annotations

import logging
import queue
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from alerts.model import Severity
from monitor.casebook import Casebook
from monitor.health import HealthLimits, assess, canary_due
from monitor.journal import Journal, JournalError, Transition
from monitor.memory import to_json
from monitor.model import (
    CanaryOutcome,
    CanaryResult,
    Health,
    Moment,
    ProcessSample,
    Progress,
    Reason,
    Unavailable,
    Verdict,
)
from monitor.policy import PolicyLimits, decide
from monitor.ports import Actuator, ActuatorError, Board, Clock, Probes
from monitor.probes.canary import CanaryLimits, judge
from monitor.replica import (
    Action,
    CloseIncidents,
    Command,
    CommandKind,
    Decision,
    Kill,
    NoteAction,
    OpenIncident,
    Phase,
    Replica,
    Start,
    Surroundings,
    Terminate,
)
from monitor.snapshot import Counters, ReplicaView, Snapshot
from monitor.watch import Watch

_BUSY_PHASES = {Phase.STARTING, Phase.STOPPING}
_QUICK_S = 0.1  # between two looks while something starts or ends
_CPU_EVERY_S = 0.5
_BLIND_S = 5.0  # a pause between two ticks over which the watchdog itself did not run
_JUMP_S = 2.0  # wall against monotonic clock between two ticks: somebody set the time
_STEPS = 4  # phases a replica may pass in one tick: dead -> stopped -> started
_EXIT_START_FAILED, _EXIT_FOR_GOOD = 75, 78

log = logging.getLogger("rankguard.watchdog")


@dataclass(frozen=True, slots=True)
class ProgressSeen:
    """A `/progress` probe ended; moments are `time.monotonic()` seconds."""

    replica: str
    generation: int
    sample: Progress | Unavailable
    began: float
    ended: float


@dataclass(frozen=True, slots=True)
class CanarySeen:
    """A canary ended; its values are not judged yet."""

    replica: str
    result: CanaryResult


@dataclass(frozen=True, slots=True)
class CommandAsked:
    """An operator asked for something."""

    replica: str
    command: Command


Message = ProgressSeen | CanarySeen | CommandAsked


class Inbox:
    """Bounded; full means that the loop does not run, and then a probe more is of no use."""

    def __init__(self, size: int = 1000) -> None:
        self._queue: queue.Queue[Message] = queue.Queue(size)
        self._event = threading.Event()
        self.dropped = 0

    def wake(self) -> None:
        self._event.set()

    def post(self, message: Message) -> None:
        try:
            self._queue.put_nowait(message)
        except queue.Full:
            self.dropped += 1
        self._event.set()

    def wait(self, timeout_s: float) -> None:
        self._event.wait(timeout_s)
        self._event.clear()

    def take(self) -> list[Message]:
        found: list[Message] = []
        while len(found) < self._queue.maxsize:
            try:
                found.append(self._queue.get_nowait())
            except queue.Empty:
                break
        return found


@dataclass(frozen=True, slots=True)
class LoopLimits:
    """All that the loop's decisions take from the settings; seconds."""

    poll_s: float = 1.0
    canary_s: float = 15.0
    health: HealthLimits = field(default_factory=HealthLimits)
    policy: PolicyLimits = field(default_factory=PolicyLimits)
    canary: CanaryLimits = field(default_factory=CanaryLimits)


class Loop:
    """The watchdog itself. Adapters come from app.py; tests bring their own."""

    def __init__(
        self,
        *,
        clock: Clock,
        actuator: Actuator,
        board: Board,
        probes: Probes,
        journal: Journal,
        casebook: Casebook,
        inbox: Inbox,
        limits: LoopLimits,
        watches: Sequence[Watch],
        publish: Callable[[Snapshot], None],
        save_evidence: Callable[[Watch, Verdict], None] | None = None,
        chance: Callable[[], float] = random.random,
        notices: Sequence[str] = (),
    ) -> None:
        self._clock = clock
        self._actuator = actuator
        self._board = board
        self._probes = probes
        self._journal = journal
        self._casebook = casebook
        self._inbox = inbox
        self._limits = limits
        self._watches = {watch.replica.id: watch for watch in watches}
        self._publish = publish
        self._save_evidence = save_evidence
        self._chance = chance
        self._notices = tuple(notices)
        self._baselines = journal.baselines()
        self._last_tick: float | None = None
        self._last_wall: float | None = None
        self._started_at = clock.now().wall
        self._ticks = 0
        self._tick_errors = 0
        self._journal_errors = 0
        self._restarts: Counter[tuple[str, str]] = Counter()
        self._canaries: Counter[tuple[str, str]] = Counter()

    def tick(self) -> float:
        """One round over everything; returns the seconds until the next one is due."""
        began = time.perf_counter()
        now = self._clock.now()
        if self._last_tick is not None and now.mono - self._last_tick > (
            _BLIND_S + self._limits.poll_s
        ):
            log.warning("the watchdog did not run for %.1f s", now.mono - self._last_tick)
            for watch in self._watches.values():
                watch.window.forget_blind_time(now.mono)
        if self._last_wall is not None and self._last_tick is not None:
            jump_s = (now.wall - self._last_wall) - (now.mono - self._last_tick)
            if abs(jump_s) > _JUMP_S:
                log.warning("the wall clock was set by %+.1f s", jump_s)
                self._probes.realign()
        self._last_tick, self._last_wall = now.mono, now.wall
        for message in self._inbox.take():
            self._receive(message, now)
        for watch in list(self._watches.values()):
            self._look_after(watch, now)
        self._casebook.flush()
        self._ticks += 1
        self._publish(self._snapshot(now, time.perf_counter() - began))
        return self._pause(now)

    def _look_after(self, watch: Watch, now: Moment) -> None:
        try:
            self._observe(watch, now)
            for _ in range(_STEPS):
                if not self._step(watch, now):
                    break
        except Exception:  # one replica's trouble must not blind the loop for the others
            self._tick_errors += 1
            log.exception("%s: this round failed", watch.replica.id)

    # observe

    def _receive(self, message: Message, now: Moment) -> None:
        watch = self._watches.get(message.replica)
        if watch is None:
            return
        if isinstance(message, ProgressSeen):
            if message.generation == watch.window.generation:
                watch.window.see_progress(message.sample, message.began, message.ended)
                watch.note_rate(message.ended)
        elif isinstance(message, CanarySeen):
            self._receive_canary(watch, message.result, now)
        else:
            watch.command = message.command

    def _receive_canary(self, watch: Watch, result: CanaryResult, now: Moment) -> None:
        manifest = watch.manifest
        fingerprint = manifest.fingerprint if manifest is not None else ""
        judged = judge(result, self._baselines.get(fingerprint), self._limits.canary)
        self._canaries[watch.replica.id, judged.outcome.value] += 1
        if judged.outcome is not CanaryOutcome.PASSED:
            log.warning("%s: canary %s: %s", watch.replica.id, judged.outcome.value, judged.detail)
        elif fingerprint and judged.logits and fingerprint not in self._baselines:
            self._baselines[fingerprint] = dict(judged.logits)
            self._journaled(
                lambda: self._journal.save_baseline(fingerprint, judged.logits, now.wall)
            )
        watch.window.see_canary(judged)

    def _observe(self, watch: Watch, now: Moment) -> None:
        identity = watch.replica.identity
        if identity is None:
            return
        watch.window.see_process(self._actuator.look(identity), now.mono)
        manifest = self._board.manifest(watch.replica.id)
        if manifest is not None and manifest.identity == identity:
            watch.manifest = manifest
            watch.window.see_manifest(manifest, now.mono)
            if watch.followed != (manifest.generation, manifest.url):
                watch.followed = (manifest.generation, manifest.url)
                self._probes.follow(watch.replica.id, manifest.generation, manifest.url)
        if watch.window.suspicious and now.mono - watch.cpu_at >= _CPU_EVERY_S:
            watch.cpu_at = now.mono
            watch.window.see_cpu(self._actuator.cpu(identity), now.mono)
        if watch.replica.phase in {Phase.STARTING, Phase.SERVING} and canary_due(
            watch.evidence(), self._limits.canary_s, self._limits.health, now.mono
        ):
            self._probes.canary(watch.replica.id)

    # assess, decide, act

    def _step(self, watch: Watch, now: Moment) -> bool:
        """One decision; True when the phase changed and another one may follow at once."""
        before = watch.replica
        verdict = Verdict(Health.DEAD, before.reason)
        if before.identity is not None or before.phase in {Phase.STARTING, Phase.SERVING}:
            verdict = assess(watch.evidence(), self._limits.health, now.mono)
        around = Surroundings(
            leftovers=self._sweep(watch),
            start_refused=self._start_refused(watch),
            gpu_uuid=watch.replica.gpu_uuid,
            chance=self._chance(),
            command=watch.command,
        )
        watch.command = None
        decision = decide(watch.replica, verdict, around, self._limits.policy, now.mono)
        self._tell_change(before, verdict, decision, now)
        watch.verdict = verdict
        watch.replica = decision.replica
        self._show(watch)
        for action in decision.actions:
            self._act(watch, action, verdict, now)
        self._remember(watch, now)
        return decision.replica.phase is not before.phase

    def _sweep(self, watch: Watch) -> int:
        """After an end: kill what is left of the group, and forget the process once it is gone."""
        replica = watch.replica
        if replica.identity is None or replica.phase in _BUSY_PHASES | {Phase.SERVING}:
            return 0
        left = self._actuator.leftovers(replica.identity)
        if left == 0:
            self._actuator.release(replica.identity)
            self._board.remove_manifest(replica.id, replica.identity)
            self._probes.forget(replica.id)
            watch.followed = None
            watch.replica = replace(replica, identity=None)
        return left

    def _start_refused(self, watch: Watch) -> Reason | None:
        """After failures in a row, one start at a time: a shared cause must not be multiplied."""
        if watch.replica.failures < 2:
            return None
        others = [one.replica for one in self._watches.values() if one is not watch]
        starting = any(other.phase is Phase.STARTING for other in others)
        return Reason.ONE_AT_A_TIME if starting else None

    def _act(self, watch: Watch, action: Action, verdict: Verdict, now: Moment) -> None:
        identity = watch.replica.identity
        if isinstance(action, Start):
            self._start(watch, now)
        elif isinstance(action, Terminate):
            if identity is not None:
                self._actuator.terminate(identity)
        elif isinstance(action, Kill):
            if action.evidence and self._save_evidence is not None:
                self._save_evidence(watch, verdict)
            if identity is not None:
                self._actuator.kill(identity)
        elif isinstance(action, OpenIncident):
            self._open_incident(watch, action, now)
        elif isinstance(action, NoteAction):
            self._casebook.note(action.text, replica=watch.replica.id)
        elif isinstance(action, CloseIncidents):
            self._casebook.close(now, replica=watch.replica.id)

    def _start(self, watch: Watch, now: Moment) -> None:
        self._remember(watch, now)  # the generation is spent before the process exists
        watch.begin_generation(now.mono)
        replica = watch.replica
        try:
            identity = self._actuator.start(replica.id, replica.generation, replica.gpu_uuid)
        except ActuatorError as error:
            log.error("%s: %s", replica.id, error)  # noqa: TRY400 - the trace says nothing more
            code = _EXIT_FOR_GOOD if error.permanent else _EXIT_START_FAILED
            gone = ProcessSample(alive=False, exit_code=code, gone_at=now.mono)
            watch.window.see_process(gone, now.mono)
            return
        watch.replica = replace(replica, identity=identity)

    def _open_incident(self, watch: Watch, action: OpenIncident, now: Moment) -> None:
        replica = watch.replica
        alone = not any(
            other.replica.routable for other in self._watches.values() if other is not watch
        )
        severity = Severity.CRITICAL if action.page or alone else Severity.WARNING
        what = action.reason.value.replace("_", " ")
        self._casebook.open(
            action.name,
            now,
            severity=severity,
            reason=action.reason.value,
            summary=f"{replica.id}: {what}" + (f" ({action.detail})" if action.detail else ""),
            detected_s=action.detected_s,
            replica=replica.id,
            gpu_uuid=replica.gpu_uuid,
            evidence=_evidence_of(watch),
        )

    # publish

    def _tell_change(
        self, before: Replica, verdict: Verdict, decision: Decision, now: Moment
    ) -> None:
        after = decision.replica
        if after.phase is before.phase:
            return
        restarted = after.restarts - before.restarts
        if restarted:
            self._restarts[after.id, decision.reason.value] += restarted
        log.info(
            "%s/%d: %s -> %s: %s %s",
            after.id,
            after.generation,
            before.phase.value,
            after.phase.value,
            decision.reason.value,
            verdict.detail if before.phase in {Phase.STARTING, Phase.SERVING} else "",
        )
        transition = Transition(
            at=now.wall,
            subject=after.id,
            generation=after.generation,
            old=before.phase.value,
            new=after.phase.value,
            reason=decision.reason.value,
            detail=verdict.detail,
        )
        self._journaled(lambda: self._journal.record(transition))

    def _show(self, watch: Watch) -> None:
        """Bring the verdict file up to date before anything is done to the process."""
        replica = watch.replica
        reason = Reason.HEALTHY if replica.routable else replica.route_reason
        shown = (replica.generation, replica.routable, reason.value)
        if shown != watch.published and replica.generation > 0:
            self._board.write_verdict(
                replica.id, replica.generation, routable=replica.routable, reason=reason.value
            )
            watch.published = shown

    def _remember(self, watch: Watch, now: Moment) -> None:
        state = to_json(watch.replica, now)
        if _lasting(state) != _lasting(watch.saved):
            watch.saved = state
            self._journaled(lambda: self._journal.save_replica(watch.replica.id, state))

    def _journaled(self, write: Callable[[], None]) -> None:
        try:
            write()
        except JournalError as error:
            self._journal_errors += 1
            log.error("%s", error)  # noqa: TRY400 - the trace says nothing more

    def _snapshot(self, now: Moment, tick_s: float) -> Snapshot:
        views = tuple(
            ReplicaView(
                replica=watch.replica,
                verdict=watch.verdict,
                manifest=watch.manifest,
                progress=watch.window.progress,
                canary=watch.window.canary,
                recent=tuple(watch.recent),
            )
            for watch in self._watches.values()
        )
        counters = Counters(
            ticks=self._ticks,
            tick_errors=self._tick_errors,
            journal_errors=self._journal_errors + self._casebook.journal_errors,
            sink_errors=self._casebook.sink_errors,
            restarts=dict(self._restarts),
            canaries=dict(self._canaries),
            incidents=dict(self._casebook.opened),
        )
        return Snapshot(
            at=now.wall,
            started_at=self._started_at,
            tick_s=tick_s,
            replicas=views,
            incidents=self._casebook.open_incidents(),
            counters=counters,
            notices=self._notices,
        )

    def _pause(self, now: Moment) -> float:
        replicas = [watch.replica for watch in self._watches.values()]
        if any(replica.phase in _BUSY_PHASES for replica in replicas):
            return min(_QUICK_S, self._limits.poll_s)
        if any(
            watch.verdict and watch.verdict.health is Health.SUSPECT
            for watch in self._watches.values()
        ):
            return min(2 * _QUICK_S, self._limits.poll_s)
        waits = [
            replica.start_at - now.mono for replica in replicas if replica.phase is Phase.STOPPED
        ]
        return max(0.02, min([self._limits.poll_s, *waits]))

    # the end

    def stop_replicas(self, forced: Callable[[], bool]) -> None:
        """Drain every replica and wait for it; `forced` cuts the drain short."""
        for watch in self._watches.values():
            watch.command = Command(CommandKind.DRAIN, reason=Reason.SHUTDOWN)
        deadline = self._clock.now().mono + self._limits.policy.drain_timeout_s + 10.0
        while self._clock.now().mono < deadline:
            self.tick()
            if all(self._is_down(watch.replica) for watch in self._watches.values()):
                break
            if forced():
                for watch in self._watches.values():
                    if watch.replica.phase is Phase.STOPPING:
                        watch.replica = replace(watch.replica, kill_at=0.0)
            self._inbox.wait(_QUICK_S)
        for replica_id in self._watches:
            self._board.remove_verdict(replica_id)

    @staticmethod
    def _is_down(replica: Replica) -> bool:
        return replica.identity is None and replica.phase not in {
            Phase.STARTING,
            Phase.SERVING,
            Phase.STOPPING,
        }

    def replicas(self) -> tuple[Replica, ...]:
        return tuple(watch.replica for watch in self._watches.values())


def _lasting(state: dict[str, object]) -> dict[str, object]:
    """Without what drifts with every conversion between the clocks."""
    drifting = {"start_at", "serving_since", "past", "hold_until", "rearm_at"}
    return {key: value for key, value in state.items() if key not in drifting}


def _evidence_of(watch: Watch) -> dict[str, str]:
    found = {"generation": str(watch.replica.generation)}
    progress = watch.window.progress
    if progress is not None:
        found["in_flight"] = f"{progress.in_flight} documents"
        found["completed"] = f"{progress.completed} documents"
    canary = watch.window.canary
    if canary is not None:
        found["canary"] = f"{canary.outcome.value} in {1000 * (canary.ended - canary.began):.0f} ms"
    return found
