"""What the watchdog sees and says: values only. Knows no process, no HTTP, no database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


@dataclass(frozen=True, slots=True)
class Moment:
    """One instant, read once a tick and handed down.

    Attributes:
        mono: `time.monotonic()` seconds: what every timer counts in.
        wall: Unix seconds: what people and the journal read.
    """

    mono: float
    wall: float


class Why(str, Enum):
    """Why a reading is not there; each asks for something else."""

    NOT_SUPPORTED = "not_supported"
    NO_PERMISSION = "no_permission"
    GPU_LOST = "gpu_lost"
    NEEDS_RESET = "needs_reset"
    TIMED_OUT = "timed_out"
    DRIVER_GONE = "driver_gone"
    NO_LIBRARY = "no_library"
    NOT_ANSWERING = "not_answering"
    MALFORMED = "malformed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Unavailable:
    """A reading that failed: a value of its own, never 0 and never the last one again."""

    why: Why
    detail: str = ""


class Reason(str, Enum):
    """Why something was decided: one word for log, metric label, journal and alert."""

    # the replica is as it should be
    HEALTHY = "healthy"
    BUSY = "busy"
    STARTING = "starting"
    LOADING = "loading"
    AWAITING_CANARY = "awaiting_canary"
    DRAINING = "draining"
    SLOW_CANARY = "slow_canary"
    # wait and look again
    STALL_UNCONFIRMED = "stall_unconfirmed"
    PROBE_FAILING = "probe_failing"
    STARVED = "starved"
    CANARY_UNCONFIRMED = "canary_unconfirmed"
    UNSCORED = "unscored_documents"
    STATE_DISK = "state_disk"
    # slow, and serving
    LATENCY = "latency_over_slo"
    SLOWER_THAN_SIBLINGS = "slower_than_siblings"
    SLOWER_THAN_BEFORE = "slower_than_before"
    # dead
    PROCESS_GONE = "process_gone"
    KILLED = "killed_by_signal"
    EXITED = "exited"
    DRAINED = "drained"
    ENGINE_DIED = "engine_died"
    START_FAILED = "start_failed"
    START_FAILED_FOR_GOOD = "start_failed_for_good"
    OUT_OF_MEMORY = "out_of_memory"
    # hung
    NO_PROGRESS = "no_progress"
    STOPPED = "process_stopped"
    NOT_ANSWERING = "not_answering"
    LOAD_STALLED = "load_stalled"
    # wrong
    CANARY_ORDER = "canary_order"
    CANARY_FLAT = "canary_flat"
    CANARY_DRIFT = "canary_drift"
    CANARY_INVALID = "canary_invalid"
    CANARY_ERROR = "canary_error"
    # the card
    GPU_LOST = "gpu_lost"
    GPU_NEEDS_RESET = "gpu_needs_reset"
    GPU_FAULT = "gpu_fault"
    # what the watchdog or an operator decided
    FIRST_START = "first_start"
    ADOPTED = "adopted"
    RESTART = "restart"
    BACKOFF = "backoff"
    ONE_AT_A_TIME = "one_start_at_a_time"
    LEFTOVERS = "leftovers"
    NO_GPU = "no_gpu"
    GPU_MEMORY_HELD = "gpu_memory_held"
    OBSERVING = "observing"
    AWAITING_GPUS = "awaiting_gpus"
    BUDGET_SPENT = "budget_spent"
    NEVER_SERVED = "never_served"
    REARMED = "rearmed"
    OPERATOR = "operator"
    HOLD_EXPIRED = "hold_expired"
    CORDONED = "cordoned"
    SCALED = "scaled"
    LEAK = "leak"
    SHUTDOWN = "shutdown"


class Health(str, Enum):
    """What a replica is, from evidence alone."""

    STARTING = "starting"
    HEALTHY = "healthy"
    BUSY = "busy"
    SUSPECT = "suspect"
    DEGRADED = "degraded"
    STARVED = "starved"
    DRAINING = "draining"
    DEAD = "dead"
    HUNG = "hung"
    WRONG = "wrong"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A health with its reason, and one sentence of numbers for people.

    Attributes:
        since_s: seconds from the last sign of health to now: what detection took.
    """

    health: Health
    reason: Reason
    detail: str = ""
    since_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Identity:
    """Names one process for good: a pid alone is used again (proc(5), field 22 of stat)."""

    pid: int
    started_ticks: int
    boot_id: str


class WorkerState(str, Enum):
    """A worker's own word on itself, in its manifest and in `/progress`."""

    LOADING = "loading"
    READY = "ready"
    DRAINING = "draining"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Manifest:
    """`replicas/<id>.json`, as far as the watchdog needs it (docs/architecture.md)."""

    id: str
    generation: int
    identity: Identity
    url: str
    state: WorkerState
    engine: str = ""
    model: str = ""
    fingerprint: str = ""
    notice: str = ""
    gpu_uuid: str | None = None
    watched: bool = False
    reason: str = ""
    exit_code: int | None = None


@dataclass(frozen=True, slots=True)
class ProcessSample:
    """What the kernel says of a replica's process.

    Attributes:
        state: field 3 of stat: `R S D T t Z`; empty when gone.
        exit_code: as a shell has it, 128 + signal for a killed one; None while alive or unknown.
        gone_at: `time.monotonic()` of the end when the kernel told us, else None.
    """

    alive: bool
    state: str = ""
    exit_code: int | None = None
    gone_at: float | None = None


@dataclass(frozen=True, slots=True)
class Effort:
    """How hard a process group worked over a window: in cores (1.0 is one core all the time).

    Attributes:
        running: time on a CPU. waiting: time ready to run and not let (schedstat, field 2).
        blocked: some member was in uninterruptible sleep at both ends.
    """

    running: float
    waiting: float
    blocked: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """One answer of `GET /progress`; counts are of documents, `steps` of forward passes.

    Attributes:
        unscored: users' documents for which the engine gave no finite score.
        busy_s: seconds for which any user's work was in flight. served: their documents done.
        prefix_looked_up: prompt tokens looked up in the engine's prefix cache.
        prefix_found: those that were there.
    """

    generation: int
    state: WorkerState
    completed: int = 0
    failed: int = 0
    in_flight: int = 0
    steps: int = 0
    oldest_in_flight_s: float | None = None
    last_success_s: float | None = None
    loading_phase: str = ""
    loading_done: float | None = None
    unscored: int = 0
    prefix_looked_up: int = 0
    prefix_found: int = 0
    busy_s: float = 0.0
    served: int = 0


class CanaryOutcome(str, Enum):
    """How one canary ended."""

    PASSED = "passed"
    WRONG = "wrong"
    TIMED_OUT = "timed_out"
    REFUSED = "refused"
    ERROR = "error"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class CanaryResult:
    """One canary run.

    Attributes:
        began, ended: `time.monotonic()` seconds.
        reason: for WRONG and ERROR the reason word.
        logits: case name -> logits in the order of its documents; empty when there are none.
    """

    generation: int
    outcome: CanaryOutcome
    began: float
    ended: float
    reason: Reason = Reason.HEALTHY
    detail: str = ""
    logits: Mapping[str, tuple[float, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Slow:
    """A replica that does its work, and too slowly; `since` is `time.monotonic()` seconds."""

    reason: Reason
    detail: str
    since: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything known of one generation of one replica, at one moment.

    Attributes:
        started_at: when the process was started or adopted.
        probe_failing_since: begin of the first of the failed `/progress` probes in a row.
        stalled_since: work in flight, and since then no document completed and no step done.
        usual_gap_s: the longest pause between two steps seen while this generation was healthy.
        stopped_since: in state T since.
        load_moved_at: when its loading last got further, or the group last used a CPU.
        canary: the last finished one. canary_bad: failed or wrong ones in a row, newest included.
        canary_good: at least one passed in this generation.
        unscored_at: users' documents got NaN for a score then, and no canary passed since.
        effort: over the last seconds; None when nobody had a reason to measure.
        board_refuses: the state directory cannot be written, so nobody can say anything there.
        gpu: LOST or FAULT of its card, already judged; None when well or unknown.
        slow: since when, why and by how much it is slow, already judged; None when it is not.
    """

    started_at: float
    process: ProcessSample
    manifest: Manifest | None = None
    progress: Progress | None = None
    probe_failing_since: float | None = None
    stalled_since: float | None = None
    usual_gap_s: float = 0.0
    stopped_since: float | None = None
    load_moved_at: float = 0.0
    canary: CanaryResult | None = None
    canary_bad: int = 0
    canary_good: bool = False
    unscored_at: float | None = None
    effort: Effort | None = None
    board_refuses: bool = False
    gpu: Reason | None = None
    slow: Slow | None = None
