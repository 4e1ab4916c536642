"""Runs the faults one after the other, prints a table, writes `build/faults.json`."""

from __future__ import annotations

import argparse
import contextlib
import json
import platform
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import psutil

from tests.faults import table
from tests.faults.fault import Fault
from tests.faults.ground import Ground, ground
from tests.faults.long import saturate, soak, watchdog_cost
from tests.faults.result import Result
from tests.faults.rows import ROWS
from tests.faults.trial import attempt


class Grounds:
    """Gives each fault a stack: the one of the fault before, where both agree to that."""

    def __init__(self) -> None:
        self._held = contextlib.ExitStack()
        self._ground: Ground | None = None

    def for_fault(self, fault: Fault) -> Ground:
        if fault.alone or self._ground is None or self._ground.layout != fault.layout:
            self.close()
            self._ground = self._held.enter_context(ground(fault.layout))
        return self._ground

    def after(self, fault: Fault, *, ok: bool) -> None:
        """A stack that is not well again is given up."""
        if self._ground is None:
            return
        if fault.alone or not ok:
            self.close()
            return
        try:
            self._ground.take_back()
            self._ground.stack.wait_ready(self._ground.layout.replicas, 60)
        except AssertionError:
            self.close()

    def close(self) -> None:
        self._ground = None
        self._held.close()


def run_all(faults: Sequence[Fault], slack: float) -> Iterator[Result]:
    grounds = Grounds()
    try:
        for fault in faults:
            try:
                on = grounds.for_fault(fault)
            except Exception as error:  # noqa: BLE001 - the next ones may have more luck
                why = f"its stack did not start: {error!r}"
                yield Result(fault.id, fault.name, fault.must_act, ok=False, why=why)
                grounds.close()
                continue
            result = attempt(fault, on, slack)
            yield result
            grounds.after(fault, ok=result.ok)
    finally:
        grounds.close()


def main() -> int:
    given = _arguments()
    # told to end, it takes its stacks with it
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    started = datetime.now(timezone.utc)
    began = time.monotonic()

    def tell(text: str) -> None:
        print(f"[{time.monotonic() - began:5.0f} s] {text}", flush=True)

    chosen = [one for one in ROWS if _is_wanted(one, given)]
    if given.list:
        for one in chosen:
            print(f"{one.id:5} {one.name}{'' if one.must_act else ' (must not act)'}")
        return 0
    unknown = set(given.only or ()) - {one.id for one in ROWS}
    if unknown:
        print(f"no such fault: {' '.join(sorted(unknown))}; --list shows them", file=sys.stderr)
        return 2
    skipped = [one for one in chosen if one.missing()]
    runnable = [one for one in chosen if not one.missing()]
    for one in skipped:
        tell(f"{one.id:5} {one.name}: not run: {one.missing()}")
    body: dict[str, Any] = {
        "run": _run(started, given),
        "faults": [],
        "skipped": [{"id": one.id, "name": one.name, "why": one.missing()} for one in skipped],
    }
    results = []
    for result in run_all(runnable, given.slack):
        results.append(result)
        tell(f"{len(results)}/{len(runnable)} {table.line(result)}")
        body["faults"].append({**asdict(result), "load_ratio": result.load_ratio})
        _write(given.output, body)  # what was measured is kept, whatever becomes of the rest
    bad = [one for one in results if not one.ok]
    failed = bool(bad) | _long_ones(given, body, tell)
    body["run"]["took_s"] = round(time.monotonic() - began)
    _write(given.output, body)
    if given.markdown:
        print(table.markdown(results))
    print(
        f"{len(results) - len(bad)} passed, {len(bad)} failed, {len(skipped)} not run,"
        f" {body['run']['took_s']} s"
    )
    for one in bad:
        print(f"  {one.id} {one.name}: {one.why}")
    return 1 if failed else 0


def _write(path: Path, body: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(body, indent=1))


def _long_ones(given: argparse.Namespace, body: dict[str, Any], tell: Any) -> bool:
    """Saturation, cost and soak; true when one of them shows what must not be."""
    failed = False
    if given.saturation_minutes:
        body["saturation"] = saturate(given.saturation_minutes, given.engine or "scripted", tell)
        tell(f"saturation: {body['saturation']}")
        failed |= body["saturation"]["false_restarts"] > 0
    if given.cost_seconds:
        body["watchdog"] = watchdog_cost(given.cost_seconds)
        tell(f"watchdog: {body['watchdog']}")
    if given.soak_minutes:
        body["soak"] = soak(given.soak_minutes, tell)
        tell(f"soak: {body['soak']}")
        failed |= not body["soak"]["flat"] or body["soak"]["incidents"] > 0
    return failed


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--only", nargs="*", metavar="ID", help='such as 15 "16\'"; and no more')
    parser.add_argument("--list", action="store_true", help="show the faults, run none")
    parser.add_argument(
        "--engine",
        choices=["scripted", "embedded", "vllm"],
        help="only the faults of this engine; also the one that is saturated",
    )
    parser.add_argument("--saturation-minutes", type=float, help="5; none with --only")
    parser.add_argument("--soak-minutes", type=float, default=0.0)
    parser.add_argument("--cost-seconds", type=float, help="30; none with --only")
    parser.add_argument(
        "--slack", type=float, default=1.0, help="factor on promised times, on a shared machine"
    )
    parser.add_argument("--full", action="store_true", help="30 minutes, and a soak of 10")
    parser.add_argument(
        "--markdown", action="store_true", help="print the table of docs/measurements.md"
    )
    parser.add_argument("-o", "--output", type=Path, default=Path("build/faults.json"))
    given = parser.parse_args()
    if given.full:
        given.saturation_minutes, given.soak_minutes = 30.0, 10.0
    for name, usual in (("saturation_minutes", 5.0), ("cost_seconds", 30.0)):
        if getattr(given, name) is None:
            setattr(given, name, 0.0 if given.only is not None else usual)
    return given


def _is_wanted(fault: Fault, given: argparse.Namespace) -> bool:
    if given.only is not None and fault.id not in given.only:
        return False
    return given.engine in {None, fault.layout.engine}


def _run(started: datetime, given: argparse.Namespace) -> dict[str, Any]:
    return {
        "command": "python -m tests.faults " + " ".join(sys.argv[1:]),
        "started": started.isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "machine": f"{platform.machine()}, {psutil.cpu_count()} cores, {platform.platform()}",
        "slack": given.slack,
    }


if __name__ == "__main__":
    sys.exit(main())
