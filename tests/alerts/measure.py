"""Measures the alert pipeline, prints JSON: `python -m tests.alerts.measure [burst|outage|kills]`.

burst: 10,000 transitions from 8 GPUs and 16 replicas within a minute, three receivers.
outage: 30 minutes without a receiver, then recovery, once for programs and once for people.
kills: `kill -9` at 200 random moments under load. Times of the first two are on a virtual clock.
"""

from __future__ import annotations

import argparse
import json
import logging
import platform
import random
import resource
import tempfile
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

from alerts.message import Kind
from alerts.model import Alert, Status
from tests.alerts import crash
from tests.alerts.make import Clock, alert, resolved
from tests.alerts.stand import NO, Stand

GPU_NAMES = ("GpuXid", "GpuEcc", "GpuThermal", "GpuResetRequired", "GpuLost")
REPLICA_NAMES = ("ReplicaDead", "ReplicaHung", "ReplicaDegraded", "ReplicaStartFailed")


def burst(folder: Path, transitions: int = 10_000, seconds: float = 60.0) -> dict[str, Any]:
    """Everything breaks and mends over and over within a minute, then stays mended."""
    stand = Stand(folder, "webhook", "chat", "pager", webhook={}, chat={"per_minute": 50})
    rng = random.Random(7)
    open_ones: dict[tuple[str, str], Alert] = {}
    incident = 0
    before_kb = _rss_kb()
    began, cpu = time.monotonic(), time.process_time()
    accept_ms: list[float] = []
    per_step = 100
    for _ in range(transitions // per_step):
        batch: list[Alert] = []
        for _ in range(per_step):
            incident += 1
            batch.append(_change(rng, open_ones, incident, stand.clock))
        at = time.monotonic()
        stand.pipeline.accept(batch)
        accept_ms.append((time.monotonic() - at) * 1000)
        stand.run(seconds / (transitions / per_step), step_s=1.0)
    mend = [resolved(each, stand.clock.now) for each in open_ones.values()]
    stand.pipeline.accept(mend)
    stand.run(900, step_s=1.0)
    wall_s, cpu_s = time.monotonic() - began, time.process_time() - cpu
    accept_ms.sort()
    return {
        "transitions": transitions + len(mend),
        "messages": {name: len(sender.delivered) for name, sender in sorted(stand.senders.items())},
        "still_believed_firing": {
            name: _believed(sender.delivered) for name, sender in sorted(stand.senders.items())
        },
        "wall_s": round(wall_s, 2),
        "cpu_s": round(cpu_s, 2),
        "accept_100_ms_p50": round(accept_ms[len(accept_ms) // 2], 2),
        "accept_100_ms_max": round(accept_ms[-1], 2),
        "rss_growth_mb": round((_rss_kb() - before_kb) / 1024, 1),
        "database_mb": round((folder / "journal.db").stat().st_size / 2**20, 1),
    }


def _change(
    rng: random.Random, open_ones: dict[tuple[str, str], Alert], incident: int, clock: Clock
) -> Alert:
    if rng.random() < 8 / 24:
        number = rng.randrange(8)
        name, place = rng.choice(GPU_NAMES), f"GPU-{number:08d}"
        made = alert(
            name, replica=None, gpu_uuid=place, gpu_index=number, incident=incident, at=clock.now
        )
    else:
        number = rng.randrange(16)
        name, place = rng.choice(REPLICA_NAMES), f"replica-{number}"
        made = alert(
            name, replica=place, gpu_uuid=f"GPU-{number % 8:08d}", incident=incident, at=clock.now
        )
    known = open_ones.pop((name, place), None)
    if known is not None:
        return resolved(known, clock.now)
    open_ones[name, place] = made
    return made


def _believed(messages: Any) -> int:
    """Alerts that somebody who read every message would take to be firing."""
    state: dict[str, Status] = {}
    for message in messages:
        for each in message.alerts:
            state[each.fingerprint] = each.status
    return sum(1 for status in state.values() if status is Status.FIRING)


def outage(folder: Path, *, digest_after_s: float) -> dict[str, Any]:
    """Sixty incidents of 20 s each, one every 30 s, while the receiver answers nothing."""
    stand = Stand(folder, oncall={"digest_after_s": digest_after_s, "per_minute": 50})
    stand.answers["oncall"] = lambda _: NO
    incidents = 60
    for number in range(incidents):
        firing = alert(replica=f"replica-{number}", incident=number, at=stand.clock.now)
        stand.pipeline.accept([firing])
        stand.run(20)
        stand.pipeline.accept([resolved(firing, stand.clock.now)])
        stand.run(10)
    sender = stand.senders["oncall"]
    tries = len(sender.tried)
    stand.answers.clear()
    recovered_at, delivered_at = stand.clock.now, stand.clock.now
    while stand.pipeline.snapshot().receivers[0].pending and stand.clock.now < recovered_at + 7200:
        stand.run(1)
        delivered_at = stand.clock.now
    told = {(a.replica, a.status.value) for m in sender.delivered for a in m.alerts}
    ended = {replica for replica, status in told if status == "resolved"}
    return {
        "incidents": incidents,
        "outage_s": incidents * 30,
        "tries_during_outage": tries,
        "incidents_told_with_their_end": len(ended),
        "lost": incidents - len(ended),
        "messages_after": len(sender.delivered),
        "digests": sum(1 for m in sender.delivered if m.kind is Kind.DIGEST),
        "drained_after_recovery_s": round(delivered_at - recovered_at, 1),
        "keys_used_twice": sum(
            1 for count in Counter(m.key for m in sender.delivered).values() if count > 1
        ),
    }


def _rss_kb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "part", nargs="?", choices=("all", "burst", "outage", "kills"), default="all"
    )
    parser.add_argument("--kills", type=int, default=200)
    given = parser.parse_args()
    logging.disable(logging.CRITICAL)
    found: dict[str, Any] = {
        "run": {
            "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "python": platform.python_version(),
            "machine": platform.machine(),
        }
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("burst", "people", "programs", "kills"):
            (folder / part).mkdir()
        if given.part in {"all", "burst"}:
            found["burst"] = burst(folder / "burst")
        if given.part in {"all", "outage"}:
            found["outage_people"] = outage(folder / "people", digest_after_s=900)
            found["outage_programs"] = outage(folder / "programs", digest_after_s=0)
        if given.part in {"all", "kills"}:
            found["kills"] = asdict(crash.run(folder / "kills", given.kills))
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
