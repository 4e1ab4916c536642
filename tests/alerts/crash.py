"""Kills a process with `kill -9` at random moments, again and again, and looks what arrived."""

from __future__ import annotations

import multiprocessing
import random
import sqlite3
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from alerts.pipeline import Pipeline
from tests.alerts.crash_child import keep_raising, settings_for
from tests.alerts.vendor import playing


@dataclass(frozen=True)
class Found:
    """What a run of kills came to."""

    kills: int
    accepted: int
    arrived: int
    lost: int
    messages: int
    doubles: int
    doubles_with_another_key: int
    resolved_before_firing: int
    drained_s: float


def run(folder: Path, kills: int, *, seed: int = 1, shortest_s: float = 0.02) -> Found:
    """Start, kill after a random time, `kills` times; then let one process send what is left."""
    rng = random.Random(seed)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.alerts.crash_child"])
    database, log = folder / "journal.db", folder / "accepted.log"
    with playing() as vendor:
        for number in range(kills):
            child = context.Process(
                target=keep_raising,
                args=(str(database), vendor.url(), str(log), number * 1000),
                daemon=True,
            )
            child.start()
            _wait_for_work(log, child)
            time.sleep(rng.uniform(shortest_s, 0.3))
            child.kill()
            child.join(10)
        began = time.monotonic()
        last = Pipeline(settings_for(vendor.url()), database, host="gpu-1")
        last.start()
        while _unsent(database) and time.monotonic() - began < 300:
            time.sleep(0.05)
        last.stop(10)
        drained_s = time.monotonic() - began
        got = [(request.headers["idempotency-key"], request.json) for request in vendor.got]
    accepted = set(log.read_text().splitlines())
    return _judge(kills, accepted, got, drained_s)


def _wait_for_work(log: Path, child: multiprocessing.process.BaseProcess) -> None:
    size = log.stat().st_size if log.exists() else 0
    until = time.monotonic() + 10
    while child.is_alive() and time.monotonic() < until:
        if log.exists() and log.stat().st_size > size:
            return
        time.sleep(0.002)


def _unsent(database: Path) -> int:
    with sqlite3.connect(database, timeout=10) as connection:
        waiting = connection.execute(
            "SELECT (SELECT COUNT(*) FROM alert_event WHERE planned = 0)"
            " + (SELECT COUNT(*) FROM alert_message WHERE state = 'pending')"
        ).fetchone()[0]
    connection.close()
    return int(waiting)


def _judge(kills: int, accepted: set[str], got: list[tuple[str, dict]], drained_s: float) -> Found:
    arrived: set[str] = set()
    keys: dict[str, set[str]] = {}
    times: Counter[str] = Counter()
    early = 0
    for key, body in got:
        for each in body["alerts"]:
            number = each["annotations"]["incident"]
            transition = f"{number} {each['status']}"
            if each["status"] == "resolved" and f"{number} firing" not in arrived:
                early += 1
            arrived.add(transition)
        what = f"{body['groupKey']} {body['status']}"
        keys.setdefault(what, set()).add(key)
        times[what] += 1
    return Found(
        kills=kills,
        accepted=len(accepted),
        arrived=len(arrived & accepted),
        lost=len(accepted - arrived),
        messages=len(got),
        doubles=sum(count - 1 for count in times.values()),
        doubles_with_another_key=sum(len(each) - 1 for each in keys.values()),
        resolved_before_firing=early,
        drained_s=round(drained_s, 2),
    )
