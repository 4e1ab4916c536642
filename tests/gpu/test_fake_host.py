"""The whole run on a host with a fake driver: passes when all is well, and notices what is not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from deploy.gpu.event_child import LISTENING
from monitor.collectors.replay import load
from tests.gpu.fake import FakeHost
from tests.monitor.nvml.driver import compiler_is_there
from tests.waiting import until

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not compiler_is_there(), reason="needs gcc"),
]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    host = FakeHost(tmp_path_factory.mktemp("host"))
    host.build()
    return host


@pytest.fixture
def host(built):
    built.say()
    return built


def arguments(tmp_path, *parts):
    out, recordings = tmp_path / "run.json", tmp_path / "recordings"
    common = ["test", "--fake", "--quick", "--engine", "scripted", "--slack", "10"]
    only = ["--only", *parts] if parts else []
    return [*common, "-o", str(out), "--recordings", str(recordings), *only]


def run(host, tmp_path, *parts):
    done = subprocess.run(
        host.command(*arguments(tmp_path, *parts)),
        env=host.environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    return done, json.loads((tmp_path / "run.json").read_text())


def test_everything_passes_where_all_is_well(host, tmp_path):
    done, body = run(host, tmp_path)

    states = {name: part["state"] for name, part in body["parts"].items()}
    assert done.returncode == 0, done.stderr
    assert states == dict.fromkeys(
        ("readings", "cost", "recording", "events", "memory", "hang"), "passed"
    )
    assert body["parts"]["memory"]["numbers"]["process_found"] == "by its pid"
    assert body["parts"]["memory"]["numbers"]["gate_open_while_full"] is False
    assert body["parts"]["hang"]["numbers"]["failed"] == 0
    assert body["run"]["fake"] is True
    assert "GPU-fake" not in json.dumps(body["parts"])
    recording = load(next((tmp_path / "recordings").glob("*.jsonl")))
    assert len(recording.cards) == 2
    assert "fake" in recording.about


@pytest.mark.parametrize(
    ("lie", "field"),
    [
        pytest.param("smi temperature.gpu 77", "temperature_celsius", id="a number"),
        pytest.param("smi memory.used 9999", "memory_used_bytes", id="a size"),
        pytest.param("smi clocks_event_reasons.active 0x40", "clock_event_reasons", id="bits"),
        pytest.param("smi /gpu_recovery_action Reboot", "recovery_action", id="a word in the XML"),
        pytest.param("smi mig.mode.current Enabled", "mig_enabled", id="a switch"),
        pytest.param("smi retired_pages.pending Yes", "retired_pages_pending", id="lacked by us"),
    ],
)
def test_a_reading_that_nvidia_smi_contradicts_fails_and_is_named(host, tmp_path, lie, field):
    host.say(lie)

    done, body = run(host, tmp_path, "readings")

    assert done.returncode == 1
    assert field in body["parts"]["readings"]["why"]


def test_what_a_card_does_not_support_is_listed_and_no_failure(host, tmp_path):
    host.say("fail 0 power 3", "fail 1 power 3", "links 0 4", "set 0 link_down 2")

    done, body = run(host, tmp_path, "readings")

    rows = body["parts"]["readings"]["rows"]["fields"]
    assert done.returncode == 0, done.stderr
    assert ("power_watts", "not_supported") in {(row["field"], row["lacking"]) for row in rows}
    down = [row for row in rows if row["field"] == "nvlinks_down" and row["card"] == 0]
    assert (down[0]["theirs"], down[0]["match"]) == (1, "same")


def test_a_card_that_others_use_is_left_alone(host, tmp_path):
    host.say(f"set 0 pid {os.getpid()}", "set 1 used 20000000000")

    done, body = run(host, tmp_path, "memory")

    assert done.returncode == 0
    assert body["parts"]["memory"]["state"] == "skipped"
    assert "in use by others" in body["parts"]["memory"]["why"]


def test_a_driver_error_is_heard_while_we_listen(host):
    process = subprocess.Popen(
        [sys.executable, "-m", "deploy.gpu.event_child", "2"],
        env=host.environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline().strip() == LISTENING
    host.say("event 1 79")

    rows = json.loads(process.communicate(timeout=120)[0])

    assert [row["registered"] for row in rows] == [True, True]
    assert sum(row["events"] for row in rows) == 1
    assert "data 79" in rows[0]["error"]


def test_without_a_driver_every_part_that_needs_one_is_skipped(host, tmp_path):
    host.say("init 9")

    done, body = run(host, tmp_path, "readings", "cost", "recording", "events", "memory")

    assert done.returncode == 0
    assert {part["state"] for part in body["parts"].values()} == {"skipped"}


def test_ctrl_c_keeps_what_was_measured_and_leaves_nothing_running(host, tmp_path):
    out = tmp_path / "run.json"
    process = subprocess.Popen(
        host.command(*arguments(tmp_path, "cost", "hang")),
        env=host.environment,
        stderr=subprocess.DEVNULL,
    )
    try:
        until("the first part is written", out.exists, 120)
        process.send_signal(signal.SIGINT)
        assert process.wait(120) == 1
    finally:
        process.kill()
        process.wait(5)

    body = json.loads(out.read_text())
    assert body["partial"] is True
    assert body["parts"]["cost"]["state"] == "passed"
    assert body["parts"]["hang"]["state"] == "interrupted"


def test_a_dry_run_starts_nothing_and_writes_nothing(host, tmp_path):
    done = subprocess.run(
        host.command(*arguments(tmp_path), "--dry-run"),
        env={**host.environment, "FAKE_NVML": "/nowhere"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0
    assert "SIGSTOP" in done.stderr
    assert not (tmp_path / "run.json").exists()
