"""Cards that are lost, hang, or are only unwell: a fake driver under the real binding."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from tests.faults.course import Course
from tests.faults.fault import Fault, replicas_are_well
from tests.faults.ground import PATIENT, Ground, Layout
from tests.faults.result import Bounds
from tests.monitor.nvml.driver import compiler_is_there
from tests.waiting import until

EIGHT = Layout(cards=8, settings=PATIENT)
_LOST = Bounds(detected_s=5.0, recovered_s=15.0)
_FOLLOWS = frozenset({"ReplicaDead", "GpuXid", "GpuResetRequired", "GpuLost"})


def no_compiler() -> str:
    return "" if compiler_is_there() else "needs gcc, to build the fake driver"


def _moved_and_paged_once(course: Course) -> Iterator[str]:
    before, now = course.replicas["replica-0"].gpu_uuid, course.on.replica().gpu_uuid
    if before == now:
        yield f"the replica is still on {now}"
    until("the page arrives", course.pages, 20)
    if len(course.pages()) != 1:
        yield f"{len(course.pages())} pages: {sorted(course.pages())}"
    if course.on.resets_asked():
        yield f"a reset was asked for: {course.on.resets_asked()}"


def _lose_with_xid(on: Ground) -> None:
    card = on.card()
    on.driver.say(f"code {card} 15")
    on.driver.event(card, 79)
    on.kmsg.xid(card, 79)


_CARD = Fault(
    "",
    "",
    _lose_with_xid,
    EIGHT,
    _LOST,
    recovered=replicas_are_well,
    check=_moved_and_paged_once,
    missing=no_compiler,
    clients=2,
)

ROWS: tuple[Fault, ...] = (
    replace(
        _CARD,
        id="1",
        name="one card of eight lost, with XID 79",
        expects=frozenset({"GpuLost"}),
        tolerates=_FOLLOWS,
    ),
)
