"""From one watchdog to the next: what runs already, what ran before, and what to make of it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from monitor.casebook import Casebook
from monitor.journal import Journal
from monitor.memory import fresh_start, from_json, to_json
from monitor.model import Identity, Manifest, Moment, ProcessSample, Reason
from monitor.ports import Actuator, Board
from monitor.replica import Phase, Replica
from monitor.watch import Watch

_RAN = {Phase.STARTING, Phase.SERVING, Phase.STOPPING}

log = logging.getLogger("rankguard.watchdog")


def first_ids(count: int, board: Board) -> list[str]:
    """So many replicas, and who runs already: scaling drains who is too many."""
    wanted = [f"replica-{index}" for index in range(count)]
    running = [one.id for one in board.manifests() if one.watched]
    return [*wanted, *(one for one in running if one not in wanted)]


def hand_over(replicas: Sequence[Replica], journal: Journal, *, ended: bool, now: Moment) -> None:
    """At an orderly end: what was given up may be tried again, for an operator had a look at it.

    Args:
        ended: the replicas were stopped as well.

    Raises:
        JournalError: it cannot be written.
    """
    held = journal.holds()
    for replica in replicas:
        over = ended or replica.identity is None
        kept = fresh_start(replica, now) if over else replica
        if over and replica.id not in held:
            kept = replace(kept, phase=Phase.STOPPED)
        journal.save_replica(replica.id, to_json(kept, now))


def take_over(
    ids: Sequence[str],
    saved: Mapping[str, dict[str, Any]],
    *,
    actuator: Actuator,
    board: Board,
    casebook: Casebook,
    boot_id: str,
    now: Moment,
    anybodys: bool = False,
) -> list[Watch]:
    """One watch per replica: running workers are adopted, ended ones are seen to have ended.

    A worker that ended while nobody watched in this boot is an incident like any other; after a
    reboot nothing can run any more, and that is none.

    Args:
        anybodys: take workers that no watchdog started as well.
    """
    watches = []
    for replica_id in ids:
        replica = _remembered(replica_id, saved, now)
        replica = replace(replica, troubled=casebook.troubled(replica_id))
        manifest = board.manifest(replica_id)
        own = manifest if manifest is not None and (manifest.watched or anybodys) else None
        watches.append(_take_over_one(replica, own, actuator, board, boot_id, now))
    return watches


def _remembered(replica_id: str, saved: Mapping[str, dict[str, Any]], now: Moment) -> Replica:
    body = saved.get(replica_id)
    if body is None:
        return Replica(replica_id, since=now.mono, start_at=now.mono)
    try:
        return from_json(replica_id, body, now)
    except (KeyError, ValueError, TypeError) as error:
        log.warning("%s: the journal's record is not readable: %s", replica_id, error)
        generation = int(body.get("generation", 0))
        return Replica(replica_id, since=now.mono, start_at=now.mono, generation=generation)


def _take_over_one(  # noqa: PLR0917 - what it needs to know of the one replica
    replica: Replica,
    own: Manifest | None,
    actuator: Actuator,
    board: Board,
    boot_id: str,
    now: Moment,
) -> Watch:
    for identity, generation in _candidates(replica, own):
        if actuator.adopt(identity):
            return _adopted(replica, identity, generation, own, now)
    if replica.identity is not None and replica.identity.boot_id == boot_id:
        return _ended_unseen(replica, now)
    if own is not None and own.identity.boot_id != boot_id:
        board.remove_manifest(replica.id, own.identity)
    if replica.identity is not None or replica.phase in _RAN:
        replica = fresh_start(replica, now)
    return Watch(replica)


def _candidates(replica: Replica, manifest: Manifest | None) -> list[tuple[Identity, int]]:
    """Processes that may be this replica, the newest generation first."""
    found = []
    if replica.identity is not None:
        found.append((replica.identity, replica.generation))
    if manifest is not None and manifest.identity != replica.identity:
        found.append((manifest.identity, manifest.generation))
    return sorted(found, key=lambda one: -one[1])


def _adopted(
    replica: Replica, identity: Identity, generation: int, manifest: Manifest | None, now: Moment
) -> Watch:
    same = generation == replica.generation
    phase = replica.phase if same and replica.phase in _RAN else Phase.STARTING
    adopted = replace(
        replica,
        phase=phase,
        reason=Reason.ADOPTED,
        since=now.mono,
        identity=identity,
        generation=max(generation, replica.generation) if same else generation,
        gpu_uuid=manifest.gpu_uuid if manifest is not None else replica.gpu_uuid,
        routable=replica.routable and phase is Phase.SERVING,
    )
    log.info("%s/%d: adopted pid %d", adopted.id, adopted.generation, identity.pid)
    watch = Watch(adopted)
    if phase is Phase.SERVING:
        watch.window.trust()
    return watch


def _ended_unseen(replica: Replica, now: Moment) -> Watch:
    """Its process ended while no watchdog ran: let the loop find that out in its usual way."""
    watch = Watch(replica)
    watch.window.see_process(ProcessSample(alive=False), now.mono)
    return watch
