"""What may reach the loop from other threads: values, one bounded queue, and a way to wake it."""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass

from monitor.collectors.kmsg import KernelEvent
from monitor.gpu import GpuRound
from monitor.host import HostSample
from monitor.model import CanaryResult, Progress, Unavailable
from monitor.replica import Command
from monitor.scaling import Load


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
class CardsSeen:
    """One look at all cards ended."""

    found: GpuRound


@dataclass(frozen=True, slots=True)
class KernelSeen:
    """The kernel told of something."""

    event: KernelEvent


@dataclass(frozen=True, slots=True)
class HostSeen:
    """One look at the host ended."""

    sample: HostSample


@dataclass(frozen=True, slots=True)
class LoadSeen:
    """The gateway told of its load; None: it could not be asked."""

    load: Load | None


@dataclass(frozen=True, slots=True)
class CommandAsked:
    """An operator asked something of a replica."""

    replica: str
    command: Command


@dataclass(frozen=True, slots=True)
class ResetEnded:
    """A card was reset, or could not be."""

    gpu_uuid: str
    ok: bool
    detail: str


@dataclass(frozen=True, slots=True)
class CordonAsked:
    """An operator takes a card out of use, or back; `for_s` None: until taken back."""

    gpu_uuid: str
    cordon: bool
    for_s: float | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class RolloutAsked:
    """An operator asks for a rolling restart; `version` empty: with what is installed now.

    Attributes:
        fingerprint: what the new replicas must run; empty: anything.
        limit_s: for each replica, from its turn until it serves.
        surge: one replica more may be started while the only one restarts.
    """

    id: str
    version: str = ""
    fingerprint: str = ""
    limit_s: float = 900.0
    surge: bool = True


@dataclass(frozen=True, slots=True)
class RolloutEnded:
    """An operator ends the one that runs: `back` to the old version, else where it is."""

    back: bool


Message = (
    ProgressSeen
    | CanarySeen
    | CardsSeen
    | KernelSeen
    | HostSeen
    | LoadSeen
    | CommandAsked
    | CordonAsked
    | ResetEnded
    | RolloutAsked
    | RolloutEnded
)


class Inbox:
    """Bounded. When it is full, a probe more is of no use; what comes only once waits for room."""

    def __init__(self, size: int = 1000, patience_s: float = 5.0) -> None:
        """Hold so many messages; a poster waits at most `patience_s` for room."""
        self._queue: queue.Queue[Message] = queue.Queue(size)
        self._patience_s = patience_s
        self._event = threading.Event()
        self.dropped = 0

    def wake(self) -> None:
        self._event.set()

    def post(self, message: Message) -> None:
        """Leave a message; one that may change a decision wakes the loop, others can wait."""
        try:
            self._queue.put_nowait(message)
        except queue.Full:
            self._post_late(message)
        if _is_urgent(message):
            self._event.set()

    def _post_late(self, message: Message) -> None:
        self._event.set()
        wait_s = 0.0 if isinstance(message, _COMES_AGAIN) else self._patience_s
        try:
            self._queue.put(message, timeout=wait_s)
        except queue.Full:
            self.dropped += 1

    def is_woken(self) -> bool:
        """The loop is asked to run before its time."""
        return self._event.is_set()

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


_COMES_AGAIN = (ProgressSeen, HostSeen, LoadSeen)


def _is_urgent(message: Message) -> bool:
    """A replica that is idle, cards and a host that are well: the next round is soon enough."""
    if isinstance(message, ProgressSeen):
        sample = message.sample
        return isinstance(sample, Unavailable) or sample.in_flight > 0
    if isinstance(message, CardsSeen):
        found = message.found
        return bool(found.xids) or any(card.fault is not None for card in found.cards)
    return not isinstance(message, HostSeen | LoadSeen)
