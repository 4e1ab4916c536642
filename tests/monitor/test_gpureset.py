"""When a card is reset by itself, and when it is left to a person."""

from __future__ import annotations

import stat
import sys
import time

import pytest

from monitor.cardhealth import CardEvidence
from monitor.collectors.reset import ResettingReader
from monitor.gpu import Card, CardSample, Field, GpuProcess, GpuRound, XidEvent
from monitor.gpureset import Reset, ResetLimits, decide
from monitor.inbox import ResetEnded
from monitor.limits import LoopLimits
from monitor.model import Unavailable, Why
from monitor.xid import condemns
from tests.monitor.test_loop_cards import Cards

NOW = 1_700_000_000.0
LIMITS = ResetLimits(wanted=True, settle_s=10.0, budget=2, window_s=86400.0)
CARD = Card("GPU-A", 0, "H100", "00000000:04:00.0")


def card(action=0.0, xids=(), processes=(), fault=None) -> CardEvidence:
    values = {} if action is None else {Field.RECOVERY_ACTION: action}
    events = tuple(XidEvent(0.0, "0000:04:00", xid, "kmsg") for xid in xids)
    condemned = tuple(event for event in events if condemns(event.xid))
    return CardEvidence(
        CardSample(CARD, values, processes, fault), xids=events, condemned=condemned
    )


@pytest.mark.parametrize(
    ("evidence", "around", "expected"),
    [
        pytest.param(card(), {}, Reset.NOT_NEEDED, id="a card that is well"),
        pytest.param(card(1.0), {}, Reset.GO, id="the driver asks for it"),
        pytest.param(card(4.0), {}, Reset.GO, id="the driver asks for drain and reset"),
        pytest.param(card(2.0), {}, Reset.NOT_NEEDED, id="the driver asks for the host's reboot"),
        pytest.param(card(xids=[119]), {}, Reset.GO, id="a reset-class XID"),
        pytest.param(card(None, xids=[119]), {}, Reset.GO, id="and an old driver"),
        pytest.param(card(xids=[119, 79]), {}, Reset.NOT_NEEDED, id="it fell off the bus as well"),
        pytest.param(card(xids=[31]), {}, Reset.NOT_NEEDED, id="an application's XID"),
        pytest.param(
            card(fault=Unavailable(Why.NEEDS_RESET)), {}, Reset.GO, id="it answers nothing else"
        ),
        pytest.param(
            card(fault=Unavailable(Why.GPU_LOST)), {}, Reset.NOT_NEEDED, id="it is not there"
        ),
        pytest.param(
            card(1.0), {"limits": ResetLimits()}, Reset.NOT_WANTED, id="nobody switched it on"
        ),
        pytest.param(card(1.0), {"needed_for_s": 9.0}, Reset.SETTLING, id="for a moment only"),
        pytest.param(card(1.0), {"replicas": 1}, Reset.REPLICA_ON_IT, id="not drained yet"),
        pytest.param(
            card(1.0, processes=(GpuProcess(1, None),)), {}, Reset.HELD, id="somebody is on it"
        ),
        pytest.param(
            card(1.0, processes=Unavailable(Why.NO_PERMISSION)),
            {},
            Reset.UNKNOWN_HOLDERS,
            id="nobody tells who is on it",
        ),
        pytest.param(card(1.0), {"past": [NOW - 9]}, Reset.GO, id="once before"),
        pytest.param(
            card(1.0), {"past": [NOW - 9, NOW - 80000]}, Reset.BUDGET_SPENT, id="twice in a day"
        ),
        pytest.param(card(1.0), {"past": [NOW - 9, NOW - 90000]}, Reset.GO, id="long ago"),
    ],
)
def test_a_card_is_reset_only_when_nothing_runs_on_it(evidence, around, expected):
    given = {"needed_for_s": 60.0, "replicas": 0, "past": (), "limits": LIMITS, **around}

    assert decide(evidence, now=NOW, **given) is expected


class Fixture(Cards):
    """Two cards under a machine that may have them reset."""

    def __init__(self, folder, **options):
        self.asked = []
        limits = LoopLimits(reset=ResetLimits(wanted=True))
        super().__init__(folder, limits=limits, ask_reset=self.asked.append, **options)
        self.run(3)

    def words(self):
        rows = self.machine.transitions(50)
        return [row.new for row in reversed(rows) if row.subject == "gpu GPU-A"]

    def reset_ended(self, *, ok, detail="done"):
        self.machine.inbox.post(ResetEnded("GPU-A", ok=ok, detail=detail))


@pytest.fixture
def cards(tmp_path):
    made = []

    def make(**options):
        made.append(Fixture(tmp_path, **options))
        return made[-1]

    yield make
    for one in made:
        one.machine.journal.close()


def test_a_card_is_drained_then_reset_and_used_again(cards):
    one = cards()
    one.look(one.xid(CARD, 119))
    one.run(5)
    assert one.card_of() == "GPU-B"  # its replica went first
    assert one.asked == []

    one.run(10)
    assert one.asked == ["GPU-A"]
    one.reset_ended(ok=True)
    one.run(5)

    assert one.words() == ["resetting", "reset"]
    assert "GpuResetRequired resolved" in one.told
    assert one.asked == ["GPU-A"]


def test_a_reset_that_fails_is_told_and_tried_once_more_and_then_left_to_a_person(cards):
    one = cards()
    one.values["GPU-A"] = {Field.RECOVERY_ACTION: 1.0}
    for _ in range(4):
        one.run(15)
        one.reset_ended(ok=False, detail="in use by another client")

    assert one.asked == ["GPU-A", "GPU-A"]
    assert one.words()[-1] == "reset_failed"
    assert one.words().count("budget_spent") == 1
    assert "GpuResetRequired resolved" not in one.told


def test_the_budget_of_resets_survives_watchdog_and_reboot(cards):
    one = cards()
    one.values["GPU-A"] = {Field.RECOVERY_ACTION: 1.0}
    one.run(15)
    one.machine.journal.close()
    clock = one.machine.clock
    clock.mono, clock.wall = 50.0, clock.wall + 300  # the monotonic clock begins anew
    again = cards(clock=clock)
    again.values["GPU-A"] = {Field.RECOVERY_ACTION: 1.0}
    again.run(15)
    again.reset_ended(ok=False)
    again.run(60)

    assert again.asked == ["GPU-A"]  # the second and last of this day


class Looks:
    """A reader that notes what is asked of it."""

    def __init__(self):
        self.calls = []

    def read(self):
        self.calls.append("read")
        return GpuRound(time.monotonic(), "580")

    def rest(self):
        self.calls.append("rest")

    def close(self):
        self.calls.append("close")


def command(folder, body: str) -> tuple[str, ...]:
    path = folder / "nvidia-smi"
    path.write_text(f"#!{sys.executable}\nimport sys\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return (str(path), "--gpu-reset", "-i", "{uuid}")


@pytest.mark.parametrize(
    ("body", "ok", "detail"),
    [
        pytest.param(
            "print('GPU', sys.argv[3], 'was successfully reset.')",
            True,
            "GPU GPU-A was successfully reset.",
            id="done",
        ),
        pytest.param(
            "print('in use by another client'); sys.exit(19)",
            False,
            "in use by another client",
            id="refused",
        ),
        pytest.param("sys.exit(4)", False, "exit 4", id="without a word"),
    ],
)
def test_the_command_runs_between_two_looks_with_no_reader_on_the_card(tmp_path, body, ok, detail):
    looks, posted = Looks(), []
    reader = ResettingReader(looks, command(tmp_path, body), posted.append)
    reader.read()
    reader.ask("GPU-A")
    reader.read()
    reader.read()

    assert looks.calls == ["read", "rest", "read", "read"]
    assert posted == [ResetEnded("GPU-A", ok=ok, detail=detail)]


def test_a_command_that_is_not_there_is_a_failure_in_words(tmp_path):
    posted = []
    reader = ResettingReader(Looks(), (str(tmp_path / "none"), "{uuid}"), posted.append)
    reader.ask("GPU-A")
    reader.ask("GPU-B")
    reader.read()

    assert [(one.gpu_uuid, one.ok) for one in posted] == [("GPU-B", False), ("GPU-A", False)]
    assert "No such file" in posted[1].detail
