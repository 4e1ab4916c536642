"""The status as JSON: from a snapshot to plain values. Pure."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

from monitor.cardbook import CardView
from monitor.gpu import Field
from monitor.journal import to_json
from monitor.model import Health, Unavailable
from monitor.replica import Phase
from monitor.rolling import to_json as rollout_status
from monitor.snapshot import ReplicaView, Snapshot
from monitor.tenancy import Owner

_RUNNING = {Phase.STARTING, Phase.SERVING}


def overall(snapshot: Snapshot) -> str:
    """healthy: every replica that shall run is routable; degraded: some; down: none."""
    wanted = [view for view in snapshot.replicas if view.replica.phase is not Phase.DRAINED]
    routable = [view for view in wanted if view.replica.routable]
    if wanted and len(routable) == len(wanted):
        return "healthy"
    if routable:
        return "degraded"
    starting = any(view.replica.phase in {Phase.STARTING, Phase.STOPPED} for view in wanted)
    troubled = any(incident.replica is not None for incident in snapshot.incidents)
    return "starting" if starting and not troubled else "down"


def status(snapshot: Snapshot) -> dict[str, Any]:
    """The body of `GET /status`, and what `rankguard status --json` prints."""
    return {
        "state": overall(snapshot),
        "replicas": [replica_status(view) for view in snapshot.replicas],
        "replicas_wanted": snapshot.wanted,
        "gpus": [card_status(view) for view in snapshot.cards],
        "incidents": [to_json(incident) for incident in snapshot.incidents],
        "rollout": None if snapshot.rollout is None else rollout_status(snapshot.rollout),
        "host": _host(snapshot),
        "load": _load(snapshot),
        "alerts": _delivery(snapshot),
        "watchdog": {
            "pid": os.getpid(),
            "heartbeat": snapshot.at,
            "started_at": snapshot.started_at,
            "ticks": snapshot.counters.ticks,
            "tick_s": round(snapshot.tick_s, 6),
            "tick_errors": snapshot.counters.tick_errors,
            "journal_errors": snapshot.counters.journal_errors,
            "driver": _driver(snapshot),
            "notices": list(snapshot.notices),
        },
    }


def replica_status(view: ReplicaView) -> dict[str, Any]:
    replica, manifest, verdict = view.replica, view.manifest, view.verdict
    running = replica.phase in _RUNNING and verdict is not None
    reason = replica.reason if view.waiting is None else view.waiting
    return {
        "id": replica.id,
        "state": _state(view),
        "reason": verdict.reason.value if running and verdict else reason.value,
        "detail": verdict.detail if running and verdict else "",
        "phase": replica.phase.value,
        "routable": replica.routable,
        "pid": None if replica.identity is None else replica.identity.pid,
        "url": None if manifest is None else manifest.url,
        "engine": None if manifest is None else manifest.engine,
        "model": None if manifest is None else manifest.model,
        "notice": "" if manifest is None else manifest.notice,
        "gpu_uuid": replica.gpu_uuid,
        "generation": replica.generation,
        "restarts": replica.restarts,
        "inflight": 0 if view.progress is None else view.progress.in_flight,
        "gpu_memory_bytes": view.gpu_bytes,
        "docs_per_s": round(view.recent[-1], 2) if view.recent else 0.0,
    }


def _state(view: ReplicaView) -> str:
    """One word for people: a busy replica is a healthy one, and `reason` says that it is busy."""
    replica, verdict = view.replica, view.verdict
    if replica.phase not in _RUNNING or verdict is None:
        return replica.phase.value
    if replica.routable and verdict.health is Health.BUSY:
        return Health.HEALTHY.value
    return verdict.health.value


def card_status(view: CardView) -> dict[str, Any]:
    """Readings that are missing are null, and `fault` or `unavailable` says why."""
    card, sample = view.card, view.sample
    body: dict[str, Any] = {
        "uuid": card.uuid,
        "index": card.index,
        "name": card.name,
        "pci_bus_id": card.pci_bus_id,
        "state": view.verdict.state.value,
        "cordoned": view.cordoned,
        "fault": None if sample.fault is None else sample.fault.why.value,
        "findings": [finding.name for finding in view.verdict.findings],
        "instances": [dataclasses.asdict(one) for one in sample.instances],
        "strangers": [one.pid for one in view.tenancy.holders if one.owner is not Owner.REPLICA],
        "xids": {str(xid): count for xid, count in sorted(view.xids.items())},
    }
    for field in Field:
        body[field.value] = sample.number(field)
    body["unavailable"] = {
        field.value: value.why.value
        for field, value in sample.values.items()
        if isinstance(value, Unavailable)
    }
    return body


def _host(snapshot: Snapshot) -> dict[str, Any] | None:
    host = snapshot.host
    if host is None:
        return None
    return {
        "cpu_ratio": host.cpu_ratio,
        "cpu_pressure_ratio": host.cpu_pressure,
        "memory_available_bytes": host.memory_available,
        "memory_total_bytes": host.memory_total,
        "swap_used_bytes": host.swap_used,
        "disks": {
            path: {"free_bytes": free, "total_bytes": total}
            for path, (free, total) in host.disks.items()
        },
    }


def _load(snapshot: Snapshot) -> dict[str, Any] | None:
    load = snapshot.load
    if load is None:
        return None
    return {"queued_tokens": load.queued_tokens, "p95_s": load.p95_s}


def _delivery(snapshot: Snapshot) -> list[dict[str, Any]]:
    if snapshot.delivery is None:
        return []
    return [
        {
            "receiver": one.name,
            "type": one.type,
            "pending": one.pending,
            "failed": one.failed,
            "sent": one.sent_total,
            "last_error": one.last_error,
        }
        for one in snapshot.delivery.receivers
    ]


def _driver(snapshot: Snapshot) -> str | None:
    if snapshot.gpus is None:
        return None
    driver = snapshot.gpus.driver
    return driver.why.value if isinstance(driver, Unavailable) else driver
