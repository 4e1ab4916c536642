from __future__ import annotations

import socket
from pathlib import Path

import pytest
from pydantic import ValidationError

from monitor.collectors.host import HostReader
from monitor.notify import Notifier
from monitor.settings import MonitorSettings


def test_every_setting_has_a_default_and_says_what_it_is():
    assert MonitorSettings()
    for name, field in MonitorSettings.model_fields.items():
        assert field.description, name


@pytest.mark.parametrize(
    ("given", "bounds"),
    [
        pytest.param({}, (1, 1), id="one"),
        pytest.param({"replicas": 3}, (3, 3), id="a fixed number"),
        pytest.param({"max_replicas": 4}, (1, 4), id="at least one"),
        pytest.param({"min_replicas": 2, "max_replicas": 4}, (2, 4), id="between two numbers"),
    ],
)
def test_replicas_have_bounds(given, bounds):
    assert MonitorSettings(**given).bounds() == bounds


@pytest.mark.parametrize(
    "given",
    [
        {"min_replicas": 3, "max_replicas": 2},
        {"min_replicas": 2},
        {"gpus": "amd"},
        {"gpus": "replay:"},
        {"actuator": "kubernetes"},
        {"poll_s": 0},
        {"stall_z": 3},
        {"canary": "sometimes"},
    ],
    ids=str,
)
def test_what_cannot_be_meant_is_refused(given):
    with pytest.raises(ValidationError):
        MonitorSettings(**given)


def test_the_fixed_keys_keep_their_defaults():
    settings = MonitorSettings()

    assert (settings.port, settings.replicas, settings.poll_s, settings.canary_s) == (
        9400,
        1,
        1.0,
        15.0,
    )
    assert (settings.gpus, settings.actuator) == ("nvml", "process")


def test_a_hang_is_found_within_its_promise():
    """One probe late, the stall, and a canary that begins after it and times out: 5 s."""
    settings = MonitorSettings()
    asked_after_s = 0.3 * settings.stall_s

    canary_ends_s = 2 * settings.poll_s + asked_after_s + settings.canary_timeout_s
    assert max(settings.poll_s + settings.stall_s, canary_ends_s) <= 5.0


def test_systemd_is_told(tmp_path):
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(path)
        heard.settimeout(5)
        notifier = Notifier({"NOTIFY_SOCKET": path})
        notifier.ready()
        notifier.alive()
        notifier.stopping()

        assert [heard.recv(100) for _ in range(3)] == [b"READY=1", b"WATCHDOG=1", b"STOPPING=1"]


def test_without_systemd_nothing_is_told():
    Notifier({}).alive()
    Notifier({"NOTIFY_SOCKET": "/nowhere/socket"}).alive()


def test_the_host_is_read(tmp_path):
    sample = HostReader([tmp_path, tmp_path / "gone"]).read()

    assert 0 <= sample.cpu_ratio <= 1
    assert 0 < sample.memory_available <= sample.memory_total
    assert list(sample.disks) == [str(tmp_path)]
    assert 0 < sample.open_files <= sample.max_files
    assert sample.cpu_pressure is None or Path("/proc/pressure/cpu").exists()
