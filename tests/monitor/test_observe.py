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
    (tmp_path / "replicas").mkdir()
    says(tmp_path, sleeper.pid)
    return FileBoard(tmp_path)


def says(folder, pid, *, state="ready", generation=1):
    """Write the manifest of replica-0."""
    identity = identify(pid)
    body = {
        "id": "replica-0",
        "generation": generation,
        "pid": identity.pid,
        "started_ticks": identity.started_ticks,
        "boot_id": identity.boot_id,
        "url": "http://127.0.0.1:1",
        "state": state,
    }
    temporary = folder / "new.json"
    temporary.write_text(json.dumps(body))
    temporary.replace(folder / "replicas" / "replica-0.json")


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


def left(folder):
    (folder / "replicas" / "replica-0.json").unlink()


def follows(generation):
    return lambda folder: says(folder, os.getpid(), generation=generation)


@pytest.mark.parametrize(
    ("end", "code"),
    [
        pytest.param(("ready", None), None, id="killed: its manifest is still there"),
        pytest.param(("failed", None), None, id="it failed and said so"),
        pytest.param(("ready", left), 0, id="drained: it took its manifest away"),
        pytest.param(("draining", None), 0, id="told to end, and killed for it took too long"),
        pytest.param(("ready", follows(2)), None, id="killed, and its name is used again already"),
        pytest.param(("ready", follows(1)), 0, id="drained, and its name is used again already"),
    ],
)
def test_an_end_in_order_is_told_from_a_death(board, sleeper, tmp_path, end, code):
    state, then = end
    actuator = ObservingActuator(board)
    identity = actuator.start("replica-0", 1, None)
    says(tmp_path, sleeper.pid, state=state)
    assert actuator.look(identity).alive

    sleeper.kill()
    sleeper.wait(5)
    if then is not None:
        then(tmp_path)

    seen = actuator.look(identity)
    assert (seen.alive, seen.exit_code) == (False, code)


def test_who_took_its_manifest_away_has_ended_though_its_process_goes_on(board, tmp_path):
    actuator = ObservingActuator(board)
    identity = actuator.start("replica-0", 1, None)
    assert actuator.look(identity).alive

    left(tmp_path)

    assert not actuator.look(identity).alive
    assert actuator.may_start("replica-0") is Reason.OBSERVING


def test_an_end_in_order_that_an_earlier_watchdog_did_not_see_is_known_by_what_is_left(
    board, sleeper, tmp_path
):
    identity = identify(sleeper.pid)
    sleeper.kill()
    sleeper.wait(5)

    assert ObservingActuator(board).look(identity).exit_code is None
    left(tmp_path)
    assert ObservingActuator(board).look(identity).exit_code == 0


def test_who_is_told_to_end_is_not_found_again(board, sleeper, tmp_path):
    says(tmp_path, sleeper.pid, state="draining")

    assert ObservingActuator(board).may_start("replica-0") is Reason.OBSERVING


def test_no_file_is_written_or_removed(board, tmp_path):
    before = sorted(path for path in tmp_path.rglob("*"))
    observing = ObservingBoard(board)
    manifest = observing.manifest("replica-0")
    observing.write_verdict("replica-0", 1, routable=False, reason="hung")
    observing.remove_verdict("replica-0")
    observing.remove_manifest("replica-0", manifest.identity)

    assert sorted(path for path in tmp_path.rglob("*")) == before
