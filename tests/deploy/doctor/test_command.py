from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

import pytest

from tests.waiting import free_port


@pytest.fixture
def settings(tmp_path):
    path = tmp_path / "rankguard.toml"
    path.write_text(
        f'[service]\nstate_dir = "{tmp_path}/state"\nport = {free_port()}\n'
        f"[monitor]\nport = {free_port()}\n[engine]\nkind = 'scripted'\n"
    )
    return path


def doctor(settings, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "deploy", "doctor", "--config", str(settings), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"]},
    )


def test_json_is_json_only_and_every_finding_that_is_not_ok_has_its_fix(settings):
    done = doctor(settings, "--json")

    findings = json.loads(done.stdout)
    assert {"state directory", "gateway port", "watchdog port", "clock"} <= {
        item["check"] for item in findings
    }
    assert all(item["fix"] for item in findings if item["level"] != "ok")
    levels = {item["level"] for item in findings}
    assert done.returncode == (2 if "fail" in levels else 1 if "warn" in levels else 0)


def test_a_part_that_starts_needs_only_its_own_port(settings):
    port = int(settings.read_text().split("port = ")[1].split()[0])
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        gateway = doctor(settings, "--for", "gateway", "--failures-only")
        watchdog = doctor(settings, "--for", "watchdog", "--failures-only")

    assert (gateway.returncode, watchdog.returncode) == (2, 0)
    assert "gateway port" in gateway.stdout
    assert watchdog.stdout == ""


def test_cards_that_are_expected_and_not_there_are_a_failure(settings):
    done = doctor(settings, "--expect-gpus", "64", "--json")

    assert done.returncode == 2


def test_an_unknown_part_is_wrong_usage(settings):
    assert doctor(settings, "--for", "everything").returncode == 2
