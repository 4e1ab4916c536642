from __future__ import annotations

import subprocess
import sys

import pytest

from deploy.stop import Stopped, stop_replicas
from service.manifest import Manifest, read_manifest, replicas_dir, write_manifest
from service.process import boot_id, started_ticks

OBEDIENT = "import time; time.sleep(60)"
DEAF = (
    "import signal, time\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
)


def replica(state_dir, name, code):
    process = subprocess.Popen(
        [sys.executable, "-c", code], start_new_session=True, stdout=subprocess.PIPE
    )
    if code is DEAF:
        process.stdout.readline()
    write_manifest(state_dir, manifest(name, process.pid))
    return process


def manifest(name, pid, **changes):
    fields = {
        "id": name,
        "generation": 1,
        "pid": pid,
        "started_ticks": started_ticks(pid) or 0,
        "boot_id": boot_id(),
        "url": "http://127.0.0.1:1",
        "engine": "scripted",
        "model": "m",
    }
    return Manifest(**{**fields, **changes})


@pytest.fixture
def ended():
    processes = []
    yield processes
    for process in processes:
        process.kill()
        process.wait(5)
        process.stdout.close()


def test_a_replica_that_drains_is_waited_for_and_its_manifest_removed(tmp_path, ended):
    process = replica(tmp_path, "replica-0", OBEDIENT)
    ended.append(process)

    stopped = stop_replicas(tmp_path, 10.0)

    assert stopped == [Stopped("replica-0", process.pid, killed=False)]
    assert process.wait(5) == -15
    assert not list(replicas_dir(tmp_path).glob("*.json"))


def test_a_replica_that_does_not_end_in_time_is_killed(tmp_path, ended):
    process = replica(tmp_path, "replica-0", DEAF)
    ended.append(process)
    clock = iter([0.0, 0.0, 1.0, 2.0])

    stopped = stop_replicas(
        tmp_path, 1.5, monotonic=lambda: next(clock), sleep=lambda _seconds: None
    )

    assert stopped == [Stopped("replica-0", process.pid, killed=True)]
    assert process.wait(5) == -9


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"started_ticks": 1}, id="the pid is another process's by now"),
        pytest.param({"boot_id": "before"}, id="the host was booted since"),
    ],
)
def test_a_stranger_with_the_same_pid_is_not_touched(tmp_path, ended, changes):
    process = subprocess.Popen(
        [sys.executable, "-c", OBEDIENT], start_new_session=True, stdout=subprocess.PIPE
    )
    ended.append(process)
    write_manifest(tmp_path, manifest("replica-0", process.pid, **changes))

    assert stop_replicas(tmp_path, 1.0) == []
    assert process.poll() is None
    assert read_manifest(replicas_dir(tmp_path) / "replica-0.json") is None


def test_nothing_to_stop_is_fine(tmp_path):
    assert stop_replicas(tmp_path, 1.0) == []
