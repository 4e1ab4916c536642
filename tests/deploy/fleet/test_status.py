from __future__ import annotations

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from deploy.fleet.status import HostState, HostStatus, addresses, overall, to_json
from tests.waiting import free_port


def replica(*, routable=True, pid=1, reason="healthy"):
    return {"id": "replica-0", "routable": routable, "pid": pid, "reason": reason, "model": "m"}


SERVING = replica()
BROKEN = replica(routable=False, reason="hung")
EMPTY = replica(routable=False, pid=None, reason="observing")
WAITING = replica(routable=False, pid=None, reason="awaiting_gpus")


def host(*replicas, state="healthy", **more):
    return HostStatus("gpu-1:9400", {"state": state, "replicas": list(replicas), **more})


GONE = HostStatus("gpu-2:9400", None, "nothing listens")


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        pytest.param(host(SERVING, SERVING), HostState.HEALTHY, id="every replica serves"),
        pytest.param(host(SERVING, BROKEN), HostState.DEGRADED, id="one of two does"),
        pytest.param(host(BROKEN, state="down"), HostState.DOWN, id="none does"),
        pytest.param(host(WAITING, state="starting"), HostState.STARTING, id="none does yet"),
        pytest.param(host(SERVING, EMPTY, state="degraded"), HostState.HEALTHY, id="a free name"),
        pytest.param(host(EMPTY, EMPTY, state="starting"), HostState.IDLE, id="only free names"),
        pytest.param(host(state="down"), HostState.DOWN, id="no replica is known at all"),
        pytest.param(GONE, HostState.UNREACHABLE, id="no watchdog"),
    ],
)
def test_a_host_in_one_word(status, expected):
    assert status.state is expected


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [
        pytest.param([host(SERVING), host(SERVING)], HostState.HEALTHY, id="all serve"),
        pytest.param([host(SERVING), host(EMPTY)], HostState.HEALTHY, id="the other has no work"),
        pytest.param([host(SERVING), GONE], HostState.DEGRADED, id="one cannot be seen"),
        pytest.param([host(SERVING, BROKEN)], HostState.DEGRADED, id="one serves in part"),
        pytest.param([host(BROKEN), GONE], HostState.DOWN, id="nothing serves"),
        pytest.param([host(EMPTY)], HostState.DOWN, id="nothing is there"),
        pytest.param(
            [host(WAITING, state="starting")], HostState.STARTING, id="everything is starting"
        ),
    ],
)
def test_the_fleet_in_one_word(hosts, expected):
    assert overall(hosts) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gpu-1", ["gpu-1:9400"]),
        ("gpu-1, gpu-2:9401,", ["gpu-1:9400", "gpu-2:9401"]),
        ("[fd00::1],[fd00::2]:9401", ["[fd00::1]:9400", "[fd00::2]:9401"]),
        (" ", []),
    ],
)
def test_addresses(text, expected):
    assert addresses(text) == expected


def test_what_cannot_be_asked_is_in_the_json_with_the_reason():
    body = to_json([host(SERVING), GONE])

    assert [one["state"] for one in body["hosts"]] == ["healthy", "unreachable"]
    assert body["hosts"][1]["problem"] == "nothing listens"
    assert body["hosts"][1]["status"] is None


@pytest.fixture
def watchdog():
    """Answers /status as a watchdog does."""
    incident = {
        "id": 1,
        "name": "GpuThermal",
        "severity": "warning",
        "status": "firing",
        "started_at": 1_800_000_000.0,
        "reason": "thermal",
        "replica": None,
        "gpu_uuid": "GPU-1",
    }
    body = json.dumps(host(SERVING, gpus=[{"state": "ok"}], incidents=[incident]).status)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            assert self.path == "/status"
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_arguments):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def command(*arguments, folder):
    return subprocess.run(
        [sys.executable, "-m", "deploy", "status", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": "", "HOME": str(folder), "COLUMNS": "160"},
    )


def test_one_table_has_all_hosts_their_incidents_and_who_does_not_answer(watchdog, tmp_path):
    nobody = f"127.0.0.1:{free_port()}"

    done = command("--hosts", f"{watchdog},{nobody}", folder=tmp_path)

    assert done.returncode == 1
    assert "2 hosts: degraded" in done.stdout
    assert "GpuThermal" in done.stdout
    assert f"{nobody}: nothing listens" in done.stdout


def test_the_hosts_may_stand_in_the_configuration(watchdog, tmp_path):
    config = tmp_path / "rankguard.toml"
    config.write_text(f'[fleet]\nhosts = ["{watchdog}"]\n')

    done = command("--hosts", "all", "--json", "--config", str(config), folder=tmp_path)

    assert done.returncode == 0, done.stderr
    assert [one["host"] for one in json.loads(done.stdout)["hosts"]] == [watchdog]


def test_all_hosts_of_none_is_a_wrong_use(tmp_path):
    done = command("--hosts", "all", folder=tmp_path)

    assert done.returncode == 2
    assert "[fleet] hosts" in done.stderr
