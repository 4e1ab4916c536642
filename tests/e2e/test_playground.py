"""`up` starts the playground, says where it is, and outlives it."""

from __future__ import annotations

import contextlib
import os
import signal

import psutil
import pytest
import requests

from tests.e2e.stack import stack
from tests.waiting import free_port, until

pytest.importorskip("gradio", reason="the extra ui is not installed")
pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(300)]
START_S = 120.0


def settings(port: int) -> dict[str, str]:
    return {"RANKGUARD_UI__ENABLED": "auto", "RANKGUARD_UI__PORT": str(port)}


def playground(running) -> psutil.Process | None:
    for process in psutil.Process(running.processes["up"].pid).children():
        with contextlib.suppress(psutil.Error):  # it may just have ended
            if "ui" in process.cmdline():
                return process
    return None


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.RequestException:
        return False


def test_up_opens_it_says_where_and_keeps_it_alive_and_it_ends_with_up(tmp_path):
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    with stack(tmp_path, environment=settings(port)) as running:
        up = running.start("up", "up")
        running.wait_ready()
        until("the page opens", lambda: answers(url), START_S)
        first = playground(running)
        os.kill(first.pid, signal.SIGKILL)
        until("it is another process", lambda: playground(running) not in (None, first), 20)

        assert running.rerank().status_code == 200
        assert url in running.log("up")
        until("the page opens again", lambda: answers(url), START_S)
        last = playground(running)
        up.send_signal(signal.SIGINT)
        assert up.wait(30) == 0
        assert not last.is_running()
        assert running.incidents() == []


def test_a_playground_that_cannot_start_is_told_and_all_else_goes_on(tmp_path):
    port = free_port()
    missing = {"RANKGUARD_UI__API_KEY_FILE": str(tmp_path / "missing")}
    with stack(tmp_path, environment={**settings(port), **missing}) as running:
        running.start("up", "up")
        running.wait_ready()
        until("it is told", lambda: "the playground cannot start" in running.log("up"), START_S)

        assert "missing: No such file" in running.log("up")
        assert running.rerank().status_code == 200
        assert playground(running) is None
