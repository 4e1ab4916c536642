"""The whole watchdog over real workers and a driver of our own."""

from __future__ import annotations

import os
import signal
import time

import pytest
import requests

from tests.monitor.nvml.driver import FakeDriver, compiler_is_there
from tests.monitor.stand import Stand
from tests.waiting import until

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not compiler_is_there(), reason="needs gcc"),
]


@pytest.fixture
def driver(tmp_path):
    made = FakeDriver(tmp_path)
    made.build()
    return made


@pytest.fixture
def stand(tmp_path, driver):
    one = Stand(tmp_path, environment=driver.environment, gpus="nvml")
    one.start()
    one.wait_healthy()
    yield one
    one.clear()


def names(stand):
    return {incident["name"] for incident in stand.incidents()}


def open_names(stand):
    return {one["name"] for one in stand.incidents() if one["status"] == "firing"}


def cards_up(stand):
    text = stand.metrics()
    return {
        uuid: any(f'uuid="{uuid}"' in line and line.endswith(" 1.0") for line in ups(text))
        for uuid in ("GPU-fake-0", "GPU-fake-1")
        if any(f'uuid="{uuid}"' in line for line in ups(text))
    }


def ups(text):
    return [line for line in text.splitlines() if line.startswith("rankguard_gpu_up{")]


def waiting(stand):
    return next((one["reason"] for one in stand.status().get("replicas", ())), None)


def test_a_lost_card_moves_its_replica_within_seconds(stand, driver):
    before = stand.manifest()
    assert before.gpu_uuid == "GPU-fake-0"
    lost_at = time.time()
    driver.say("count 2", "code 0 15", "event 0 79")

    until("it moved", lambda: stand.manifest() and stand.manifest().gpu_uuid == "GPU-fake-1", 15)
    stand.wait_healthy()

    moved = next(one for one in stand.incidents() if one["replica"] == "replica-0")
    assert moved["reason"] == "gpu_lost"
    assert moved["started_at"] - lost_at < 5.0
    assert "GpuLost" in names(stand)
    text = stand.metrics()
    assert 'rankguard_gpu_up{gpu="0",model_name="Fake H100"' in text
    assert 'rankguard_gpu_temperature_celsius{gpu="0"' not in text
    assert 'rankguard_gpu_temperature_celsius{gpu="1"' in text


def test_a_card_that_must_be_reset_gets_nothing_from_the_next_watchdog_either(stand, driver):
    driver.say("count 2", "event 0 119")
    until("it moved", lambda: stand.manifest() and stand.manifest().gpu_uuid == "GPU-fake-1", 15)
    stand.stop(signal.SIGKILL)
    os.killpg(stand.manifest().identity.pid, signal.SIGKILL)

    # the other card is lost meanwhile: only the condemned one is left
    driver.say("count 2", "event 0 119", "code 1 15")
    stand.start()

    until("it waits for a card", lambda: waiting(stand) == "no_gpu", 15)
    assert "GpuResetRequired" in open_names(stand)


def test_a_card_that_is_not_listed_any_more_is_missed_by_the_next_watchdog_too(stand, driver):
    driver.say("count 1")
    until("it is told of", lambda: "GpuLost" in open_names(stand), 15)
    stand.stop(signal.SIGKILL)
    stand.start()
    stand.wait_healthy()

    until("it is judged", lambda: cards_up(stand) == {"GPU-fake-0": True, "GPU-fake-1": False}, 10)
    assert "GpuLost" in open_names(stand)

    driver.say("count 2")
    until("it is over", lambda: "GpuLost" not in open_names(stand), 15)


def test_a_driver_that_hangs_slows_no_scrape_and_touches_no_replica(stand, driver):
    before = stand.manifest()
    until("both are read", lambda: stand.metrics().count("rankguard_gpu_temperature_c") > 2, 10)
    driver.say("count 2", "hang 0", "hang 1")
    until("the series are gone", lambda: "gpu_temperature_celsius{" not in stand.metrics(), 15)

    took = []
    for _ in range(5):
        began = time.monotonic()
        stand.metrics()
        took.append(time.monotonic() - began)

    assert min(took) < 0.1
    assert stand.manifest().identity == before.identity
    began = time.monotonic()
    assert stand.stop() == 0
    assert time.monotonic() - began < 10


def test_operators_cordon_a_card(stand, driver):
    url = f"http://127.0.0.1:{stand.port}/api/gpus/GPU-fake-0"
    headers = {"X-Rankguard-Operator": "test"}
    asked = requests.post(f"{url}/cordon", json={"hours": 1}, headers=headers, timeout=5)
    assert asked.status_code == 202
    stand.command_replica("replica-0", "restart")

    until("it moved", lambda: stand.manifest() and stand.manifest().gpu_uuid == "GPU-fake-1", 15)
    stand.wait_healthy()

    assert names(stand) == set()
    cards = {card["uuid"]: card for card in stand.status()["gpus"]}
    assert cards["GPU-fake-0"]["cordoned"]
    bad = requests.post(f"{url}/cordon", json={"hours": "x"}, headers=headers, timeout=5)
    assert bad.status_code == 400
