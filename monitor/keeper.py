"""Looks after one replica: observe -> assess -> decide -> act."""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from alerts.model import Severity
from monitor.casebook import Casebook
from monitor.health import assess, canary_due
from monitor.journal import Journal
from monitor.ledger import RUNNING, Ledger
from monitor.limits import LoopLimits
from monitor.model import (
    CanaryOutcome,
    CanaryResult,
    Health,
    Identity,
    Moment,
    ProcessSample,
    Reason,
    Verdict,
)
from monitor.policy import decide
from monitor.ports import Actuator, ActuatorError, Board, Probes
from monitor.probes.canary import judge
from monitor.replica import (
    Action,
    CloseIncidents,
    Command,
    CommandKind,
    Kill,
    NoteAction,
    OpenIncident,
    Phase,
    Start,
    Surroundings,
    Terminate,
)
from monitor.scaling import Placement
from monitor.tenancy import Owner
from monitor.watch import Watch

UP = RUNNING | {Phase.STOPPING}
_CPU_EVERY_S = 0.5
_MEMORY_EVERY_S = 30.0
_STEPS = 4  # phases a replica may pass in one tick: dead -> stopped -> started
_EXIT_START_FAILED, _EXIT_FOR_GOOD = 75, 78

log = logging.getLogger("rankguard.watchdog")


@dataclass(frozen=True, slots=True)
class Tools:
    """The adapters with which a replica is looked after.

    Attributes:
        save_evidence: keeps a bundle under an incident's number, before a kill; returns within
            a second.
        read_log: the end of the log of one replica's generation.
        owner_of: whose a process with memory on a card is; None: nobody can tell.
        end_strays: kills workers of ours that belong to no replica; how many there were.
    """

    actuator: Actuator
    board: Board
    probes: Probes
    journal: Journal
    casebook: Casebook
    save_evidence: Callable[[int, Watch, Verdict, Moment], None] | None = None
    read_log: Callable[[str, int], str] = lambda _id, _generation: ""
    chance: Callable[[], float] = random.random
    owner_of: Callable[[int, Mapping[str, Identity]], tuple[Owner, str]] | None = None
    end_strays: Callable[[], int] = lambda: 0


class Keeper:
    """Used by the loop's thread alone."""

    def __init__(self, tools: Tools, limits: LoopLimits) -> None:
        self._tools = tools
        self.limits = limits
        self._baselines = tools.journal.baselines()
        self.ledger = Ledger(tools.board, tools.journal, tools.casebook, tools.read_log)
        self.canaries: Counter[tuple[str, str]] = Counter()

    def look_after(
        self, watch: Watch, placement: Callable[[Watch], Placement], now: Moment
    ) -> None:
        """One round for one replica; several phases may pass in it."""
        self._observe(watch, now)
        for _ in range(_STEPS):
            if not self._step(watch, placement, now):
                break

    def receive_canary(self, watch: Watch, result: CanaryResult, now: Moment) -> None:
        """Judge a canary's values against order and baseline, and remember them."""
        manifest = watch.manifest
        fingerprint = manifest.fingerprint if manifest is not None else ""
        judged = judge(result, self._baselines.get(fingerprint), self.limits.canary)
        self.canaries[watch.replica.id, judged.outcome.value] += 1
        if judged.outcome is not CanaryOutcome.PASSED:
            log.warning("%s: canary %s: %s", watch.replica.id, judged.outcome.value, judged.detail)
        elif fingerprint and judged.logits and fingerprint not in self._baselines:
            self._baselines[fingerprint] = dict(judged.logits)
            self.ledger.journaled(
                lambda: self._tools.journal.save_baseline(fingerprint, judged.logits, now.wall)
            )
        watch.see_canary(judged)

    # observe

    def _observe(self, watch: Watch, now: Moment) -> None:
        watch.window.see_board(refuses=self.ledger.board_error is not None)
        identity = watch.replica.identity
        if identity is None:
            return
        tools = self._tools
        watch.window.see_process(tools.actuator.look(identity), now.mono)
        manifest = tools.board.manifest(watch.replica.id)
        if manifest is not None and manifest.identity == identity:
            watch.see_manifest(manifest, now.mono)
            if watch.followed != (manifest.generation, manifest.url):
                watch.followed = (manifest.generation, manifest.url)
                tools.probes.follow(watch.replica.id, manifest.generation, manifest.url)
        if watch.window.suspicious and now.mono - watch.cpu_at >= _CPU_EVERY_S:
            watch.cpu_at = now.mono
            watch.window.see_cpu(tools.actuator.cpu(identity), now.mono)
        if watch.replica.phase is Phase.SERVING:
            self._mind_memory(watch, identity, now)
        if watch.replica.phase in RUNNING and canary_due(
            watch.evidence(), self.limits.canary_s, self.limits.health, now.mono
        ):
            tools.probes.canary(watch.replica.id)

    def _mind_memory(self, watch: Watch, identity: Identity, now: Moment) -> None:
        """A replica that leaks is recycled in good order, while another one serves."""
        if watch.measured_at is not None and now.mono - watch.measured_at < _MEMORY_EVERY_S:
            return
        watch.measured_at = now.mono
        resident = self._tools.actuator.cpu(identity).resident_bytes
        watch.see_memory(resident, self.limits.leak, now.mono)
        casebook = self._tools.casebook
        found = watch.leaks(self.limits.recycle_bytes, self.limits.leak)
        if found is None:
            casebook.close(now, replica=watch.replica.id, name="ReplicaLeaking")
            return
        casebook.open(
            "ReplicaLeaking",
            now,
            severity=Severity.WARNING,
            reason=Reason.LEAK.value,
            summary=f"{watch.replica.id}: {found}",
            replica=watch.replica.id,
            evidence={"resident": f"{resident / 2**20:.0f} MiB"},
        )
        if not watch.alone and watch.command is None:
            watch.command = Command(CommandKind.RESTART, reason=Reason.LEAK)
            casebook.note("drained to start anew", replica=watch.replica.id)

    # assess, decide, act

    def _step(self, watch: Watch, placement: Callable[[Watch], Placement], now: Moment) -> bool:
        """One decision; True when the phase changed and another one may follow at once."""
        before = watch.replica
        verdict = Verdict(Health.DEAD, before.reason)
        if before.identity is not None or before.phase in RUNNING:
            verdict = assess(watch.evidence(), self.limits.health, now.mono)
        if watch.killed_for_memory and verdict.reason is Reason.KILLED:
            verdict = replace(verdict, reason=Reason.OUT_OF_MEMORY)
        left = self._sweep(watch, now)
        place = placement(watch) if before.phase is Phase.STOPPED else Placement()
        around = Surroundings(
            leftovers=left,
            start_refused=place.refused,
            gpu_uuid=place.gpu_uuid,
            chance=self._tools.chance(),
            command=watch.command,
        )
        watch.command = None
        decision = decide(watch.replica, verdict, around, self.limits.policy, now.mono)
        self.ledger.tell_change(before, verdict, decision, now)
        watch.verdict = verdict
        watch.waiting = decision.reason if decision.replica.phase is Phase.STOPPED else None
        watch.replica = decision.replica
        self.ledger.show(watch)
        for action in decision.actions:
            self._act(watch, action, verdict, now)
        self.ledger.remember(watch, now)
        return decision.replica.phase is not before.phase

    def _sweep(self, watch: Watch, now: Moment) -> int:
        """After an end: kill what is left of the group, and forget the process once it is gone.

        What cannot even be killed (the kernel holds it) is left behind after a while.
        """
        replica = watch.replica
        if replica.identity is None or replica.phase in UP:
            return 0
        left = self._tools.actuator.leftovers(replica.identity)
        if left and now.mono - replica.since < self.limits.policy.abandon_s:
            return left
        if left:
            log.error("%s: %d processes cannot be killed and are left behind", replica.id, left)
            self._tools.casebook.note(f"left {left} unkillable processes", replica=replica.id)
        self._tools.actuator.release(replica.identity)
        if replica.phase is not Phase.FAILED:  # its last word is what people look for
            self._tools.board.remove_manifest(replica.id, replica.identity)
        self._tools.probes.forget(replica.id)
        watch.followed = None
        watch.replica = replace(replica, identity=None)
        return 0

    def _act(self, watch: Watch, action: Action, verdict: Verdict, now: Moment) -> None:
        tools = self._tools
        identity = watch.replica.identity
        if isinstance(action, Start):
            self._start(watch, now)
        elif isinstance(action, Terminate):
            if identity is not None:
                tools.actuator.terminate(identity)
        elif isinstance(action, Kill):
            if action.evidence and tools.save_evidence is not None:
                incident = tools.casebook.number_of(watch.replica.id)
                tools.save_evidence(incident or 0, watch, verdict, now)
            if identity is not None:
                tools.actuator.kill(identity)
        elif isinstance(action, OpenIncident):
            self.ledger.open_incident(watch, action, now)
        elif isinstance(action, NoteAction):
            tools.casebook.note(action.text, replica=watch.replica.id)
        elif isinstance(action, CloseIncidents):
            tools.casebook.close(now, replica=watch.replica.id, name=action.name)

    def _start(self, watch: Watch, now: Moment) -> None:
        self.ledger.remember(watch, now)  # the generation is spent before the process exists
        watch.begin_generation(now.mono)
        replica = watch.replica
        try:
            identity = self._tools.actuator.start(replica.id, replica.generation, replica.gpu_uuid)
        except ActuatorError as error:
            log.error("%s: %s", replica.id, error)  # noqa: TRY400 - the trace says nothing more
            code = _EXIT_FOR_GOOD if error.permanent else _EXIT_START_FAILED
            gone = ProcessSample(alive=False, exit_code=code, gone_at=now.mono)
            watch.window.see_process(gone, now.mono)
            return
        watch.replica = replace(replica, identity=identity)
        found = self._tools.board.manifest(replica.id)
        if found is not None and found.identity == identity:
            # a worker that was found running and not started counts in its own way
            watch.replica = replace(watch.replica, generation=found.generation)
            watch.begin_generation(now.mono)
