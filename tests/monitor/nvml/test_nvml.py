"""The real binding and the real reader processes over a driver of our own, written in C."""

from __future__ import annotations

import os
import time

import psutil
import pytest

from monitor.collectors import nvml
from monitor.collectors.nvml import NvmlCollector
from monitor.gpu import Card, Field
from monitor.model import Unavailable, Why
from tests.monitor.nvml.driver import FakeDriver, compiler_is_there
from tests.waiting import until

pytestmark = pytest.mark.skipif(not compiler_is_there(), reason="needs gcc")
ONE = "GPU-fake-1"


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nvml")
    FakeDriver(folder).build()
    return folder


@pytest.fixture
def driver(library):
    return FakeDriver(library)


@pytest.fixture
def collector(driver, monkeypatch):
    monkeypatch.setattr(nvml, "_RETRY_S", 0.1)
    made = NvmlCollector(deadline_s=0.4, start_s=10.0, environment=driver.environment)
    yield made
    made.close()


def faults(found):
    return {sample.card.uuid: sample.fault and sample.fault.why for sample in found.cards}


def card(found, uuid=ONE):
    return next(sample for sample in found.cards if sample.card.uuid == uuid)


def test_it_reads_every_card(collector, driver):
    driver.say("count 8", "set 1 temperature 61", "set 1 power 250000", f"set 1 pid {os.getpid()}")

    found = collector.read()

    assert found.driver == "580.00"
    assert len(found.cards) == 8
    assert card(found).number(Field.TEMPERATURE) == 61
    assert card(found).number(Field.POWER) == 250
    assert card(found).number(Field.MEMORY_TOTAL) == 80 * 2**30
    assert [process.pid for process in card(found).processes] == [os.getpid()]
    assert card(found).card.pci_bus_id == "00000000:04:00.0"


@pytest.mark.parametrize(
    ("code", "why"),
    [
        pytest.param(3, Why.NOT_SUPPORTED, id="not supported"),
        pytest.param(4, Why.NO_PERMISSION, id="no permission"),
        pytest.param(999, Why.FAILED, id="unknown error"),
    ],
)
def test_one_reading_that_fails_leaves_the_others(collector, driver, code, why):
    driver.say("count 2", f"fail 1 power {code}")

    sample = card(collector.read())

    assert sample.fault is None
    assert sample.values[Field.POWER].why is why
    assert sample.number(Field.TEMPERATURE) == 45


@pytest.mark.parametrize(
    ("code", "why"),
    [pytest.param(15, Why.GPU_LOST, id="lost"), pytest.param(16, Why.NEEDS_RESET, id="reset")],
)
def test_a_card_that_is_lost_is_a_fault_of_its_own_and_the_others_go_on(
    collector, driver, code, why
):
    collector.read()
    driver.say("count 2", f"code 1 {code}", "set 0 temperature 77")

    found = collector.read()

    assert faults(found) == {"GPU-fake-0": None, ONE: why}
    assert card(found, "GPU-fake-0").number(Field.TEMPERATURE) == 77


def test_a_card_that_vanishes_without_a_word_is_lost(collector, driver):
    driver.say("count 3")
    collector.read()
    driver.say("count 2", "order 0 2")

    found = collector.read()

    assert faults(found) == {"GPU-fake-0": None, ONE: Why.GPU_LOST, "GPU-fake-2": None}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        pytest.param("code 1 15", Why.GPU_LOST, id="lost"),
        pytest.param("code 1 999", Why.FAILED, id="unknown error"),
        pytest.param("hang 1", Why.TIMED_OUT, id="hangs"),
    ],
)
def test_a_card_that_never_told_its_name_is_seen_to_be_there(driver, monkeypatch, line, why):
    """The watchdog started when it was broken already: somebody must be told."""
    monkeypatch.setattr(nvml, "_RETRY_S", 0.1)
    driver.say("count 2", line)
    collector = NvmlCollector(deadline_s=0.4, start_s=2.0, environment=driver.environment)
    found = until("the other is read", lambda: _well(collector.read()), 30)
    assert faults(found) == {"GPU-fake-0": None, "index:1": why}

    driver.say("count 2")
    until("it has its name", lambda: set(faults(collector.read())) == {"GPU-fake-0", ONE}, 30)
    collector.close()


def _well(found):
    return found if faults(found).get("GPU-fake-0", 1) is None else None


def test_a_card_that_was_lost_before_is_lost_until_it_is_listed_again(driver):
    lost = Card(ONE, 1, "Fake H100", "00000000:04:00.0")
    driver.say("count 1")
    collector = NvmlCollector(0.4, 10.0, driver.environment, lost=[lost])
    assert faults(collector.read()) == {"GPU-fake-0": None, ONE: Why.GPU_LOST}

    driver.say("count 2")
    assert faults(collector.read()) == {"GPU-fake-0": None, ONE: None}
    collector.close()


def test_a_card_that_hangs_blinds_nobody_else_and_comes_back(collector, driver):
    collector.read()
    driver.say("count 2", "hang 1")
    began = time.monotonic()
    first = collector.read()
    assert time.monotonic() - began < 1.0

    driver.say("count 2", "hang 1", "set 0 temperature 70")
    began = time.monotonic()
    found = until("the other is read", lambda: _reading(collector, "GPU-fake-0", 70), 5)
    assert faults(found)[ONE] is Why.TIMED_OUT
    assert faults(first)[ONE] is Why.TIMED_OUT

    driver.say("count 2")
    until("it is back", lambda: faults(collector.read())[ONE] is None, 5)


def _reading(collector, uuid, celsius):
    found = collector.read()
    return found if card(found, uuid).number(Field.TEMPERATURE) == celsius else None


def test_a_reader_that_rests_has_no_card_open_and_looks_again(collector):
    before = faults(collector.read())
    collector.rest()
    # process_iter says None where one has ended and nobody asked how yet
    children = [
        one.pid
        for one in psutil.process_iter(["ppid", "cmdline"])
        if one.info["ppid"] == os.getpid() and "nvml_child" in str(one.info["cmdline"])
    ]

    assert children == []
    assert faults(collector.read()) == before
    assert set(before.values()) == {None}


def test_the_slices_of_a_card_are_seen_with_their_own_memory(collector, driver):
    driver.say("count 2", "set 1 mig 1", "instances 1 2", "set 201 used 4096")
    found = card(collector.read())

    assert [one.uuid for one in found.instances] == ["MIG-fake-200", "MIG-fake-201"]
    assert found.instances[1].memory_used_bytes == 4096
    assert found.instances[0].memory_total_bytes > 2**30


def test_rounds_stay_short_while_a_card_hangs(collector, driver):
    collector.read()
    driver.say("count 2", "hang 1")
    collector.read()
    collector.read()

    slowest = max(collector.read().took_s for _ in range(10))

    assert slowest < 0.3


def test_a_driver_that_hangs_at_start_is_a_fault_and_shutdown_does_not_wait(driver):
    driver.say("hang init")
    collector = NvmlCollector(deadline_s=0.4, start_s=0.4, environment=driver.environment)

    found = collector.read()
    began = time.monotonic()
    collector.close()

    assert found.driver == Unavailable(Why.TIMED_OUT, "no answer within 0.4 s")
    assert time.monotonic() - began < 1.0


def test_a_driver_that_takes_long_to_start_is_waited_for_over_several_rounds(driver):
    driver.say("slow init 800")
    collector = NvmlCollector(
        deadline_s=0.4, start_s=60.0, environment=driver.environment, start_look_s=0.1
    )
    try:
        first = collector.read()
        found = until("the driver has started", lambda: _read_driver(collector), limit_s=30.0)
    finally:
        collector.close()

    assert first.driver == Unavailable(Why.NOT_ANSWERING, "still starting")
    assert found == "580.00"


def _read_driver(collector):
    driver = collector.read().driver
    return driver if isinstance(driver, str) else None


@pytest.mark.parametrize("code", [9, 18])
def test_no_driver_at_the_start_is_told_and_tried_again(collector, driver, code):
    driver.say(f"init {code}")
    assert collector.read().driver.why is Why.DRIVER_GONE

    driver.say("count 1")

    until("the driver is there", lambda: collector.read().driver == "580.00", 5)


def test_a_driver_that_goes_takes_all_readings_with_it(collector, driver):
    collector.read()
    driver.say("count 2", "driver 9")

    found = collector.read()

    assert found.driver.why is Why.DRIVER_GONE
    assert set(faults(found).values()) == {Why.DRIVER_GONE}


def test_events_carry_the_card_and_come_once(collector, driver):
    collector.read()
    driver.say("count 2", "event 1 79")

    xids = collector.read().xids
    again = collector.read().xids

    assert [(one.xid, one.pci_bus_id, one.source) for one in xids] == [(79, "0000:04:00", "nvml")]
    assert again == ()


def test_an_event_of_a_lost_card_still_names_it(collector, driver):
    collector.read()
    driver.say("count 2", "code 1 15", "event 1 79")

    found = collector.read()

    assert [(one.xid, one.pci_bus_id) for one in found.xids] == [(79, "0000:04:00")]
    assert faults(found)[ONE] is Why.GPU_LOST


def test_an_index_that_moves_changes_no_identity(collector, driver):
    driver.say("count 2", "set 1 temperature 66")
    collector.read()
    driver.say("count 3", "order 1 0 2", "set 1 temperature 67")

    found = collector.read()

    assert card(found).number(Field.TEMPERATURE) == 67


def test_a_host_without_the_library_is_known_without_a_process(monkeypatch):
    def refuse(_name):
        raise OSError("no such file")

    monkeypatch.setattr(nvml.ctypes, "CDLL", refuse)

    assert not nvml.library_is_there()
