"""The bundle is installed on a booted systemd; its units do what they promise. Minutes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from deploy.bundle.make import Order, make
from deploy.bundle.wheels import Target
from deploy.config import Config
from deploy.render.host import Site
from tests.waiting import free_port, until

BOOT = Path(__file__).with_name("boot.sh")
PACKAGES = "systemd,systemd-sysv,dbus,python3,procps,logrotate"
PYTHON = "3.11"  # bookworm's

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(1500)]


class Machine:
    """A Debian with systemd as its first process, on this host's network."""

    def __init__(self, root, bundle, port):
        self.port = port
        self.group = f"rankguard-test-{os.getpid()}"
        self.shell = subprocess.Popen([str(BOOT), str(root), self.group, str(bundle)])
        self.init = until("systemd runs", self._first_process, 30)
        until("it has booted", lambda: self.run("systemctl is-system-running") == "running", 120)

    def _first_process(self):
        children = Path(f"/proc/{self.shell.pid}/task/{self.shell.pid}/children").read_text()
        for child in children.split():
            if b"systemd" in Path(f"/proc/{child}/cmdline").read_bytes():
                return int(child)
        return None

    def run(self, command, limit_s=300):
        """What a command says inside; its errors too."""
        done = subprocess.run(
            [
                *("nsenter", "--target", str(self.init), "--mount", "--pid", "--uts", "--ipc"),
                *("--cgroup", "--root", "--wd", "env", "-i", "HOME=/root"),
                *("PATH=/usr/sbin:/usr/bin:/sbin:/bin", "bash", "-c", command),
            ],
            capture_output=True,
            text=True,
            timeout=limit_s,
            check=False,
        )
        return (done.stdout + done.stderr).strip()

    def workers(self):
        return set(self.run("pgrep -f -- '[d]eploy worker'").split())

    def watchdog(self):
        """Its pid once it said that it is ready, else None."""
        if self.run("systemctl is-active rankguard-watchdog") != "active":
            return None
        return self.run("systemctl show --property MainPID --value rankguard-watchdog")

    def rerank(self, number):
        body = {
            "query": f"how tall is the Eiffel tower {number}",
            "documents": ["Bananas.", "330 m"],
        }
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/v1/rerank",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=40) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code
        except OSError as error:
            return str(error)

    def power_off(self):
        os.kill(self.init, signal.SIGKILL)
        self.shell.wait(30)
        for controller in Path("/sys/fs/cgroup").iterdir():
            folders = [path for path in (controller / self.group).rglob("*") if path.is_dir()]
            for folder in (*sorted(folders, reverse=True), controller / self.group):
                if folder.is_dir():
                    folder.rmdir()


class Load(threading.Thread):
    """Requests one after the other until it is told to stop."""

    def __init__(self, machine):
        super().__init__(daemon=True)
        self.machine, self.answers, self.over = machine, [], threading.Event()

    def run(self):
        while not self.over.is_set():
            self.answers.append(self.machine.rerank(len(self.answers)))

    def stop(self):
        self.over.set()
        self.join(60)
        return self.answers


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    for tool in ("debootstrap", "unshare", "nsenter"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not here")
    if os.geteuid() != 0 or not Path("/sys/fs/cgroup/systemd").is_dir():
        pytest.skip("needs root and control groups of version 1 (or hybrid)")
    folder = tmp_path_factory.mktemp("machine")
    root, bundle = folder / "root", folder / "bundle"
    command = ["debootstrap", "--variant=minbase", f"--include={PACKAGES}", "bookworm"]
    done = subprocess.run(
        [*command, str(root)], capture_output=True, text=True, timeout=600, check=False
    )
    if done.returncode != 0:
        pytest.skip(f"no Debian to boot: {done.stdout[-300:]}")
    port, status = free_port(), free_port()
    text = (
        f"[service]\nport = {port}\nstate_dir = '/var/lib/rankguard'\n"
        f"[engine]\nkind = 'embedded'\n[monitor]\nport = {status}\nreplicas = 2\n"
    )
    order = Order(target=Target(PYTHON), config_text=text)
    sections = {
        "service": {"port": port, "state_dir": "/var/lib/rankguard"},
        "monitor": {"port": status},
    }
    make(bundle, Config.model_validate(sections), Site(), order, lambda _text: None)
    running = Machine(root, bundle, port)
    try:
        said = running.run("/bundle/install.sh", 600)
        assert "install: done" in said, said
        until("it serves", lambda: running.rerank(0) == 200, 120)
        yield running
    finally:
        running.power_off()
        shutil.rmtree(root)


def test_units_are_active_and_nothing_runs_as_root(machine):
    until("the watchdog is ready", machine.watchdog, 60)

    users = set(machine.run("ps -o user:20= -p $(pgrep -d, -f '[r]ankguard')").split())

    assert users == {"rankguard"}
    assert machine.run("systemctl --failed --no-legend") == ""


def test_replicas_outlive_every_end_of_the_watchdog_and_no_request_is_lost(machine):
    until("both replicas serve", lambda: len(machine.workers()) == 2, 60)
    before = machine.workers()
    load = Load(machine)
    load.start()

    first = until("the watchdog is ready", machine.watchdog, 60)
    machine.run("systemctl restart rankguard-watchdog")
    second = until("another watchdog is ready", machine.watchdog, 60)
    machine.run(f"kill -KILL {second}")
    third = until("after kill -9", lambda: _other(machine, second), 60)
    machine.run(f"kill -STOP {third}")
    began = time.monotonic()
    until("after it hung", lambda: _other(machine, third), 90)
    took_s = time.monotonic() - began

    answers = load.stop()
    assert machine.workers() == before
    assert len({first, second, third}) == 3
    assert took_s < 60
    assert set(answers) == {200}


def test_a_stopped_target_leaves_no_process_and_no_manifest_and_starts_again(machine):
    machine.run("systemctl stop rankguard.target 'rankguard-*'")

    assert machine.run("pgrep -f '[r]ankguard'") == ""
    assert machine.run("ls /var/lib/rankguard/replicas") == ""
    assert "drained" in machine.run("journalctl --unit rankguard-replicas --output cat")

    machine.run("systemctl start rankguard.target")
    until("it serves again", lambda: machine.rerank(1) == 200, 120)


def _other(machine, old):
    new = machine.watchdog()
    return new if new not in {None, old} else None
