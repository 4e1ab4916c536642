"""What the loop asks of the outside. app.py and adapters.py build what stands behind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from alerts.model import Alert
from monitor.gpu import GpuRound
from monitor.model import (
    CanaryResult,
    Identity,
    Manifest,
    Moment,
    ProcessSample,
    Progress,
    Unavailable,
)
from monitor.window import CpuSample


class Clock(Protocol):
    """Time, read once a tick."""

    def now(self) -> Moment: ...


class Actuator(Protocol):
    """Starts, looks at and ends the processes of replicas.

    Every method returns within moments; ending is asked for again until `look` and `leftovers`
    say that it is done. Asking twice is harmless.
    """

    def start(self, replica_id: str, generation: int, gpu_uuid: str | None) -> Identity:
        """Start one generation.

        Raises:
            ActuatorError: it could not be started.
        """
        ...

    def adopt(self, identity: Identity) -> bool:
        """Take over a process that another watchdog started; False when it is gone."""
        ...

    def look(self, identity: Identity) -> ProcessSample: ...

    def cpu(self, identity: Identity) -> CpuSample: ...

    def terminate(self, identity: Identity) -> None:
        """Ask it to drain and end."""
        ...

    def kill(self, identity: Identity) -> None:
        """End the whole group at once."""
        ...

    def leftovers(self, identity: Identity) -> int:
        """Kill what is left of an ended process's group; how many are still there."""
        ...

    def release(self, identity: Identity) -> None:
        """Forget an ended process."""
        ...


class ClosingActuator(Actuator, Protocol):
    """One that holds something to give back at the end; the workers go on."""

    def close(self) -> None: ...


class ActuatorError(Exception):
    """A replica could not be started or reached; `permanent`: trying again changes nothing."""

    def __init__(self, message: str, *, permanent: bool = False) -> None:
        super().__init__(message)
        self.permanent = permanent


class GpuReader(Protocol):
    """Looks at all cards; returns within a few seconds whatever the driver does."""

    def read(self) -> GpuRound: ...

    def close(self) -> None:
        """End what reads; waits for nothing."""
        ...


class RestingReader(GpuReader, Protocol):
    """One that can let go of the cards until the next look."""

    def rest(self) -> None: ...


class Board(Protocol):
    """The files through which workers, watchdog and gateway know of each other."""

    def manifest(self, replica_id: str) -> Manifest | None: ...

    def manifests(self) -> Sequence[Manifest]: ...

    def remove_manifest(self, replica_id: str, identity: Identity) -> None:
        """Remove it if it is still this process's."""
        ...

    def write_verdict(
        self, replica_id: str, generation: int, *, routable: bool, reason: str
    ) -> None:
        """Tell the gateway; raises OSError when the file cannot be written."""
        ...

    def remove_verdict(self, replica_id: str) -> None: ...


class Prober(Protocol):
    """Asks a worker over HTTP; answers come back as values, failures included."""

    def progress(self, url: str) -> Progress | Unavailable: ...

    def canary(self, url: str, generation: int) -> CanaryResult: ...


class Probes(Protocol):
    """Runs probes beside the loop and posts what they bring; never blocks the caller."""

    def follow(self, replica_id: str, generation: int, url: str) -> None:
        """Ask this worker for its progress every period, until forgotten."""
        ...

    def forget(self, replica_id: str) -> None: ...

    def canary(self, replica_id: str) -> None:
        """Run one now, unless one is under way."""
        ...

    def realign(self) -> None:
        """The wall clock was set: ask again from now on."""
        ...


class Sink(Protocol):
    """Takes alerts for delivery: durable when it returns, idempotent by `alert.id`."""

    def accept(self, alerts: Sequence[Alert]) -> None: ...


Wake = Callable[[], None]
