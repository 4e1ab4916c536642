"""Receivers that refuse, hang or are gone while something happens: nothing may be lost."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler

from alerts.retry import RetryLimits
from tests.faults.card_rows import no_compiler
from tests.faults.course import Course
from tests.faults.fault import Fault, everything_is_over
from tests.faults.ground import Ground, wait_for_watchdog
from tests.faults.replica_rows import TWO
from tests.waiting import until

_Refusal = Callable[[BaseHTTPRequestHandler], bool]


def _answer(code: int, **headers: str) -> _Refusal:
    def refuse(request: BaseHTTPRequestHandler) -> bool:
        request.send_response(code)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("Content-Length", "0")
        request.end_headers()
        return True

    return refuse


def _hang(request: BaseHTTPRequestHandler) -> bool:
    """No answer at all, for longer than anybody waits."""
    time.sleep(15.0)
    request.close_connection = True
    return True


def _drop(request: BaseHTTPRequestHandler) -> bool:
    """The connection ends without an answer."""
    request.close_connection = True
    return True


def _take(_request: BaseHTTPRequestHandler) -> bool:
    return False


def _refuse_in_turn(on: Ground, *kinds: _Refusal) -> None:
    turn = itertools.chain(kinds, itertools.repeat(_take))
    lock = threading.Lock()

    def refuse(request: BaseHTTPRequestHandler) -> bool:
        with lock:
            kind = next(turn)
        on.refused.append(kind.__name__)
        return kind(request)

    on.webhook.refuse = refuse


def _refuse_and_kill(on: Ground) -> None:
    _refuse_in_turn(on, _answer(429, Retry_After="1"), _answer(500), _answer(503), _drop)
    on.kill()


def _hang_and_kill(on: Ground) -> None:
    _refuse_in_turn(on, _hang)
    on.kill()


def _gone_and_kill(on: Ground) -> None:
    """Nobody there."""
    on.webhook.refuse = _drop
    on.kill()


def _kill_watchdog_twice(course: Course) -> None:
    """Before the news is out, and again after."""
    on = course.on
    for _ in range(2):
        time.sleep(2.0)
        on.kill_watchdog()
        on.watch()
        wait_for_watchdog(on)
    on.webhook.refuse = _take


def _go_through_the_outage(course: Course) -> None:
    """One replica after the other dies while nobody is told; then the receiver is back.

    Of a replica that dies twice before anything is told, the first end is no news any more.
    """
    on = course.on
    assert on.clock is not None
    for number, minute in enumerate(_OUTAGE_MINUTES, 1):
        on.stack.wait_healthy(on.layout.replicas, 60)
        on.clock.set_by(60.0 * minute)
        seen, before = len(course.incidents()), sum(course.restarts().values())
        on.kill(f"replica-{number}")
        until("it is seen", lambda: len(course.incidents()) > seen, 30)  # noqa: B023 - run at once
        until("it is mended", lambda: sum(course.restarts().values()) > before, 60)  # noqa: B023
    on.stack.wait_healthy(on.layout.replicas, 60)
    until("every end is known", lambda: everything_is_over(course), 60)
    if course.messages():
        raise AssertionError("the receiver was not gone")
    on.webhook.refuse = _take
    on.clock.set_by(60.0 * _OUTAGE_MINUTES[-1] + _LONGEST_PAUSE_S)


def _all_told(course: Course) -> Iterator[str]:
    """Beginning and end of every incident; the same message twice has the same key."""

    def missing() -> set[tuple[str, str]]:
        told = {
            (alert["annotations"].get("incident", ""), alert["status"])
            for one in course.messages()
            for alert in one.body["alerts"]
        }
        wanted = {
            (str(one["id"]), status)
            for one in course.incidents()
            for status in ("firing", "resolved")
        }
        return wanted - told

    until("every incident is told, its beginning and its end", lambda: not missing(), 90)
    keys = Counter(one.headers["Idempotency-Key"] for one in course.messages())
    bodies = {}
    for one in course.messages():
        known = bodies.setdefault(one.headers["Idempotency-Key"], one.body)
        if known != one.body:
            yield "two messages with one key"
    course.figures["messages"] = len(course.messages())
    course.figures["doubles"] = sum(keys.values()) - len(keys)
    told = Counter(
        (one.body["groupKey"], one.body["notification_reason"], one.headers["Idempotency-Key"])
        for one in course.messages()
    )
    reasons = Counter((group, reason) for group, reason, _ in told)
    if any(count > 1 for count in reasons.values()):
        yield f"the same news under two keys: {reasons}"


_TOLD = Fault("", "", _refuse_and_kill, TWO, check=_all_told, clients=2)
_OUTAGE_MINUTES = (10, 20, 30)
"""On the stack's own clock, which is put ahead: it is what the alert pipeline waits by."""
_LONGEST_PAUSE_S = RetryLimits().cap_s

ROWS: tuple[Fault, ...] = (
    replace(_TOLD, id="29", name="receiver answers 429, 500, 503, hangs up"),
    replace(_TOLD, id="29a", name="receiver accepts and does not answer", injure=_hang_and_kill),
    replace(
        _TOLD,
        id="30",
        name="receiver gone, watchdog killed twice meanwhile",
        injure=_gone_and_kill,
        mend=_kill_watchdog_twice,
    ),
    replace(
        _TOLD,
        id="30a",
        name="receiver gone for half an hour of its clock",
        layout=replace(TWO, replicas=1 + len(_OUTAGE_MINUTES), clock=True),
        injure=_gone_and_kill,
        expects=frozenset({"ReplicaDead"}),
        mend=_go_through_the_outage,
        restarts=(1 + len(_OUTAGE_MINUTES), 1 + len(_OUTAGE_MINUTES)),
        alone=True,
        missing=no_compiler,
    ),
)
