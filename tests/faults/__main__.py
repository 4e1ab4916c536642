"""Runs the faults one after the other, prints a table, writes `build/faults.json`."""

from __future__ import annotations

import argparse
import contextlib
import json
import platform
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import psutil

from tests.e2e.stack import Load, Stack, stack
from tests.faults.result import Result
from tests.faults.scenarios import FAULTS, Fault
from tests.waiting import until

RECORDING = Path(__file__).parents[1] / "recordings" / "h100x8.jsonl"


def run_fault(fault: Fault, engine: str, slack: float) -> Result:
    """One fault on a stack of its own."""
    result = Result(fault.id, fault.name, fault.must_act)
    trouble = ""
    options: dict[str, Any] = {"document_s": 0.004, "load_s": 0.5, **fault.options}
    with _stack(fault.replicas, engine, **options) as running:
        before = {m.id: m.generation for m in running.manifests()}
        load = Load(running, fault.clients, fault.documents)
        if fault.clients:
            load.at_least(40)
        try:
            _injure(fault, running, result)
            if fault.clients and fault.must_act:
                load.at_least(len(load.answers) + 100)
        except AssertionError as error:
            trouble = str(error)
        load.stop()
        result.sent, result.failed = len(load.answers), len(load.failed)
        result.wrong = len(load.wrong)
        incidents = running.incidents()
        after = {m.id: m.generation for m in running.manifests()}
    result.actions = [
        f"{name}: generation {before[name]} -> {after[name]}"
        for name in sorted(before.keys() & after.keys())
        if before[name] != after[name]
    ]
    result.judge(fault.bounds, len(incidents), trouble, slack)
    if load.failed:
        result.why += f" (first: {load.failed[0].status} {load.failed[0].text[:200]})"
    return result


def _injure(fault: Fault, running: Stack, result: Result) -> None:
    began = time.monotonic()
    fault.injure(running)
    if fault.must_act and time.monotonic() - began < 0.5:
        began = time.monotonic()
    if not fault.must_act:
        time.sleep(fault.settle_s)
        return
    until("an incident", lambda: _firing(running), 60)
    seen = time.monotonic()
    result.detected_s = round(seen - began, 3)
    if fault.mend:
        fault.mend(running)
    until("every replica is well again", lambda: _well(running, fault.replicas), 60)
    result.recovered_s = round(time.monotonic() - seen, 3)


def _firing(running: Stack) -> bool:
    return any(item["status"] == "firing" for item in running.status()["incidents"])


def _well(running: Stack, replicas: int) -> bool:
    return running.routable() >= replicas and not _firing(running)


def saturate(minutes: float, engine: str) -> dict[str, Any]:
    """Keep one replica's queue full; every restart is a false one."""
    with _stack(1, engine, document_s=0.1) as running:
        load = Load(running, clients=12, documents=20)
        time.sleep(60 * minutes)
        restarts = sum(item["restarts"] for item in running.status()["replicas"])
        load.stop()
        return {
            "minutes": minutes,
            "false_restarts": restarts + len(running.incidents()),
            "answers": len(load.answers),
        }


def watchdog_cost(seconds: float) -> dict[str, Any]:
    """CPU and memory of the watchdog and its samplers, at its default periods, replicas idle."""
    settings: dict[str, Any] = {"canary_s": 15.0}
    if RECORDING.exists():
        settings["gpus"] = f"replay:{RECORDING}"
    with _stack(1, "scripted", **settings) as running:
        time.sleep(5.0)
        family = _watchdog_family(running)
        first = sum(sum(member.cpu_times()[:2]) for member in family)
        time.sleep(seconds)
        used = sum(sum(member.cpu_times()[:2]) for member in family) - first
        return {
            "cpu_ratio": round(used / seconds, 5),
            "rss_mb": round(sum(member.memory_info().rss for member in family) / 1e6, 1),
            "gpus": len(running.status()["gpus"]),
            "hz": 1.0,
        }


def _watchdog_family(running: Stack) -> list[psutil.Process]:
    """The watchdog and its sampler processes, without the replicas that it started."""
    watchdog = psutil.Process(running.processes["watchdog"].pid)
    replicas = {manifest.pid for manifest in running.manifests()}
    samplers = [child for child in watchdog.children() if child.pid not in replicas]
    return [watchdog, *samplers]


@contextlib.contextmanager
def _stack(replicas: int, engine: str, **options: Any) -> Iterator[Stack]:
    """A stack that runs and is ready."""
    with (
        tempfile.TemporaryDirectory() as folder,
        stack(Path(folder), replicas=replicas, engine=engine, **options) as running,
    ):
        running.start("watchdog", "watch", "--stop-replicas-on-exit")
        running.start("gateway", "serve")
        running.wait_ready(replicas, limit_s=90)
        yield running


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--only", nargs="*", help="ids of faults, such as 15 16b")
    parser.add_argument("--engine", default="scripted", choices=["scripted", "embedded"])
    parser.add_argument("--saturation-minutes", type=float, default=5.0)
    parser.add_argument(
        "--slack", type=float, default=1.0, help="factor on promised times, on a shared machine"
    )
    parser.add_argument("--cost-seconds", type=float, default=30.0)
    parser.add_argument("-o", "--output", type=Path, default=Path("build/faults.json"))
    given = parser.parse_args()
    started = datetime.now(timezone.utc)
    results = []
    for fault in FAULTS:
        if given.only and fault.id not in given.only:
            continue
        result = run_fault(fault, given.engine, given.slack)
        results.append(result)
        print(row(result), flush=True)
    body: dict[str, Any] = {"run": _run(started, given), "faults": [asdict(r) for r in results]}
    if given.saturation_minutes:
        body["saturation"] = saturate(given.saturation_minutes, given.engine)
        print(f"saturation: {body['saturation']}", flush=True)
    if given.cost_seconds:
        body["watchdog"] = watchdog_cost(given.cost_seconds)
        print(f"watchdog: {body['watchdog']}", flush=True)
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_text(json.dumps(body, indent=1))
    bad = [result for result in results if not result.ok]
    bad_saturation = body.get("saturation", {}).get("false_restarts", 0)
    print(f"{len(results) - len(bad)} passed, {len(bad)} failed")
    return 1 if bad or bad_saturation else 0


def row(result: Result) -> str:
    def seconds(value: float | None) -> str:
        return "      -" if value is None else f"{value:6.2f}s"

    verdict = "ok" if result.ok else f"FAILED: {result.why}"
    return (
        f"{result.id:5} {result.name:34} detected {seconds(result.detected_s)}"
        f" recovered {seconds(result.recovered_s)} sent {result.sent:6} failed {result.failed:4}"
        f"  {verdict}"
    )


def _run(started: datetime, given: argparse.Namespace) -> dict[str, Any]:
    return {
        "command": "python -m tests.faults " + " ".join(sys.argv[1:]),
        "started": started.isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {psutil.cpu_count()} cores, {platform.platform()}",
        "engine": given.engine,
    }


if __name__ == "__main__":
    sys.exit(main())
