"""A state directory on a full disk: who starts waits for room, and needs no other restart."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess

import pytest

from tests.monitor.stand import Stand
from tests.waiting import until

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk"),
]
_SIZE = 4 * 2**20


@pytest.fixture
def small(tmp_path):
    """A watchdog whose state directory is a disk of four megabytes."""
    one = Stand(tmp_path)
    one.state_dir.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_SIZE}", "none", str(one.state_dir)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting is not allowed here")
    yield one
    one.clear()
    subprocess.run(["umount", "-l", str(one.state_dir)], check=True)


def fill(folder) -> None:
    with contextlib.suppress(OSError), (folder / "filler").open("wb", 0) as filler:
        while True:
            filler.write(bytes(4096))


def incident(one, name) -> dict | None:
    return next((item for item in one.status().get("incidents", []) if item["name"] == name), None)


def test_a_worker_that_starts_on_a_full_disk_serves_as_soon_as_there_is_room(small):
    small.start()
    small.wait_healthy()
    first = small.manifest()
    fill(small.state_dir)
    os.kill(first.identity.pid, signal.SIGKILL)

    found = until("it is told of", lambda: incident(small, "StateDiskFull"), 20)
    replica = small.status()["replicas"][0]
    (small.state_dir / "filler").unlink()
    small.wait_healthy()

    assert (found["reason"], found["severity"]) == ("state_disk", "critical")
    assert "No space left on device" in found["summary"]
    assert replica["generation"] == 2
    assert not replica["routable"]
    assert small.manifest().generation == 2  # it was not restarted
    until("it is over", lambda: incident(small, "StateDiskFull") is None, 10)
    assert small.stop() == 0


def test_a_watchdog_that_comes_back_on_a_full_disk_watches(small):
    small.start(stop_replicas=False)
    small.wait_healthy()
    before = small.manifest()
    fill(small.state_dir)
    small.stop(signal.SIGKILL)

    small.start()
    small.wait_healthy()

    assert small.manifest().identity == before.identity
