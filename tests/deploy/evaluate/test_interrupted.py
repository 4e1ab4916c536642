import os
import signal
import subprocess
import sys
import time

import pytest

from tests.deploy.evaluate.server import Endpoint, serving


def command(url, folder):
    return [
        sys.executable, "-m", "deploy", "eval", "--url", url, "--pair", "en:fr", "--queries", "0",
        "--concurrency", "1", "-o", str(folder),
    ]  # fmt: skip


def answered(folder):
    file = folder / "answers.jsonl"
    return len(file.read_text().splitlines()) if file.exists() else 0


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("stop", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_a_run_that_was_stopped_is_finished_by_the_same_command(tmp_path, stop, code):
    """1. start, 2. stop it after some answers, 3. the same command asks only for the rest."""
    with serving(Endpoint(delay_s=0.2)) as server:
        first = subprocess.Popen(
            command(server.url, tmp_path), stderr=subprocess.PIPE, env=dict(os.environ, TERM="dumb")
        )
        deadline = time.monotonic() + 60
        while answered(tmp_path) < 5 and time.monotonic() < deadline:
            time.sleep(0.02)
        first.send_signal(stop)
        _, said = first.communicate(timeout=30)
        kept = answered(tmp_path)
        server.delay_s = 0
        server.bodies.clear()
        second = subprocess.run(
            command(server.url, tmp_path), capture_output=True, timeout=60, check=False
        )
    assert first.returncode == code
    assert b"Traceback" not in said
    assert 5 <= kept < 30
    assert second.returncode == 0, second.stderr
    assert len(server.bodies) == 30 - kept
    assert answered(tmp_path) == 30
