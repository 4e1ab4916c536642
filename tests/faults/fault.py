"""What a fault is: who is hurt and how, what must follow, and what must not."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.faults.course import Course
from tests.faults.ground import Ground, Layout
from tests.faults.result import Bounds

SLOWNESS = frozenset({"HostStarved", "ReplicaDegraded"})
"""Told of, and never acted on: any of them may be true of the machine that the suite runs on."""

Injury = Callable[[Ground], "float | None"]
"""Does the damage; may return the `time.monotonic()` moment of it, else it is when it returns."""

Cure = Callable[[Course], None]
Condition = Callable[[Course], bool]
Check = Callable[[Course], Iterable[str]]
"""What is not as it must be at the end, in sentences."""


def _open_now(course: Course) -> list[dict[str, Any]]:
    """New incidents that are open, but for what may be true of the machine for as long as it is."""
    return [one for one in course.firing() if one["name"] not in SLOWNESS]


def something_is_told(course: Course) -> bool:
    return bool(_open_now(course))


def everything_is_over(course: Course) -> bool:
    """Every replica is healthy and no new incident is open."""
    return course.on.stack.routable() >= course.on.layout.replicas and not _open_now(course)


def replicas_are_well(course: Course) -> bool:
    """Every replica is healthy; the incident of a card may last as long as the card is bad."""
    of_replicas = [one for one in _open_now(course) if one["replica"] is not None]
    return course.on.stack.routable() >= course.on.layout.replicas and not of_replicas


def heal(course: Course) -> None:
    """The cause is gone, as if it had never been."""
    course.on.take_back()


def nothing_to_check(_course: Course) -> Iterable[str]:
    return ()


def never_missing() -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Fault:
    """One scenario.

    Attributes:
        must_act: else it is a harmless look-alike: nothing may be restarted.
        expects: names of incidents that must be opened; None with must_act: exactly one, of any.
        tolerates: names that may be opened beside them.
        restarts: fewest and most restarts of all replicas together.
        detected, recovered: what ends the two times that are measured.
        mend: takes away what caused it, once it was detected; may look around before.
        settle_s: for a twin: how long the watchdog is given to do something wrong.
        alone: nothing else runs on its stack.
        limit_s: how long detection, and then recovery, may take at all. patience_s: how long a
            client waits for its answer.
        missing: why it cannot be run on this machine; empty when it can.
    """

    id: str
    name: str
    injure: Injury
    layout: Layout = field(default_factory=Layout)
    bounds: Bounds = field(default_factory=Bounds)
    must_act: bool = True
    expects: frozenset[str] | None = None
    tolerates: frozenset[str] = frozenset()
    restarts: tuple[int, int] = (1, 1)
    detected: Condition = something_is_told
    recovered: Condition = everything_is_over
    mend: Cure | None = None
    check: Check = nothing_to_check
    settle_s: float = 8.0
    documents: int = 4
    clients: int = 4
    alone: bool = False
    missing: Callable[[], str] = never_missing
    limit_s: float = 60.0
    patience_s: float = 60.0
