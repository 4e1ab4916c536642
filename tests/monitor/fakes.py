"""In-memory adapters and a clock that moves when it is told to."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from monitor.adopt import take_over
from monitor.casebook import Casebook
from monitor.inbox import CanarySeen, Inbox, ProgressSeen
from monitor.journal import Journal, read_recent
from monitor.keeper import Tools
from monitor.limits import LoopLimits
from monitor.loop import Loop
from monitor.model import (
    CanaryOutcome,
    CanaryResult,
    Identity,
    Manifest,
    Moment,
    ProcessSample,
    Progress,
    Reason,
    Unavailable,
    Why,
    WorkerState,
)
from monitor.ports import ActuatorError
from monitor.probes.canary import CASES
from monitor.tenancy import Owner
from monitor.window import CpuSample

RIGHT = {case.name: (3.0, -3.0) for case in CASES}
BOOT = "boot-1"


@dataclass
class FakeClock:
    mono: float = 1000.0
    wall: float = 1_700_000_000.0

    def now(self) -> Moment:
        return Moment(self.mono, self.wall)

    def pass_time(self, seconds: float) -> None:
        self.mono += seconds
        self.wall += seconds


@dataclass
class FakeWorker:
    """One process, its manifest and what it answers."""

    identity: Identity
    manifest: Manifest
    alive: bool = True
    exit_code: int | None = None
    stopped: bool = False
    answering: bool = True
    progress: Progress = field(default_factory=lambda: Progress(1, WorkerState.READY))
    canary: CanaryOutcome = CanaryOutcome.PASSED
    leftovers: int = 0
    deaf: bool = False
    cpu_s: float = 0.0
    resident_bytes: int = 100


class FakeHost:
    """Implements Actuator, Board and Probes over fake workers."""

    def __init__(self, clock: FakeClock, inbox: Inbox) -> None:
        self.clock = clock
        self.inbox = inbox
        self.workers: dict[Identity, FakeWorker] = {}
        self.current: dict[str, FakeWorker] = {}
        self.verdicts: dict[str, tuple[int, bool, str]] = {}
        self.followed: dict[str, int] = {}
        self.calls: list[str] = []
        self.start_error: ActuatorError | None = None
        self.instantly_ready = True
        self.realigned = 0
        self.boot = BOOT
        self.orphans: set[int] = set()
        self.unkillable: set[int] = set()
        self.unseen: set[int] = set()

    # Actuator

    def start(self, replica_id, generation, gpu_uuid):
        if self.start_error is not None:
            raise self.start_error
        identity = Identity(100 + len(self.workers), len(self.workers), self.boot)
        state = WorkerState.READY if self.instantly_ready else WorkerState.LOADING
        manifest = Manifest(
            replica_id,
            generation,
            identity,
            "http://fake",
            state,
            fingerprint="f",
            watched=True,
            gpu_uuid=gpu_uuid,
        )
        worker = FakeWorker(identity, manifest, progress=Progress(generation, state))
        self.workers[identity] = self.current[replica_id] = worker
        self.calls.append(f"start {replica_id}/{generation}")
        return identity

    def adopt(self, identity):
        worker = self.workers.get(identity)
        return worker is not None and worker.alive

    def look(self, identity):
        worker = self.workers.get(identity)
        if worker is None or not worker.alive:
            code = None if worker is None else worker.exit_code
            return ProcessSample(alive=False, exit_code=code, gone_at=self.clock.mono)
        return ProcessSample(alive=True, state="T" if worker.stopped else "S")

    def cpu(self, identity):
        worker = self.workers.get(identity)
        if worker is None:
            return CpuSample(0.0, 0.0)
        return CpuSample(worker.cpu_s, 0.0, resident_bytes=worker.resident_bytes)

    def terminate(self, identity):
        self.calls.append("terminate")
        if not self.workers[identity].deaf:
            self.die(self.workers[identity], 0)

    def kill(self, identity):
        worker = self.workers.get(identity)
        if worker is not None and worker.alive:
            self.calls.append("kill")
            self.die(worker, 137)

    def leftovers(self, identity):
        worker = self.workers.get(identity)
        return worker.leftovers if worker is not None else 0

    def release(self, identity):
        self.calls.append("release")

    # Board

    def manifest(self, replica_id):
        worker = self.current.get(replica_id)
        return None if worker is None else worker.manifest

    def manifests(self):
        return [worker.manifest for worker in self.current.values()]

    def remove_manifest(self, replica_id, identity):
        worker = self.current.get(replica_id)
        if worker is not None and worker.identity == identity:
            del self.current[replica_id]

    def write_verdict(self, replica_id, generation, *, routable, reason):
        self.verdicts[replica_id] = (generation, routable, reason)

    def remove_verdict(self, replica_id):
        self.verdicts.pop(replica_id, None)

    # Probes

    def follow(self, replica_id, generation, url):
        self.followed[replica_id] = generation

    def forget(self, replica_id):
        self.followed.pop(replica_id, None)

    def canary(self, replica_id):
        worker = self.current[replica_id]
        began = self.clock.mono
        reason = Reason.HEALTHY
        logits = RIGHT
        outcome = worker.canary
        if outcome is CanaryOutcome.WRONG:  # wrong is judged from values, never reported
            outcome, logits = CanaryOutcome.PASSED, {case.name: (-3.0, 3.0) for case in CASES}
        if outcome is not CanaryOutcome.PASSED:
            reason, logits = Reason.CANARY_ERROR, {}
        result = CanaryResult(
            worker.manifest.generation, outcome, began, began + 0.01, reason, "", logits
        )
        self.inbox.post(CanarySeen(replica_id, result))

    def realign(self):
        self.realigned += 1

    # whose process it is

    def owner_of(self, pid, replicas):
        for name, identity in replicas.items():
            if pid == identity.pid:
                return Owner.REPLICA, name
        if pid in self.unseen:
            return Owner.UNSEEN, ""
        return (Owner.ORPHAN if pid in self.orphans else Owner.STRANGER), ""

    def end_strays(self):
        reaped = self.orphans - self.unkillable
        self.orphans -= reaped
        return len(reaped)

    # what happens to workers

    def die(self, worker, code):
        worker.alive = False
        worker.exit_code = code

    def probe(self) -> None:
        """One round of `/progress` over everything that is followed."""
        for replica_id, generation in self.followed.items():
            worker = self.current.get(replica_id)
            now = self.clock.mono
            sample: Progress | Unavailable = Unavailable(Why.NOT_ANSWERING)
            if worker is not None and worker.alive and worker.answering and not worker.stopped:
                sample = replace(worker.progress, generation=generation)
            self.inbox.post(ProgressSeen(replica_id, generation, sample, now, now))


class FakeSink:
    """Keeps alerts, one per id; refuses as often as it is told to."""

    def __init__(self) -> None:
        self.alerts: dict[str, object] = {}
        self.order: list[tuple[str, str]] = []
        self.refusals = 0

    def accept(self, alerts):
        if self.refusals:
            self.refusals -= 1
            raise OSError("disk full")
        for alert in alerts:
            if alert.id not in self.alerts:
                self.order.append((alert.name, alert.status.value))
            self.alerts[alert.id] = alert


class Machine:
    """A loop over fakes; `run` lets time pass in steps as the real one would."""

    def __init__(self, folder, replicas=1, limits=None, host=None, clock=None, **options) -> None:
        self.clock = clock or FakeClock()
        self.inbox = Inbox()
        self.host = host or FakeHost(self.clock, self.inbox)
        self.host.inbox = self.inbox
        self.path = folder / "journal.db"
        self.journal = Journal(self.path)
        self.sink = FakeSink()
        self.casebook = Casebook(self.journal, self.sink, "host")
        self.snapshot = None
        self.loop = Loop(
            clock=self.clock,
            tools=Tools(
                self.host,
                self.host,
                self.host,
                self.journal,
                self.casebook,
                chance=lambda: 0.5,
                owner_of=self.host.owner_of,
                end_strays=self.host.end_strays,
            ),
            inbox=self.inbox,
            limits=limits or LoopLimits(),
            watches=self.take_over([f"replica-{n}" for n in range(replicas)]),
            make_watch=lambda replica: self.take_over([replica])[0],
            publish=self._publish,
            boot_id=self.host.boot,
            **options,
        )

    def take_over(self, replicas):
        return take_over(
            replicas,
            self.journal.replicas(),
            actuator=self.host,
            board=self.host,
            casebook=self.casebook,
            boot_id=self.host.boot,
            now=self.clock.now(),
        )

    def _publish(self, snapshot) -> None:
        self.snapshot = snapshot

    def run(self, seconds: float, step: float = 0.5) -> None:
        for _ in range(round(seconds / step)):
            self.host.probe()
            self.loop.tick()
            self.clock.pass_time(step)

    def transitions(self, limit):
        """Newest first."""
        return read_recent(self.path, limit)[1]

    def view(self, replica="replica-0"):
        return next(view for view in self.snapshot.replicas if view.replica.id == replica)

    def worker(self, replica="replica-0") -> FakeWorker:
        return self.host.current[replica]

    @property
    def generation(self) -> int:
        return self.view().replica.generation
