from __future__ import annotations

import json
import os
import sys
import time

import pytest

from deploy.config import Config
from deploy.doctor.finding import Finding
from deploy.doctor.gpu import Driver, Gpu, Holder, NoDriver, check_gpus, read_driver
from deploy.doctor.model import check_cuda
from tests.monitor.nvml.driver import FakeDriver, compiler_is_there

Level = Finding.Level
GIB = 2**30


def gpu(*, free, holders=(), index=0, persistence=True):
    return Gpu(index, f"GPU-{index}", "NVIDIA H100", 80 * GIB, free * GIB, holders, persistence)


def driver(*gpus):
    return Driver("580.95", 13000, gpus)


def levels(findings):
    return {finding.check: finding.level for finding in findings}


def child(code):
    return (sys.executable, "-c", code)


VLLM = Config.model_validate({"engine": {"kind": "vllm"}})


def test_an_idle_card_is_fine():
    findings = check_gpus(VLLM, driver(gpu(free=79)), expected=1)

    assert set(levels(findings).values()) == {Level.OK}


def test_memory_that_a_stranger_holds_is_told_with_its_holder():
    stranger = Holder(os.getpid(), 30 * GIB)

    (finding,) = [
        item
        for item in check_gpus(VLLM, driver(gpu(free=49, holders=(stranger,))))
        if item.check == "gpu 0"
    ]

    assert finding.level is Level.WARN
    assert f"pid {os.getpid()}, 30.0 GiB" in finding.message


def test_memory_that_nobody_admits_to_hold_is_told_as_that():
    (finding,) = [
        item for item in check_gpus(VLLM, driver(gpu(free=1))) if item.level is Level.WARN
    ]

    assert "nobody that NVML names" in finding.message


def test_memory_of_our_own_replica_is_well_held():
    mine = Holder(4711, 75 * GIB)

    findings = check_gpus(VLLM, driver(gpu(free=4, holders=(mine,))), ours=frozenset({4711}))

    assert levels(findings)["gpu 0"] is Level.OK


def test_a_smaller_share_of_the_card_needs_less_of_it():
    small = {"engine": {"kind": "vllm", "vllm": {"gpu_memory_utilization": 0.25}}}

    findings = check_gpus(Config.model_validate(small), driver(gpu(free=25)))

    assert levels(findings)["gpu 0"] is Level.OK


def test_a_missing_card_is_a_failure():
    findings = check_gpus(VLLM, driver(gpu(free=79)), expected=2)

    assert levels(findings)["gpu count"] is Level.FAIL


def test_persistence_that_is_off_is_told():
    findings = check_gpus(VLLM, driver(gpu(free=79, persistence=False)))

    assert levels(findings)["gpu 0 persistence"] is Level.WARN


@pytest.mark.parametrize(
    ("absence", "config", "level"),
    [
        pytest.param(
            NoDriver("Not Found", 12), Config(), Level.OK, id="no driver and none is needed"
        ),
        pytest.param(NoDriver("Not Found", 12), VLLM, Level.FAIL, id="no driver for vLLM"),
        pytest.param(
            NoDriver("mismatch", 18), Config(), Level.WARN, id="a broken driver is told anyway"
        ),
        pytest.param(NoDriver("hangs", None), VLLM, Level.FAIL, id="a driver that hangs"),
    ],
)
def test_a_driver_that_says_nothing(absence, config, level):
    (finding,) = check_gpus(config, absence)

    assert finding.level is level
    assert finding.fix or level is Level.OK


def test_what_the_child_prints_becomes_cards():
    card = {
        "index": 0,
        "uuid": "GPU-0",
        "name": "NVIDIA H100",
        "total": 80 * GIB,
        "used": GIB,
        "free": 79 * GIB,
        "persistence": None,
        "processes": [{"pid": 7, "used": GIB}],
    }
    body = json.dumps({"driver": "580.95", "cuda": 13000, "gpus": [card]})

    read = read_driver(child(f"print({body!r})"))

    assert isinstance(read, Driver)
    assert read.gpus[0].holders == (Holder(7, GIB),)


@pytest.mark.parametrize(
    ("code", "why"),
    [
        pytest.param(
            'print(\'{"error": "Driver Not Loaded", "code": 9}\')', "Not Loaded", id="a code"
        ),
        pytest.param(
            "import os; os.kill(os.getpid(), 11)", "status -11", id="a crash in the library"
        ),
    ],
)
def test_a_driver_that_fails_is_a_value(code, why):
    read = read_driver(child(code))

    assert isinstance(read, NoDriver)
    assert why in read.why


def test_a_driver_that_hangs_is_left_behind_after_the_limit():
    began = time.monotonic()

    read = read_driver(child("import time; time.sleep(60)"), limit_s=0.1)

    assert time.monotonic() - began < 5
    assert read == NoDriver("NVML did not answer within 0.1 s", None)


def test_a_card_that_is_lost_is_a_failure_and_hides_no_other():
    lost = Gpu(1, "", "", 0, 0, fault="GPU is lost", fault_code=15)

    found = levels(check_gpus(VLLM, driver(gpu(free=79), lost), expected=2))

    assert (found["gpu 0"], found["gpu 1"], found["gpu count"]) == (Level.OK, Level.FAIL, Level.OK)


@pytest.fixture(scope="module")
def fake(tmp_path_factory):
    """A driver of our own in C, under the real binding."""
    if not compiler_is_there():
        pytest.skip("needs gcc")
    made = FakeDriver(tmp_path_factory.mktemp("nvml"))
    made.build()
    return made


def test_the_real_binding_reads_every_card_although_one_is_lost(fake, monkeypatch):
    for name, value in fake.environment.items():
        monkeypatch.setenv(name, value)
    fake.say("count 2", "code 1 15")

    read = read_driver()

    assert isinstance(read, Driver)
    assert [card.fault_code for card in read.gpus] == [0, 15]
    assert read.gpus[0].uuid


@pytest.mark.parametrize(
    ("line", "code"),
    [
        pytest.param("init 9", 9, id="the driver is not loaded"),
        pytest.param("init 18", 18, id="it was upgraded under running processes"),
    ],
)
def test_the_real_binding_says_why_there_is_no_driver(fake, monkeypatch, line, code):
    for name, value in fake.environment.items():
        monkeypatch.setenv(name, value)
    fake.say("count 2", line)

    assert read_driver().code == code


def test_an_init_that_hangs_in_the_driver_is_left_behind(fake, monkeypatch):
    for name, value in fake.environment.items():
        monkeypatch.setenv(name, value)
    fake.say("count 2", "hang init")

    assert read_driver(limit_s=1.0) == NoDriver("NVML did not answer within 1 s", None)


def test_without_a_driver_the_real_child_says_so():
    read = read_driver()

    assert isinstance(read, Driver) or read.code is not None


@pytest.mark.parametrize(
    ("cuda", "built", "level"),
    [
        pytest.param(13000, "12.8", Level.OK, id="a newer driver"),
        pytest.param(12080, "12.8", Level.OK, id="the same"),
        pytest.param(12040, "12.8", Level.WARN, id="older within the major version"),
        pytest.param(11080, "12.8", Level.FAIL, id="older than the major version"),
    ],
)
def test_cuda_of_the_driver_against_what_torch_was_built_for(cuda, built, level):
    (finding,) = check_cuda(Driver("580.95", cuda, ()), built)

    assert finding.level is level
