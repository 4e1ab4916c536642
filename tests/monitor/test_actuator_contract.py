"""What every actuator promises, on real processes; systemctl and the docker daemon are fakes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from monitor.actuators.docker import DockerActuator
from monitor.actuators.process import ProcessActuator
from monitor.actuators.systemd import SystemdActuator
from monitor.model import Identity
from monitor.ports import ActuatorError
from monitor.probes.process import boot_id, identify
from tests.waiting import until

SCRIPT = (
    "import subprocess, sys, time\n"
    "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
    "time.sleep(60)"
)


class Spawned:
    """A process group that stands in for what systemd or docker runs."""

    def __init__(self):
        self.child = subprocess.Popen([sys.executable, "-c", SCRIPT], start_new_session=True)

    @property
    def pid(self):
        return self.child.pid

    def running(self):
        return self.child.poll() is None

    def kill_all(self, number):
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            return
        if number == signal.SIGKILL:
            self.child.wait(5)


class FakeSystemctl:
    """Answers as systemctl does, for one unit."""

    def __init__(self):
        self.spawned = None
        self.missing = False
        self.calls = []

    def __call__(self, arguments):
        self.calls.append(list(arguments))
        code, text, error = getattr(self, f"on_{arguments[0].replace('-', '_')}")(arguments)
        return subprocess.CompletedProcess(arguments, code, text, error)

    def on_reset_failed(self, _):
        return 0, "", ""

    def on_start(self, _):
        if self.missing:
            return 5, "", "Unit rankguard-worker@replica-0.service not found."
        self.spawned = Spawned()
        return 0, "", ""

    def on_kill(self, arguments):
        number = signal.SIGKILL if "--signal=KILL" in arguments else signal.SIGTERM
        if "--kill-who=main" in arguments:
            os.kill(self.spawned.pid, number)
        else:
            self.spawned.kill_all(number)
        return 0, "", ""

    def on_show(self, _):
        if self.spawned is None:
            return 0, "ActiveState=inactive\nMainPID=0\n", ""
        code = self.spawned.child.poll()
        pid = self.spawned.pid
        if code is None:
            return 0, f"ActiveState=active\nMainPID={pid}\nExecMainPID={pid}\n", ""
        how, status = (2, -code) if code < 0 else (1, code)
        text = f"ActiveState=failed\nMainPID=0\nExecMainPID={pid}\n"
        return 0, f"{text}ExecMainCode={how}\nExecMainStatus={status}\n", ""

    def clear(self):
        if self.spawned is not None:
            self.spawned.kill_all(signal.SIGKILL)


class FakeContainer:
    id = "c0ffee"

    def __init__(self):
        self.spawned = None
        self.attrs = {"State": {}}
        self.reload()

    def reload(self):
        code = None if self.spawned is None else self.spawned.child.poll()
        running = self.spawned is not None and code is None
        self.attrs = {
            "State": {
                "Running": running,
                "Pid": self.spawned.pid if running else 0,
                "ExitCode": 128 - code if code is not None and code < 0 else code or 0,
            }
        }

    def start(self):
        self.spawned = Spawned()

    def kill(self, signal):
        import signal as numbers

        self.spawned.kill_all(getattr(numbers, signal))


class FakeContainers:
    def __init__(self):
        self.container = FakeContainer()
        self.missing = False

    def labelled(self, label):
        self.container.reload()
        return [] if self.missing else [self.container]

    def clear(self):
        if self.container.spawned is not None:
            self.container.spawned.kill_all(signal.SIGKILL)


class Stage:
    """One actuator, what it woke, and how its command is made to be missing."""

    def __init__(self, kind, folder):
        self.woken = threading.Event()
        self.folder = folder
        self.outside = None
        if kind == "process":
            self.argv = [sys.executable, "-c", SCRIPT]
            self.actuator = ProcessActuator(lambda *_: self.argv, folder, self.woken.set)
        elif kind == "systemd":
            self.outside = FakeSystemctl()
            self.actuator = SystemdActuator(
                "rankguard-worker@{id}.service", folder / "run", self.woken.set, self.outside
            )
        else:
            self.outside = FakeContainers()
            self.actuator = DockerActuator(
                self.outside, "rankguard.replica", folder, self.woken.set
            )

    def lose_command(self):
        if self.outside is None:
            self.argv = ["/nowhere/worker"]
        else:
            self.outside.missing = True


@pytest.fixture(params=["process", "systemd", "docker"])
def stage(request, tmp_path):
    one = Stage(request.param, tmp_path)
    yield one
    if one.outside is not None:
        one.outside.clear()
    one.actuator.close()


def ended(stage, identity):
    until("it ended", lambda: not stage.actuator.look(identity).alive, 5)
    until("nothing is left", lambda: stage.actuator.leftovers(identity) == 0, 5)
    sample = stage.actuator.look(identity)
    stage.actuator.release(identity)
    return sample


def test_what_is_started_is_alive_and_ends_when_it_is_killed(stage):
    identity = stage.actuator.start("replica-0", 1, None)
    assert stage.actuator.look(identity).alive
    assert identity == identify(identity.pid)

    stage.actuator.kill(identity)

    assert ended(stage, identity).exit_code == 137


def test_it_ends_when_it_is_asked_to(stage):
    identity = stage.actuator.start("replica-0", 1, None)
    time.sleep(0.05)
    stage.actuator.terminate(identity)

    assert ended(stage, identity).exit_code == 128 + signal.SIGTERM


def test_an_end_from_outside_wakes_the_loop(stage):
    identity = stage.actuator.start("replica-0", 1, None)
    os.kill(identity.pid, signal.SIGKILL)

    assert stage.woken.wait(2.0)
    ended(stage, identity)


def test_asking_twice_is_harmless(stage):
    identity = stage.actuator.start("replica-0", 1, None)
    for _ in range(2):
        stage.actuator.kill(identity)
    ended(stage, identity)
    stage.actuator.kill(identity)
    stage.actuator.terminate(identity)
    stage.actuator.release(identity)

    assert stage.actuator.leftovers(identity) == 0


def test_it_can_be_started_again(stage):
    first = stage.actuator.start("replica-0", 1, None)
    stage.actuator.kill(first)
    ended(stage, first)
    second = stage.actuator.start("replica-0", 2, "GPU-1")

    assert second != first
    assert stage.actuator.look(second).alive
    assert not stage.actuator.look(first).alive
    stage.actuator.kill(second)
    ended(stage, second)


def test_what_is_not_there_cannot_be_started_however_often(stage):
    stage.lose_command()

    with pytest.raises(ActuatorError) as caught:
        stage.actuator.start("replica-0", 1, None)
    assert caught.value.permanent


def test_a_stranger_is_neither_adopted_nor_touched(stage):
    me = Identity(os.getpid(), 1, boot_id())

    assert not stage.actuator.adopt(me)
    stage.actuator.kill(me)
    stage.actuator.terminate(me)
    assert stage.actuator.leftovers(me) == 0


@pytest.mark.parametrize("stage", ["systemd", "docker"], indirect=True)
def test_generation_and_card_are_told_through_a_file(stage):
    identity = stage.actuator.start("replica-0", 7, "GPU-1")
    folder = "run" if isinstance(stage.outside, FakeSystemctl) else "orders"

    text = (stage.folder / folder / "replica-0.env").read_text()

    assert "RANKGUARD_GENERATION=7\n" in text
    assert "RANKGUARD_GPU=GPU-1\n" in text
    stage.actuator.kill(identity)
    ended(stage, identity)
