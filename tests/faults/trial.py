"""One fault on one ground: hurt, watch, mend, judge."""

from __future__ import annotations

import time

import psutil

from service.manifest import replicas_dir
from tests.e2e.stack import Load
from tests.faults.course import Course
from tests.faults.fault import SLOWNESS, Fault
from tests.faults.ground import Ground
from tests.faults.result import Result
from tests.waiting import until

_AROUND = 10  # answers of each client before the fault, and again after it


def attempt(fault: Fault, on: Ground, slack: float) -> Result:
    """The fault's row. What goes wrong in it makes the row fail, and nothing else."""
    result = Result(fault.id, fault.name, fault.must_act)
    course = Course(on, slack)
    load = Load(on.stack, fault.clients, fault.documents, fault.patience_s)
    trouble = []
    try:
        if fault.clients:
            load.at_least(_AROUND * fault.clients)
        _run(fault, course, result)
        if fault.clients and fault.must_act:
            load.at_least(len(load.answers) + _AROUND * fault.clients)
        trouble += fault.check(course)
    except AssertionError as error:
        trouble.append(str(error))
    except Exception as error:  # noqa: BLE001 - a row that breaks is a row that failed
        trouble.append(repr(error))
    load.stop()
    result.sent, result.failed, result.wrong = (
        len(load.answers),
        len(load.failed),
        len(load.wrong),
    )
    result.refused = sum("poison_request" in one.text for one in load.failed)
    judge(fault, course, result, trouble, slack)
    if load.failed:
        result.why += f" (first: {load.failed[0].status} {load.failed[0].text[:200]})"
    return result


def _run(fault: Fault, course: Course, result: Result) -> None:
    course.hurt_at = fault.injure(course.on) or time.monotonic()
    if not fault.must_act:
        until("the twin's time is over", lambda: _quiet_for(course, fault.settle_s), 300)
        return
    until("it is detected", lambda: fault.detected(course), fault.limit_s)
    seen = time.monotonic()
    result.detected_s = round(seen - course.hurt_at, 3)
    if fault.mend:
        fault.mend(course)
    until("it is over", lambda: _is_over(fault, course), fault.limit_s)
    result.recovered_s = round(time.monotonic() - seen, 3)
    result.load_s = _load_s(course)


def _is_over(fault: Fault, course: Course) -> bool:
    return sum(course.restarts().values()) >= fault.restarts[0] and fault.recovered(course)


def _quiet_for(course: Course, seconds: float) -> bool:
    time.sleep(0.1)
    return time.monotonic() - course.hurt_at >= seconds


def _load_s(course: Course) -> float | None:
    """From the start of a replica's new process until its manifest said that it is ready."""
    for manifest in course.on.stack.manifests():
        if manifest.id in course.restarts():
            path = replicas_dir(course.on.stack.state_dir) / f"{manifest.id}.json"
            started = psutil.Process(manifest.pid).create_time()
            return round(path.stat().st_mtime - started, 3)
    return None


def judge(fault: Fault, course: Course, result: Result, trouble: list[str], slack: float) -> None:
    restarts = course.restarts()
    result.figures = course.figures
    result.restarts = sum(restarts.values())
    result.incidents = [one["name"] for one in course.incidents()]
    result.actions = [action for one in course.incidents() for action in one["actions"]]
    missed = [*trouble, *result.missed(fault.bounds, slack), *_unexpected(fault, result)]
    fewest, most = fault.restarts if fault.must_act else (0, 0)
    if not fewest <= result.restarts <= most:
        missed.append(f"{result.restarts} restarts, not {fewest} to {most}: {restarts}")
    result.ok = not missed
    result.why = "; ".join(missed)


def _unexpected(fault: Fault, result: Result) -> list[str]:
    """Incidents that are missing or too many."""
    opened = [name for name in result.incidents if name not in SLOWNESS - (fault.expects or set())]
    if fault.expects is None:
        wanted = 1 if fault.must_act else 0
        told = [name for name in opened if name not in fault.tolerates]
        return [] if len(told) == wanted else [f"{len(told)} incidents, not {wanted}: {told}"]
    missing = fault.expects - set(opened)
    extra = set(opened) - fault.expects - fault.tolerates
    found = [f"no incident {name}" for name in sorted(missing)]
    return found + [f"an incident {name} too many" for name in sorted(extra)]
