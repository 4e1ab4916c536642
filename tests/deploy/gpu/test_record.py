"""A recording names no card of the host that it was made on."""

from __future__ import annotations

from deploy.gpu.record import Scrubber
from monitor.gpu import Card, CardSample, Field, GpuProcess, GpuRound
from monitor.model import Unavailable, Why

REAL = "GPU-529b3263-c96d-b557-bc75-697f04917eda"


def a_round(pid=4242, fault=None):
    card = Card(REAL, 0, "NVIDIA H100 80GB HBM3", "00000000:04:00.0")
    values = {Field.POWER: 70.0}
    return GpuRound(1.0, "580", (CardSample(card, values, (GpuProcess(pid, 1),), fault),))


def test_uuids_and_pids_are_replaced_and_readings_are_not():
    scrubbed = Scrubber().scrub(a_round()).cards[0]

    assert REAL not in repr(scrubbed)
    assert "4242" not in repr(scrubbed)
    assert scrubbed.number(Field.POWER) == 70.0
    assert scrubbed.card.name == "NVIDIA H100 80GB HBM3"


def test_the_same_card_and_the_same_process_keep_their_made_up_names():
    scrubber = Scrubber()

    first, second = (scrubber.scrub(a_round()).cards[0] for _ in range(2))
    other = scrubber.scrub(a_round(pid=1)).cards[0]

    assert first == second
    assert other.card.uuid == first.card.uuid
    assert other.processes[0].pid != first.processes[0].pid


def test_the_words_of_a_fault_which_may_name_the_card_are_left_out():
    fault = Unavailable(Why.GPU_LOST, f"{REAL} is lost")

    scrubbed = Scrubber().scrub(a_round(fault=fault)).cards[0]

    assert scrubbed.fault == Unavailable(Why.GPU_LOST)
