"""Cards that are lost, hang, or are only unwell: a fake driver under the real binding."""

from __future__ import annotations

import itertools
import statistics
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tests.faults.cards import number, uuid
from tests.faults.course import Course
from tests.faults.fault import Fault, Injury, everything_is_over, heal, replicas_are_well
from tests.faults.ground import PATIENT, Ground, Layout, wait_for_watchdog
from tests.faults.result import Bounds
from tests.monitor.nvml.driver import compiler_is_there
from tests.waiting import until

EIGHT = Layout(cards=8, settings=PATIENT)
MUCH = 70e9  # of the fake card's 80 GiB
_LOST = Bounds(detected_s=5.0, recovered_s=15.0)
_FOLLOWS = frozenset({"ReplicaDead", "GpuXid", "GpuResetRequired", "GpuLost"})
_DRIVER = frozenset({"DriverUnavailable"})
_SCRAPE_S = 0.1
_STOP_S = 5.0


def no_compiler() -> str:
    return "" if compiler_is_there() else "needs gcc, to build the fake driver"


# what is seen of cards


def card_on(on: Ground, card: int) -> dict:
    """The card in `/status`; empty when it is not there."""
    return next((one for one in on.status()["gpus"] if one["uuid"] == uuid(card)), {})


def has_series(on: Ground, card: int, name: str = "rankguard_gpu_temperature_celsius") -> bool:
    wanted = f'uuid="{uuid(card)}"'
    return any(
        line.startswith(f"{name}{{") and wanted in line for line in on.metrics().splitlines()
    )


def _victim(course: Course) -> int:
    """The card on which the first replica was when it began."""
    return number(course.replicas["replica-0"].gpu_uuid)


def _series_are_gone(course: Course) -> bool:
    return not has_series(course.on, _victim(course))


def _series_are_back(course: Course) -> bool:
    return has_series(course.on, _victim(course)) and replicas_are_well(course)


# what must have been done


def moved_and_paged_once(course: Course) -> Iterator[str]:
    before, now = course.replicas["replica-0"].gpu_uuid, course.on.replica().gpu_uuid
    if before == now:
        yield f"the replica is still on {now}"
    yield from paged_once(course)
    if course.on.resets_asked():
        yield f"a reset was asked for: {course.on.resets_asked()}"


def paged_once(course: Course) -> Iterator[str]:
    until("the page arrives", course.pages, 20)
    if len(course.pages()) != 1:
        yield f"{len(course.pages())} pages: {sorted(course.pages())}"


def only_the_first(course: Course) -> Iterator[str]:
    if set(course.restarts()) - {"replica-0"}:
        yield f"others were restarted: {course.restarts()}"
    if course.on.resets_asked():
        yield f"a reset was asked for: {course.on.resets_asked()}"


# injuries


def _lose_with_xid(on: Ground) -> None:
    card = on.card()
    on.driver.say(f"code {card} 15")
    on.driver.event(card, 79)
    on.kmsg.xid(card, 79)


def _lose(on: Ground) -> None:
    on.driver.say(f"code {on.card()} 15")


def _vanish(on: Ground) -> None:
    """The driver lists one card less, and no word of it."""
    gone = on.card()
    left = [str(card) for card in range(on.driver.count) if card != gone]
    on.driver.say(f"order {' '.join(left)}", f"count {len(left)}", f"code {gone} 15")


def _fall_off_in_words(on: Ground) -> None:
    address = f"0000:{on.card() + 3:02x}:00"
    on.kmsg.write(f"NVRM: GPU {address}.0: GPU has fallen off the bus.")


def _say(*lines: str) -> Injury:
    """Lines about the first replica's card, which is `{card}` in them."""
    return lambda on: on.driver.say(*(line.format(card=on.card()) for line in lines))


def _xid(code: int, *, own: bool, nvml: bool = False) -> Injury:
    """An XID of the first replica's card; `own`: the kernel names the replica's process."""

    def injure(on: Ground) -> None:
        on.kmsg.xid(on.card(), code, on.replica().pid if own else None)
        if nvml:
            on.driver.event(on.card(), code)

    return injure


def _double_bit_error(on: Ground) -> None:
    card = on.card()
    on.driver.say(f"set {card} recovery 4")  # drain and reset
    on.kmsg.xid(card, 48)


def _start_anew(*lines: str) -> Injury:
    """The watchdog starts while the driver is as the lines say."""

    def injure(on: Ground) -> float:
        on.stop_watchdog()
        on.driver.say(*lines)
        began = time.monotonic()
        on.watch()
        until("it answers", lambda: on.status()["replicas"], 30)
        return began

    return injure


def _hang_and_stop(on: Ground) -> None:
    """While a card hangs, the watchdog still ends when it is told to."""
    card = on.card()
    on.driver.say(f"hang {card}")
    until("the series are gone", lambda: not has_series(on, card), 20)
    on.figures["stop_s"] = on.stop_watchdog()
    on.watch()
    wait_for_watchdog(on)


def _storm(on: Ground) -> float:
    began = time.monotonic()
    card, pid = on.card(), on.replica().pid
    for _ in range(10_000):
        on.kmsg.xid(card, 31, pid)
    return began


def _idle_card(on: Ground) -> int:
    used = {number(one.gpu_uuid) for one in on.stack.manifests()}
    return next(
        card
        for card in range(on.driver.count)
        if card not in used and card_on(on, card).get("state") == "ok"
    )


def _old_xids_again(on: Ground) -> None:
    """What the last watchdog read already is in the kernel's ring still."""
    card = _idle_card(on)
    on.scarred.add(uuid(card))
    on.kmsg.xid(card, 95)
    until("it is known", lambda: card_on(on, card).get("state") == "unusable", 10)
    on.kill_watchdog()
    on.kmsg.again()
    on.watch()
    wait_for_watchdog(on)


def _xid_while_nobody_watches(on: Ground) -> float:
    on.kill_watchdog()
    on.kmsg.again()
    on.kmsg.xid(on.card(), 95)
    began = time.monotonic()
    on.watch()
    return began


def _corrected_errors_and_slow_calls(on: Ground) -> None:
    """17,700 corrected errors a second, and each call takes 15 ms: for eight seconds."""
    card = on.card()
    on.driver.say(f"slow {card} 15")
    for step in range(16):
        on.driver.say(f"set {card} ecc_corrected {8850 * step}")
        time.sleep(0.5)
    assert has_series(on, card), "a slow card is read no more"


def _waver(on: Ground) -> None:
    """Around the limit of 89 degrees, and slowed down now and then."""
    card = on.card()
    for celsius, reasons in itertools.islice(itertools.cycle([(88, 1), (90, 9)]), 24):
        on.driver.say(f"set {card} temperature {celsius}", f"set {card} reasons {reasons}")
        time.sleep(0.5)


def _other_order(on: Ground) -> float:
    """After a reboot the indexes are others; then a card is lost."""
    on.stop_watchdog()
    order = " ".join(str(card) for card in reversed(range(on.driver.count)))
    on.driver.say(f"order {order}")
    on.watch()
    wait_for_watchdog(on)
    until("the cards are read", lambda: card_on(on, on.card()), 20)
    on.driver.say(f"code {on.card()} 15")
    return time.monotonic()


# memory that somebody else has


def _stranger(on: Ground) -> None:
    card = on.card()
    process = subprocess.Popen(["sleep", "600"])
    on.closing.callback(process.wait)
    on.closing.callback(process.kill)
    on.driver.hold(card, process.pid, MUCH)
    until("it is seen", lambda: (card_on(on, card).get("memory_used_bytes") or 0) > MUCH, 20)
    on.strangers.append(process)
    on.kill()


def _beside_the_stranger(course: Course) -> Iterator[str]:
    if course.replicas["replica-0"].gpu_uuid == course.on.replica().gpu_uuid:
        yield "it was started where there is no room"
    if any(process.poll() is not None for process in course.on.strangers):
        yield "the stranger was killed"


def _orphan(on: Ground) -> None:
    """Part of the replica left its process group, and keeps the card's memory."""
    card, worker = on.card(), on.replica().pid
    pairs = Path(f"/proc/{worker}/environ").read_text().split("\0")
    environment = dict(pair.partition("=")[::2] for pair in pairs if pair)
    process = subprocess.Popen(["sleep", "600"], env=environment, start_new_session=True)
    threading.Thread(target=process.wait, daemon=True).start()
    on.closing.callback(process.kill)
    on.strangers.append(process)
    # a driver in trouble may hold memory that it can name no process for
    on.driver.say(f"set {card} used {MUCH:.0f}")
    until("it is seen", lambda: (card_on(on, card).get("memory_used_bytes") or 0) >= MUCH, 20)
    on.kill()


def _free_late(course: Course) -> None:
    """The orphan is killed; the driver takes a while to free what it had."""
    orphan = course.on.strangers[-1]
    until("the orphan is killed", lambda: orphan.poll() is not None, 20)
    time.sleep(3.0)
    assert not course.restarts(), "started before the memory was free"
    heal(course)


# cures


def _look_and_heal(course: Course) -> None:
    """While one card hangs: quick scrapes, and the others are read on."""
    on, other = course.on, course.on.card("replica-1")
    took = []
    for _ in range(20):
        began = time.monotonic()
        on.metrics()
        took.append(time.monotonic() - began)
    on.figures["scrape_p50_ms"] = round(1000 * statistics.median(took), 1)
    on.figures["scrape_max_ms"] = round(1000 * max(took), 1)
    usual_s = statistics.median(took)
    assert usual_s < course.slack * _SCRAPE_S, f"a scrape takes {usual_s:.2f} s"
    on.driver.say(f"set {other} temperature 61")
    until("another card is read on", lambda: celsius(on, other) == 61, 10)
    heal(course)


def celsius(on: Ground, card: int) -> float | None:
    return card_on(on, card).get("temperature_celsius")


def _wait_for_alert_and_heal(course: Course) -> None:
    until("it is told", lambda: "DriverUnavailable" in course.names(), 30)
    _look_and_heal(course)


def _wait_without_a_card(course: Course) -> None:
    """Nothing is started for as long as there is no card."""
    time.sleep(4.0)
    assert not course.restarts(), f"started without a card: {course.restarts()}"
    heal(course)


def _all_lost(on: Ground) -> None:
    on.driver.say(*(f"code {card} 15" for card in range(on.driver.count)))


def _all_are_told(course: Course) -> bool:
    told = {one["gpu_uuid"] for one in course.firing() if one["name"] == "GpuLost"}
    return len(told) == course.on.layout.cards


def _one_message_each(course: Course) -> Iterator[str]:
    def resolved() -> bool:
        ended = [one for one in course.messages() if one.status == "resolved"]
        return len({one.body["groupKey"] for one in ended}) == course.on.layout.cards

    until("every end is told", resolved, 30)
    begun: dict[str, int] = {}
    for one in course.messages():
        if one.status == "firing" and one.body["notification_reason"] != "some_resolved":
            begun[one.body["groupKey"]] = begun.get(one.body["groupKey"], 0) + 1
    course.figures["messages"] = len(course.messages())
    if len(begun) != course.on.layout.cards or max(begun.values()) > 1:
        yield f"messages by incident: {begun}"


def _storm_is_one(course: Course) -> Iterator[str]:
    grown = course.on.watchdog_mb() - course.watchdog_mb
    course.figures["grown_mb"] = round(grown, 1)
    if grown > 30:
        yield f"the watchdog grew by {grown:.0f} MB"
    yield from only_the_first(course)


def stopped_in_time(course: Course) -> Iterator[str]:
    took_s = course.figures["stop_s"]
    if took_s > course.slack * _STOP_S:
        yield f"the watchdog took {took_s} s to end, promised {_STOP_S:g} s"


_CARD = Fault(
    "",
    "",
    _lose,
    EIGHT,
    _LOST,
    recovered=replicas_are_well,
    missing=no_compiler,
    clients=2,
)
_MOVED = replace(
    _CARD, expects=frozenset({"GpuLost"}), tolerates=_FOLLOWS, check=moved_and_paged_once
)
_RESET = replace(_MOVED, expects=frozenset({"GpuResetRequired", "ReplicaDead"}))
_APP = replace(
    _CARD,
    expects=frozenset({"ReplicaDead"}),
    tolerates=frozenset({"GpuXid"}),
    check=only_the_first,
)
# whoever ends engines again and again can meet one request at three of them, which is refused
_ALL_AT_ONCE = Bounds(detected_s=5.0, recovered_s=15.0, may_refuse=True)
_TOLD = replace(
    _CARD,
    bounds=Bounds(),
    restarts=(0, 0),
    recovered=everything_is_over,
    mend=heal,
)
_HANGING = replace(
    _TOLD,
    bounds=Bounds(detected_s=5.0),
    detected=_series_are_gone,
    recovered=_series_are_back,
)
_TWIN = replace(_CARD, must_act=False, bounds=Bounds())

_RESET_CODES = (62, 64, 95, 119, 120)

ROWS: tuple[Fault, ...] = (
    replace(_MOVED, id="1", name="one card of eight lost, XID 79", injure=_lose_with_xid),
    replace(_MOVED, id="1a", name="one card of eight lost, no XID", injure=_lose),
    replace(_MOVED, id="2", name="one card vanishes from the list", injure=_vanish),
    replace(_RESET, id="2a", name="kernel: fallen off the bus, no XID", injure=_fall_off_in_words),
    replace(
        _HANGING,
        id="3",
        name="calls for one card hang",
        injure=_say("hang {card}"),
        expects=_DRIVER,
        mend=_wait_for_alert_and_heal,
    ),
    replace(
        _TWIN,
        id="3a'",
        name="SIGTERM while a card hangs",
        injure=_hang_and_stop,
        check=stopped_in_time,
        tolerates=_DRIVER,
        settle_s=1.0,
    ),
    replace(
        _TOLD,
        id="4",
        name="nvmlInit hangs at the watchdog's start",
        injure=_start_anew("hang init"),
        expects=_DRIVER,
    ),
    replace(
        _TOLD,
        id="6",
        name="no driver at the watchdog's start",
        injure=_start_anew("init 9"),
        expects=_DRIVER,
    ),
    replace(
        _TOLD,
        id="6a",
        name="driver unloaded while running",
        injure=_say("driver 9", "init 9"),
        expects=_DRIVER,
    ),
    replace(
        _TOLD,
        id="6b",
        name="driver upgraded while running (mismatch)",
        injure=_say("driver 18", "init 18"),
        expects=_DRIVER,
    ),
    replace(
        _TWIN,
        id="7'",
        name="readings not supported, no permission",
        injure=_start_anew(
            *(f"fail {card} power 3" for card in range(8)),
            *(f"fail {card} temperature 4" for card in range(8)),
            *(f"fail {card} ecc 3" for card in range(8)),
        ),
        settle_s=6.0,
    ),
    *(
        replace(
            _APP,
            id=f"8.{code}",
            name=f"XID {code} of the replica's process",
            injure=_xid(code, own=True, nvml=code == 31),
        )
        for code in (13, 31, 94)
    ),
    replace(
        _TWIN,
        id="8'",
        name="XID 43, to be logged only",
        injure=_xid(43, own=True),
        tolerates=frozenset({"GpuXid"}),
        settle_s=5.0,
    ),
    *(
        replace(
            _RESET,
            id=f"9.{code}",
            name=f"XID {code}: the card needs a reset",
            injure=_xid(code, own=False, nvml=code in {64, 95}),
        )
        for code in _RESET_CODES
    ),
    replace(
        _RESET,
        id="9.48",
        name="XID 48, drain and reset",
        injure=_double_bit_error,
        alone=True,  # by now the rows above have used up every card that no replica has
    ),
    replace(_RESET, id="9a", name="recovery action: reset", injure=_say("set {card} recovery 1")),
    replace(_APP, id="10", name="storm of 10,000 XIDs", injure=_storm, check=_storm_is_one),
    replace(
        _RESET,
        id="11",
        name="XID while no watchdog ran",
        injure=_xid_while_nobody_watches,
        bounds=Bounds(),
    ),
    replace(
        _TWIN,
        id="11'",
        name="old XIDs after a restart of the watchdog",
        injure=_old_xids_again,
        tolerates=frozenset({"GpuXid", "GpuResetRequired"}),
        settle_s=5.0,
    ),
    replace(
        _HANGING,
        id="12",
        name="calls for one card take 45 s",
        injure=_say("slow {card} 45000"),
        expects=frozenset(),
        tolerates=_DRIVER,
        mend=_look_and_heal,
    ),
    replace(
        _TWIN,
        id="12'",
        name="17,700 corrected errors a second, slow calls",
        injure=_corrected_errors_and_slow_calls,
        settle_s=1.0,
    ),
    replace(_TWIN, id="13'", name="temperature around its limit", injure=_waver, settle_s=2.0),
    replace(
        _TOLD,
        id="14",
        name="a row waits to be remapped",
        injure=_say("set {card} remap_pending 1"),
        expects=frozenset({"GpuEcc"}),
        bounds=Bounds(detected_s=5.0),
    ),
    replace(
        _TOLD,
        id="14a",
        name="a row could not be remapped",
        injure=_say("set {card} remap_failed 1"),
        expects=frozenset({"GpuRowRemapFailed"}),
        bounds=Bounds(detected_s=5.0),
        check=paged_once,
    ),
    replace(
        _CARD,
        id="19",
        name="a stranger holds the card's memory",
        injure=_stranger,
        bounds=Bounds(detected_s=1.0, recovered_s=15.0),
        tolerates=frozenset({"GpuMemoryHeldByStranger"}),
        check=_beside_the_stranger,
    ),
    replace(_MOVED, id="34", name="indexes change, then a card is lost", injure=_other_order),
    replace(
        _CARD,
        id="18",
        name="an orphan keeps the card's memory",
        layout=replace(EIGHT, replicas=1, cards=1),
        injure=_orphan,
        bounds=Bounds(detected_s=1.0),
        tolerates=frozenset({"GpuMemoryHeldByStranger"}),
        mend=_free_late,
        alone=True,
    ),
    replace(
        _MOVED,
        id="33",
        name="no card is left, then they are back",
        layout=replace(EIGHT, cards=2),
        injure=_all_lost,
        bounds=_ALL_AT_ONCE,
        tolerates=_FOLLOWS | {"PoisonRequest"},
        restarts=(2, 2),
        mend=_wait_without_a_card,
        check=lambda _course: (),
        alone=True,
    ),
    replace(
        _MOVED,
        id="31",
        name="eight cards lost at once",
        layout=replace(EIGHT, replicas=4),
        injure=_all_lost,
        bounds=_ALL_AT_ONCE,
        tolerates=_FOLLOWS | {"PoisonRequest"},
        restarts=(4, 4),
        detected=_all_are_told,
        mend=heal,
        check=_one_message_each,
        alone=True,
    ),
)
