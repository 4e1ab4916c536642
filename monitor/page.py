"""The status as JSON and as one plain page. PURE: from a snapshot to text."""

from __future__ import annotations

import html
import os
from typing import Any

from monitor.journal import Transition, to_json
from monitor.model import Health
from monitor.replica import Phase
from monitor.snapshot import ReplicaView, Snapshot


def overall(snapshot: Snapshot) -> str:
    """healthy: every replica that shall run is routable; degraded: some; down: none."""
    wanted = [view for view in snapshot.replicas if view.replica.phase is not Phase.DRAINED]
    routable = [view for view in wanted if view.replica.routable]
    if wanted and len(routable) == len(wanted):
        return "healthy"
    if routable:
        return "degraded"
    starting = any(view.replica.phase is Phase.STARTING for view in wanted)
    return "starting" if starting and not snapshot.incidents else "down"


def status(snapshot: Snapshot) -> dict[str, Any]:
    """The body of `GET /status`, and what `rankguard status --json` prints."""
    return {
        "state": overall(snapshot),
        "replicas": [_replica(view) for view in snapshot.replicas],
        "gpus": [],
        "incidents": [to_json(incident) for incident in snapshot.incidents],
        "watchdog": {
            "pid": os.getpid(),
            "heartbeat": snapshot.at,
            "started_at": snapshot.started_at,
            "ticks": snapshot.counters.ticks,
            "tick_s": round(snapshot.tick_s, 6),
            "tick_errors": snapshot.counters.tick_errors,
            "journal_errors": snapshot.counters.journal_errors,
            "notices": list(snapshot.notices),
        },
    }


def _state(view: ReplicaView) -> str:
    """One word for people: a busy replica is a healthy one, and `reason` says that it is busy."""
    replica, verdict = view.replica, view.verdict
    if replica.phase not in {Phase.STARTING, Phase.SERVING} or verdict is None:
        return replica.phase.value
    if replica.routable and verdict.health is Health.BUSY:
        return Health.HEALTHY.value
    return verdict.health.value


def _replica(view: ReplicaView) -> dict[str, Any]:
    replica, manifest, verdict = view.replica, view.manifest, view.verdict
    running = replica.phase in {Phase.STARTING, Phase.SERVING} and verdict is not None
    return {
        "id": replica.id,
        "state": _state(view),
        "reason": verdict.reason.value if running and verdict else replica.reason.value,
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
    }


def page(snapshot: Snapshot, transitions: list[Transition]) -> str:
    """The page at `/`: no script, no external asset."""
    body = status(snapshot)
    rows = "".join(
        "<tr>"
        + "".join(
            f"<td>{html.escape(str(replica[key]))}</td>"
            for key in ("id", "state", "reason", "generation", "restarts", "inflight", "model")
        )
        + "</tr>"
        for replica in body["replicas"]
    )
    incidents = "".join(
        f"<li>{html.escape(one['name'])}: {html.escape(one['summary'])}</li>"
        for one in body["incidents"]
    )
    past = "".join(
        f"<li>{html.escape(f'{one.subject}: {one.old} → {one.new} ({one.reason})')}</li>"
        for one in transitions
    )
    return (
        "<!doctype html><html lang=en><meta charset=utf-8>"
        "<meta name=viewport content='width=device-width'><meta http-equiv=refresh content=5>"
        f"<title>rankguard: {body['state']}</title><h1>rankguard: {body['state']}</h1>"
        "<table><tr><th>replica<th>state<th>reason<th>generation<th>restarts<th>in flight<th>model"
        f"</tr>{rows}</table><h2>Open incidents</h2><ul>{incidents}</ul>"
        f"<h2>What happened</h2><ul>{past}</ul></html>"
    )
