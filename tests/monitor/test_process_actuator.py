"""Real processes: children of this test and strangers, obedient and not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from monitor.actuators.process import ProcessActuator
from monitor.model import Identity
from monitor.ports import ActuatorError
from monitor.probes.process import boot_id, exists, group, identify, read_stat
from tests.waiting import until

SLEEPER = "import time\nprint('up', flush=True)\ntime.sleep(60)"
DEAF = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SLEEPER
ORPHAN = """
import subprocess, sys
quiet = subprocess.DEVNULL
child = subprocess.Popen(
    [sys.executable, "-c", "import time; time.sleep(60)"],
    start_new_session=True, stdout=quiet, stderr=quiet)
child.returncode = 0
print(child.pid)
"""
# the grandchild makes a session of its own: neither group nor session finds it
FAMILY = (
    """
import subprocess, sys
child = [sys.executable, "-c", "import time; time.sleep(60)"]
subprocess.Popen(child)
subprocess.Popen(child, start_new_session=True)
"""
    + SLEEPER
)


class Stage:
    """An actuator that runs one script, and what it woke."""

    def __init__(self, folder, script):
        self.woken = threading.Event()
        self.folder = folder
        self.script = script
        self.actuator = ProcessActuator(self.command, folder, self.woken.set, keep_logs=3)
        self.started = []

    def command(self, replica_id, generation, gpu_uuid):
        return [sys.executable, "-c", self.script]

    def start(self, generation=1, gpu_uuid=None):
        identity = self.actuator.start("replica-0", generation, gpu_uuid)
        self.started.append(identity)
        log = self.folder / "logs" / "replica-0" / f"{generation}.log"
        until("the script runs", lambda: "up" in log.read_text(), 10)
        return identity

    def end(self, identity):
        self.actuator.kill(identity)
        until("the group is gone", lambda: self.actuator.leftovers(identity) == 0, 5)
        self.actuator.release(identity)


@pytest.fixture
def stage(tmp_path):
    made = []

    def make(script=SLEEPER):
        made.append(Stage(tmp_path, script))
        return made[-1]

    yield make
    for one in made:
        for identity in one.started:
            one.end(identity)
        one.actuator.close()


def test_a_started_process_is_alive_in_a_session_of_its_own(stage):
    one = stage()
    identity = one.start()

    assert one.actuator.look(identity).alive
    assert os.getsid(identity.pid) == identity.pid
    assert identity == identify(identity.pid)


def test_an_end_wakes_the_loop_at_once_and_has_its_code_and_moment(stage):
    one = stage()
    identity = one.start()
    killed_at = time.monotonic()
    os.kill(identity.pid, signal.SIGKILL)

    assert one.woken.wait(1.0)
    sample = one.actuator.look(identity)

    assert not sample.alive
    assert sample.exit_code == 137
    assert sample.gone_at - killed_at < 0.5


def test_an_adopted_process_that_is_no_child_is_watched_too(stage, tmp_path):
    one = stage()
    # a grandchild whose parent is gone belongs to init, as a worker does after the watchdog died
    made = subprocess.run(
        [sys.executable, "-c", ORPHAN], stdout=subprocess.PIPE, text=True, check=True
    )
    identity = identify(int(made.stdout))
    assert one.actuator.adopt(identity)
    one.started.append(identity)
    os.kill(identity.pid, signal.SIGKILL)

    assert one.woken.wait(1.0)
    assert not one.actuator.look(identity).alive


@pytest.mark.parametrize(
    "identity",
    [
        pytest.param(lambda: Identity(os.getpid(), 1, boot_id()), id="a pid that was used again"),
        pytest.param(
            lambda: Identity(os.getpid(), identify(os.getpid()).started_ticks, "other"),
            id="before a reboot",
        ),
        pytest.param(lambda: Identity(2**22 + 1, 1, boot_id()), id="no such pid"),
    ],
)
def test_somebody_elses_process_is_neither_adopted_nor_touched(stage, identity):
    one = stage()
    foreign = identity()

    assert not one.actuator.adopt(foreign)
    assert not one.actuator.look(foreign).alive
    assert one.actuator.leftovers(foreign) == 0  # this test itself lives on
    one.actuator.terminate(foreign)


def test_sigterm_ends_one_that_listens(stage):
    one = stage()
    identity = one.start()
    one.actuator.terminate(identity)

    until("it ended", lambda: not one.actuator.look(identity).alive, 5)
    assert one.actuator.look(identity).exit_code == 128 + signal.SIGTERM


def test_a_deaf_one_is_killed(stage):
    one = stage(DEAF)
    identity = one.start()
    one.actuator.terminate(identity)
    time.sleep(0.1)
    assert one.actuator.look(identity).alive

    one.actuator.kill(identity)

    until("it ended", lambda: not one.actuator.look(identity).alive, 5)


def test_a_stopped_one_is_seen_and_killed(stage):
    one = stage()
    identity = one.start()
    os.kill(identity.pid, signal.SIGSTOP)
    until("it is stopped", lambda: one.actuator.look(identity).state == "T", 5)

    one.actuator.kill(identity)

    until("it ended", lambda: not one.actuator.look(identity).alive, 5)


def test_one_that_no_signal_ends_is_let_go_without_waiting(stage):
    """The kernel holds it: whoever looks after the others cannot stop for that."""
    one = stage()
    identity = one.start()
    began = time.monotonic()

    one.actuator.release(identity)

    assert time.monotonic() - began < 0.5
    assert exists(identity) is not None


def test_after_a_crash_nothing_of_its_family_is_left(stage):
    one = stage(FAMILY)
    identity = one.start()
    family = {stat.pid for stat in group(identity, one.actuator._held[identity].marker)}
    assert len(family) == 3

    os.kill(identity.pid, signal.SIGKILL)

    until("nothing is left", lambda: one.actuator.leftovers(identity) == 0, 5)
    states = [stat.state for pid in family if (stat := read_stat(pid)) is not None]
    assert set(states) <= {"Z"}  # a zombie waits for its parent only; init may take its time


def test_cpu_is_counted_over_the_whole_group(stage):
    busy = "import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', 'while True: pass'])\n"
    one = stage(busy + SLEEPER)
    identity = one.start()
    before = one.actuator.cpu(identity).running_s

    until("the child computes", lambda: one.actuator.cpu(identity).running_s > before + 0.05, 5)


def test_a_command_that_is_not_there_cannot_be_started_however_often(tmp_path):
    actuator = ProcessActuator(lambda *_: ["/nowhere/worker"], tmp_path, lambda: None)
    try:
        with pytest.raises(ActuatorError) as caught:
            actuator.start("replica-0", 1, None)
        assert caught.value.permanent
    finally:
        actuator.close()


def test_the_card_and_the_log_belong_to_the_generation(stage, tmp_path):
    one = stage("import os\nprint('up', os.environ['CUDA_VISIBLE_DEVICES'], flush=True)")
    one.start(generation=7, gpu_uuid="GPU-1")

    assert "up GPU-1" in (tmp_path / "logs" / "replica-0" / "7.log").read_text()


def test_a_worker_starts_even_where_it_can_have_no_log(tmp_path):
    (tmp_path / "logs").write_text("a file where the folder should be")
    actuator = ProcessActuator(lambda *_: [sys.executable, "-c", SLEEPER], tmp_path, lambda: None)
    try:
        identity = actuator.start("replica-0", 1, None)
        assert actuator.look(identity).alive
        actuator.kill(identity)
        until("it ended", lambda: not actuator.look(identity).alive, 5)
        actuator.release(identity)
    finally:
        actuator.close()


def test_only_the_last_logs_are_kept(stage, tmp_path):
    one = stage("print('up', flush=True)")
    for generation in range(1, 6):
        one.end(one.start(generation))

    kept = sorted(path.name for path in (tmp_path / "logs" / "replica-0").iterdir())
    assert kept == ["3.log", "4.log", "5.log"]


def test_a_worker_that_no_watchdog_knows_is_ended_and_one_that_is_known_is_not(stage, tmp_path):
    one = stage()
    known, stray = one.start(1), one.start(2)
    two = stage()
    assert two.actuator.adopt(known)

    assert two.actuator.end_strays() == 1

    until("the stray ended", lambda: not one.actuator.look(stray).alive, 5)
    assert two.actuator.look(known).alive
    two.actuator.release(known)


def test_closing_leaves_the_workers_running(stage, tmp_path):
    one = stage()
    identity = one.start()
    one.actuator.close()

    assert identify(identity.pid) is not None
    second = stage()
    assert second.actuator.adopt(identity)
    second.started.append(identity)
    one.started.clear()
    one.actuator = second.actuator
