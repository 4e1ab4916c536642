"""Touches nothing: for workers that somebody else starts and ends. It only decides and tells."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from monitor.model import Identity, Manifest, ProcessSample, Reason, WorkerState
from monitor.ports import ActuatorError, Board
from monitor.probes.process import cpu_of, exists, group
from monitor.window import CpuSample

_DRAINED = 0  # the exit code of a worker that was told to end and did

log = logging.getLogger("rankguard.watchdog")


class ObservingActuator:
    """Implements `Actuator`: a start is finding a worker that runs, an end is waiting for it.

    Whose child a worker is, is not known here, nor how it exited; that it was told to end is: a
    worker that drains says so, and takes its manifest away at its end. Any other end leaves it.
    """

    def __init__(self, board: Board) -> None:
        self._board = board
        self._condemned: set[Identity] = set()
        self._known: dict[Identity, Manifest] = {}  # what each said of itself last

    def may_start(self, replica_id: str) -> Reason | None:
        """None when a worker of this name runs that was not given up."""
        manifest = self._board.manifest(replica_id)
        if manifest is None or manifest.identity in self._condemned:
            return Reason.OBSERVING
        if manifest.state is WorkerState.DRAINING:
            return Reason.OBSERVING
        return None if self.adopt(manifest.identity) else Reason.OBSERVING

    def start(self, replica_id: str, generation: int, gpu_uuid: str | None) -> Identity:
        del generation, gpu_uuid
        manifest = self._board.manifest(replica_id)
        if manifest is None or not self.adopt(manifest.identity):
            raise ActuatorError("nobody has started it")
        self._known[manifest.identity] = manifest
        return manifest.identity

    def adopt(self, identity: Identity) -> bool:
        stat = exists(identity)
        return stat is not None and stat.state not in {"Z", "X"}

    def look(self, identity: Identity) -> ProcessSample:
        stat = exists(identity)
        running = stat is not None and stat.state not in {"Z", "X"}
        if self._left_in_order(identity, running=running):
            return ProcessSample(alive=False, exit_code=_DRAINED)
        if stat is None or not running:
            return ProcessSample(alive=False)
        return ProcessSample(alive=True, state=stat.state)

    def _left_in_order(self, identity: Identity, *, running: bool) -> bool:
        """Whether it has drained, or was ended while it did; its process may go on for a while."""
        known = self._known.get(identity) or self._find(identity)
        if known is None:
            # an earlier watchdog knew it: it had a manifest then
            return not running
        found = self._board.manifest(known.id)
        if found is None:
            return True
        if found.identity == identity:
            self._known[identity] = found
            return not running and found.state is WorkerState.DRAINING
        # the next one of this name counts on from a manifest that it finds
        return found.generation <= known.generation

    def _find(self, identity: Identity) -> Manifest | None:
        return next((one for one in self._board.manifests() if one.identity == identity), None)

    def cpu(self, identity: Identity) -> CpuSample:
        return cpu_of(group(identity))

    def terminate(self, identity: Identity) -> None:
        log.warning("observing only: pid %d would be drained now", identity.pid)

    def kill(self, identity: Identity) -> None:
        if identity not in self._condemned:
            self._condemned.add(identity)
            log.warning("observing only: pid %d would be killed now", identity.pid)

    def leftovers(self, identity: Identity) -> int:
        del identity
        return 0

    def release(self, identity: Identity) -> None:
        self._known.pop(identity, None)

    def close(self) -> None:
        return


class ObservingBoard:
    """Implements `Board`: reads what another board reads, and writes nothing."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def manifest(self, replica_id: str) -> Manifest | None:
        return self._board.manifest(replica_id)

    def manifests(self) -> Sequence[Manifest]:
        return self._board.manifests()

    def remove_manifest(self, replica_id: str, identity: Identity) -> None:
        del replica_id, identity

    def write_verdict(
        self, replica_id: str, generation: int, *, routable: bool, reason: str
    ) -> None:
        del replica_id, generation, routable, reason

    def remove_verdict(self, replica_id: str) -> None:
        del replica_id
