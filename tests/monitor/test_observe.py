"""An observing watchdog finds workers, tells of them, and touches neither them nor any file."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from monitor.actuators.observe import ObservingActuator, ObservingBoard
from monitor.board import FileBoard
from monitor.model import Reason
from monitor.probes.process import identify
from tests.waiting import until


@pytest.fixture
def sleeper():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield child
    child.kill()
    child.wait(5)


@pytest.fixture
def board(tmp_path, sleeper):
    identity = identify(sleeper.pid)
    (tmp_path / "replicas").mkdir()
    body = {
        "id": "replica-0",
        "generation": 1,
        "pid": identity.pid,
        "started_ticks": identity.started_ticks,
        "boot_id": identity.boot_id,
        "url": "http://127.0.0.1:1",
        "state": "ready",
    }
    (tmp_path / "replicas" / "replica-0.json").write_text(json.dumps(body))
    return FileBoard(tmp_path)


def test_a_worker_that_runs_is_found(board, sleeper):
    actuator = ObservingActuator(board)

    assert actuator.may_start("replica-0") is None
    assert actuator.start("replica-0", 5, None).pid == sleeper.pid
    assert actuator.may_start("replica-1") is Reason.OBSERVING


def test_a_worker_that_was_given_up_lives_on_and_is_not_found_again(board, sleeper):
    actuator = ObservingActuator(board)
    identity = actuator.start("replica-0", 1, None)
    actuator.terminate(identity)
    actuator.kill(identity)

    assert sleeper.poll() is None
    assert actuator.look(identity).alive
    assert actuator.leftovers(identity) == 0
    assert actuator.may_start("replica-0") is Reason.OBSERVING


def test_an_end_is_seen(board, sleeper):
    actuator = ObservingActuator(board)
    identity = actuator.start("replica-0", 1, None)
    os.kill(sleeper.pid, 9)

    until("it is seen", lambda: not actuator.look(identity).alive, 5)


def test_no_file_is_written_or_removed(board, tmp_path):
    before = sorted(path for path in tmp_path.rglob("*"))
    observing = ObservingBoard(board)
    manifest = observing.manifest("replica-0")
    observing.write_verdict("replica-0", 1, routable=False, reason="hung")
    observing.remove_verdict("replica-0")
    observing.remove_manifest("replica-0", manifest.identity)

    assert sorted(path for path in tmp_path.rglob("*")) == before
