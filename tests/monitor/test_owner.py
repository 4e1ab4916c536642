"""Whose a real process is, from /proc alone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from monitor.actuators.process import ProcessActuator
from monitor.probes.owner import Owners
from monitor.probes.process import identify, read_stat
from monitor.tenancy import Owner
from tests.waiting import until

# a worker with a child in its session, and one that left it
_FAMILY = """
import os, subprocess, sys, time
child = subprocess.Popen(["sleep", "60"])
away = subprocess.Popen(["sleep", "60"], start_new_session=True)
print(child.pid, away.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def family():
    leader = subprocess.Popen(
        [sys.executable, "-c", _FAMILY], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    child, away = (int(word) for word in leader.stdout.readline().split())
    yield leader.pid, child, away
    for pid in (leader.pid, child, away):
        os.kill(pid, signal.SIGKILL)
    leader.wait(5)
    leader.stdout.close()


def test_a_replicas_processes_are_known_by_session_and_by_parents(family):
    leader, child, away = family
    replicas = {"replica-0": identify(leader)}

    found = [Owners().of(pid, replicas) for pid in (leader, child, away)]

    assert found == [(Owner.REPLICA, "replica-0")] * 3
    assert read_stat(away).session != leader


def test_others_are_strangers_and_who_is_not_there_is_not_seen(family):
    leader, _, _ = family
    replicas = {"replica-0": identify(leader)}

    assert Owners().of(os.getpid(), replicas) == (Owner.STRANGER, "")
    assert Owners().of(2**30, replicas) == (Owner.UNSEEN, "")


def test_a_worker_that_no_watchdog_looks_after_is_an_orphan_and_is_reaped(tmp_path):
    """Two watchdogs, one after the other, on the same state directory."""
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    first = ProcessActuator(lambda *_: command, tmp_path, lambda: None)
    identity = first.start("replica-0", 1, None)
    second = ProcessActuator(lambda *_: command, tmp_path, lambda: None)
    elsewhere = ProcessActuator(lambda *_: command, tmp_path / "other", lambda: None)

    # a moment after exec a process has no environment yet
    until("its mark is seen", lambda: second.is_ours(identity.pid), 5)
    assert Owners(second.is_ours).of(identity.pid, {}) == (Owner.ORPHAN, "")
    assert Owners(elsewhere.is_ours).of(identity.pid, {}) == (Owner.STRANGER, "")
    assert second.end_strays() == 1
    until("it ended", lambda: not first.look(identity).alive, 5)
    first.release(identity)
    for actuator in (first, second, elsewhere):
        actuator.close()
