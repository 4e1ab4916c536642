"""`rankguard up` from a terminal's point of view."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading

import psutil
import pytest
import requests

from service.process import started_ticks
from tests.e2e.stack import stack
from tests.waiting import until

pytestmark = pytest.mark.e2e


def gone(manifests) -> bool:
    return all(started_ticks(m.pid) != m.started_ticks for m in manifests)


def test_ctrl_c_drains_and_leaves_nothing(tmp_path):
    with stack(tmp_path, replicas=2, document_s=0.2) as running:
        process = running.start("up", "up")
        running.wait_ready(replicas=2)
        manifests = running.manifests()
        answers = []
        body = {"documents": ["a", "b", "c", "d"]}
        asking = threading.Thread(target=lambda: answers.append(running.rerank(**body)))
        asking.start()
        until("it is in flight", lambda: in_flight(running))
        process.send_signal(signal.SIGINT)
        asking.join(10)

        assert process.wait(20) == 0
        assert answers[0].status_code == 200
        # the kernel keeps an ended one's entry until who inherited it has asked
        until("no worker is left", lambda: gone(manifests))
        assert running.manifests() == []
        assert "stopped" in running.log("up")


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL], ids=["drained", "killed"])
def test_it_starts_again_on_the_directory_that_it_left(tmp_path, end):
    with stack(tmp_path) as running:
        for name in ("first", "second"):
            process = running.start(name, "up")
            running.wait_ready()
            assert running.rerank().status_code == 200
            process.send_signal(end)
            process.wait(20)
            until("the gateway is gone", lambda: not running.is_ready(), 20)

        assert running.incidents() == []


def test_a_second_ctrl_c_forces(tmp_path):
    with stack(tmp_path) as running:
        process = running.start("up", "up")
        running.wait_ready()
        manifests = running.manifests()
        running.script(fault="hang")
        asking = threading.Thread(target=lambda: suppress_errors(running.rerank))
        asking.start()
        until("a job hangs", lambda: in_flight(running))
        process.send_signal(signal.SIGINT)
        until("it drains", lambda: "stopping" in running.log("up"))
        process.send_signal(signal.SIGINT)

        assert process.wait(10) == 130
        until("no worker is left", lambda: gone(manifests))
        assert running.manifests() == []
        asking.join(5)


def test_killing_up_itself_leaves_nothing(tmp_path):
    with stack(tmp_path) as running:
        process = running.start("up", "up")
        running.wait_ready()
        manifests = running.manifests()
        os.kill(process.pid, signal.SIGKILL)
        process.wait(5)

        until("the workers are gone", lambda: gone(manifests), 20)
        until("the gateway is gone", lambda: not running.is_ready(), 20)


@pytest.mark.parametrize("which", ["gateway_port", "watchdog_port"])
def test_a_taken_port_is_named_and_exit_code_2(tmp_path, which):
    with stack(tmp_path) as running, socket.socket() as squatter:
        squatter.bind(("127.0.0.1", getattr(running, which)))
        squatter.listen()
        process = running.start("up", "up")

        assert process.wait(15) == 2
        assert f":{getattr(running, which)} cannot be bound" in running.log("up")
        assert f"pid {os.getpid()}" in running.log("up")


def test_a_state_directory_that_cannot_be_written_is_named_and_exit_code_2(tmp_path):
    with stack(tmp_path) as running:
        running.state_dir.write_text("a file, where a folder is needed")
        process = running.start("up", "up")

        assert process.wait(15) == 2
        assert f"{running.state_dir} cannot be written" in running.log("up")


def test_a_second_up_on_the_same_directory_is_refused_with_exit_code_2(tmp_path):
    with stack(tmp_path) as running:
        running.start("up", "up")
        running.wait_ready()
        other = running.folder / "other.toml"
        other.write_text(
            running.config.read_text()
            .replace(str(running.gateway_port), "0")
            .replace(str(running.watchdog_port), "0")
        )
        config, running_config = other, running.config
        second = running.command("up")
        second[second.index(str(running_config))] = str(config)
        done = subprocess.run(second, capture_output=True, text=True, timeout=30, check=False)

        assert done.returncode == 2
        assert "already runs" in done.stderr
        assert running.is_ready()


def test_it_starts_a_killed_gateway_and_a_killed_watchdog_again(tmp_path):
    with stack(tmp_path) as running:
        running.start("up", "up")
        running.wait_ready()
        before = running.manifests()
        for name in ("serve", "watch"):
            os.kill(child(running, name), signal.SIGKILL)
        until("both are back", lambda: running.is_ready() and running.routable() == 1, 20)

        assert [m.pid for m in running.manifests()] == [m.pid for m in before]
        assert running.rerank().status_code == 200


def child(running, name: str) -> int:
    for process in psutil.Process(running.processes["up"].pid).children():
        if name in process.cmdline():
            return process.pid
    raise AssertionError(name)


def in_flight(running) -> bool:
    urls = [f"{manifest.url}/progress" for manifest in running.manifests()]
    return any(requests.get(url, timeout=2).json()["in_flight"] > 0 for url in urls)


def suppress_errors(call) -> None:
    with contextlib.suppress(requests.RequestException):
        call()
