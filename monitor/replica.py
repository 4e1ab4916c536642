"""One replica as the policy sees it, and what the policy may ask for. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from monitor.backoff import PastRestart
from monitor.model import Identity, Reason


class Phase(str, Enum):
    """Where a replica is in its life; the verdict says how it is, the phase what is done."""

    STOPPED = "stopped"  # no process; to be started at start_at
    STARTING = "starting"  # a process, not routable yet
    SERVING = "serving"
    STOPPING = "stopping"  # told to end; `after` says what comes then
    DRAINED = "drained"  # kept down by an operator or by scaling
    FAILED = "failed"  # given up: a person was called


@dataclass(frozen=True, slots=True)
class Replica:
    """All moments are `time.monotonic()` seconds.

    Attributes:
        generation: of the present or last process; grows for ever.
        since: when the phase began. reason: why it did.
        start_at: for STOPPED: not before. kill_at: for STOPPING: SIGKILL from then on.
        serving_since: when this generation became routable first.
        failures: ends in a row without a stable run in between.
        served: this configuration answered once; until then a failing start is its own fault.
        past: restarts that still count against the budgets.
        hold_until: for DRAINED: until then (None: until an operator says so).
        routable, route_reason: what the gateway is told.
        troubled: an incident of this replica is open.
        degraded: it serves, and it is told of that it is slow.
    """

    id: str
    phase: Phase = Phase.STOPPED
    reason: Reason = Reason.FIRST_START
    since: float = 0.0
    generation: int = 0
    identity: Identity | None = None
    gpu_uuid: str | None = None
    start_at: float = 0.0
    kill_at: float | None = None
    after: Phase = Phase.STOPPED
    serving_since: float | None = None
    failures: int = 0
    served: bool = False
    restarts: int = 0
    past: tuple[PastRestart, ...] = ()
    hold_until: float | None = None
    rearm_at: float | None = None
    routable: bool = False
    route_reason: Reason = Reason.STARTING
    troubled: bool = False
    degraded: bool = False


@dataclass(frozen=True, slots=True)
class Start:
    """Start the replica's present generation."""


@dataclass(frozen=True, slots=True)
class Terminate:
    """SIGTERM to the worker: it drains and ends."""


@dataclass(frozen=True, slots=True)
class Kill:
    """SIGKILL to the whole group. `evidence`: save an incident bundle first."""

    evidence: bool = False


@dataclass(frozen=True, slots=True)
class OpenIncident:
    """Something broke.

    Attributes:
        page: a person must act; nothing here will repair it.
        beside: the replica goes on serving: a warning, even when no other serves.
    """

    name: str
    reason: Reason
    detail: str
    detected_s: float = 0.0
    page: bool = False
    beside: bool = False


@dataclass(frozen=True, slots=True)
class NoteAction:
    """What was done about the open incidents, in words."""

    text: str


@dataclass(frozen=True, slots=True)
class CloseIncidents:
    """All incidents of this replica are over, or those of one name."""

    reason: Reason
    name: str | None = None


Action = Start | Terminate | Kill | OpenIncident | NoteAction | CloseIncidents


class CommandKind(str, Enum):
    """What an operator, or the scaling, may ask of one replica."""

    DRAIN = "drain"
    UNDRAIN = "undrain"
    RESTART = "restart"


@dataclass(frozen=True, slots=True)
class Command:
    """One request. `for_s`: how long a drain holds; None: until undrained."""

    kind: CommandKind
    for_s: float | None = None
    reason: Reason = Reason.OPERATOR


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What else the policy must know of the moment.

    Attributes:
        leftovers: members of the last generation's group that are still there.
        start_refused: why a start must wait now (breaker, no free card); None when it need not.
        gpu_uuid: the card for the next start.
        chance: 0 to 1, for the jitter.
        command: what an operator asked.
    """

    leftovers: int = 0
    start_refused: Reason | None = None
    gpu_uuid: str | None = None
    chance: float = 0.5
    command: Command | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """The replica as it shall be, what to do for it, and why."""

    replica: Replica
    actions: tuple[Action, ...]
    reason: Reason
