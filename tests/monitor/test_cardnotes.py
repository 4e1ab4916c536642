"""A card that an XID condemned stays condemned, whoever is restarted; only its own end counts."""

from __future__ import annotations

import pytest

from monitor.cardnotes import lost_cards
from monitor.gpu import Field
from monitor.inbox import CordonAsked, KernelSeen
from monitor.journal import Journal, JournalError
from monitor.model import Unavailable, Why
from tests.monitor.test_loop_cards import A, B, Cards

OLD_DRIVER = {Field.RECOVERY_ACTION: Unavailable(Why.NOT_SUPPORTED)}


@pytest.fixture
def cards(tmp_path):
    """Watchdogs one after the other on one journal; `after` is the one before, killed."""
    made = []

    def make(after=None, **options):
        if after is not None:
            options = {"host": after.machine.host, "clock": after.machine.clock, **options}
        made.append(Cards(tmp_path, **options))
        if after is not None:
            made[-1].values = after.values
        return made[-1]

    yield make
    for one in made:
        one.machine.journal.close()


def condemn(one, *codes):
    for code in codes:
        one.machine.inbox.post(KernelSeen(one.xid(A, code)))
    one.run(1)


def usable(one, uuid="GPU-A"):
    view = next(view for view in one.machine.snapshot.cards if view.card.uuid == uuid)
    return view.verdict.state.value in {"ok", "warning"}


def restarted(cards, before, **options):
    """Killed and started again: the worker died with it."""
    worker = before.machine.host.current.get("replica-0")
    if worker is not None:
        before.machine.host.die(worker, 137)
    return cards(before, **options)


@pytest.mark.parametrize("code", [64, 79, 119, 151])
def test_the_next_watchdog_starts_nothing_on_a_condemned_card(cards, code):
    one = cards()
    one.run(3)
    condemn(one, code)

    two = restarted(cards, one)
    two.run(4)

    assert two.card_of() == "GPU-B"
    assert not usable(two)
    assert "GpuResetRequired firing" in one.told
    assert "GpuResetRequired resolved" not in two.told


def test_it_is_written_down_before_anything_is_done_about_it(cards):
    """Killed in the very round in which the XID came: nothing but the note is there."""
    one = cards()
    one.run(3)
    one.machine.inbox.post(KernelSeen(one.xid(A, 119)))
    one.machine.host.kill = lambda _identity: (_ for _ in ()).throw(KeyboardInterrupt)
    one.look()
    with pytest.raises(KeyboardInterrupt):
        one.machine.loop.tick()
    del one.machine.host.kill

    two = restarted(cards, one)
    two.run(4)

    assert two.card_of() == "GPU-B"


def test_a_reboot_of_the_host_takes_it_back(cards):
    one = cards()
    one.run(3)
    condemn(one, 119)
    one.machine.host.boot = "boot-2"

    two = restarted(cards, one)
    two.run(2)

    assert usable(two)


def test_a_card_that_the_driver_calls_well_for_a_minute_is_used_again(cards):
    one = cards()
    one.run(3)
    condemn(one, 119)
    two = restarted(cards, one)
    two.run(50)
    assert not usable(two)

    two.run(20)
    assert usable(two)

    three = restarted(cards, two)
    three.run(2)
    assert usable(three)


def test_a_driver_that_cannot_say_so_leaves_it_to_an_operator(cards):
    one = cards()
    one.values["GPU-A"] = OLD_DRIVER
    one.run(3)
    condemn(one, 119)
    one.run(900)
    assert not usable(one)
    two = restarted(cards, one)
    two.run(900)
    assert not usable(two)

    two.machine.inbox.post(CordonAsked("GPU-A", cordon=False))
    two.run(2)
    assert usable(two)

    three = restarted(cards, two)
    three.run(2)
    assert usable(three)


def test_a_storm_of_other_xids_pushes_nothing_out(cards):
    one = cards()
    one.values["GPU-A"] = OLD_DRIVER
    one.run(3)
    condemn(one, 119, *[92] * 300)

    assert not usable(one)


def test_several_xids_are_all_remembered(cards):
    one = cards()
    one.run(3)
    condemn(one, 119, 79, 95)

    two = restarted(cards, one)
    two.run(1)

    events = two.machine.loop._cards.condemned["GPU-A"]
    assert sorted(event.xid for event in events) == [79, 95, 119]


def test_a_write_that_the_journal_refused_is_tried_again(cards, monkeypatch):
    one = cards()
    one.run(3)
    refusals = iter([1, 1, 1])
    note = Journal.note

    def refuse(self, key, value):
        if next(refusals, None):
            raise JournalError("disk full")
        note(self, key, value)

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "note", refuse)
        condemn(one, 119)
        one.run(4)

    two = restarted(cards, one)
    two.run(4)

    assert not usable(two)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("{", id="half a note"),
        pytest.param("[]", id="a list"),
        pytest.param('{"boot": "boot-1"}', id="nothing of cards"),
        pytest.param('{"boot": "boot-1", "condemned": {"GPU-A": [[119]]}}', id="a short row"),
        pytest.param('{"boot": "boot-1", "condemned": {"GPU-A": 7}}', id="no rows"),
    ],
)
def test_a_note_that_cannot_be_read_stops_nothing(cards, tmp_path, text):
    journal = Journal(tmp_path / "journal.db")
    journal.note("cards", text)
    journal.close()

    one = cards()
    one.run(3)

    assert one.machine.view().replica.routable


def test_a_clock_that_was_set_back_makes_no_xid_of_the_future(cards):
    one = cards()
    one.run(3)
    condemn(one, 119)
    one.machine.clock.wall -= 3600

    two = restarted(cards, one)
    two.run(66)

    assert usable(two)


def test_cards_that_are_lost_are_known_to_the_next_watchdog_of_this_boot(cards):
    one = cards()
    one.run(3)
    journal = one.machine.journal
    assert lost_cards(journal, "boot-1") == []
    one.faults["GPU-B"] = Unavailable(Why.GPU_LOST)
    one.run(3)

    assert lost_cards(journal, "boot-1") == [B]
    assert lost_cards(journal, "boot-2") == []
    del one.faults["GPU-B"]
    one.run(2)
    assert lost_cards(journal, "boot-1") == []


def test_a_lost_card_is_remembered_while_the_driver_says_nothing(cards):
    one = cards()
    one.run(3)
    one.faults["GPU-B"] = Unavailable(Why.GPU_LOST)
    one.run(3)

    two = restarted(cards, one)
    two.driver = Unavailable(Why.DRIVER_GONE)
    two.faults = {"GPU-A": two.driver, "GPU-B": two.driver}
    two.run(3)
    assert lost_cards(two.machine.journal, "boot-1") == [B]

    two.driver, two.faults = "580", {}
    two.run(1)
    assert lost_cards(two.machine.journal, "boot-1") == []


@pytest.mark.parametrize("text", ["{", "[]", '{"boot": "boot-1", "lost": [1]}'])
def test_lost_cards_that_cannot_be_read_are_none(tmp_path, text):
    journal = Journal(tmp_path / "journal.db")
    journal.note("cards", text)

    assert lost_cards(journal, "boot-1") == []
    journal.close()
