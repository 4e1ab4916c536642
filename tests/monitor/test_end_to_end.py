"""The whole watchdog as a process over real workers with the scripted engine."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading

import pytest

from monitor.probes.process import exists
from tests.monitor.stand import Stand
from tests.waiting import until

pytestmark = pytest.mark.e2e


@pytest.fixture
def stand(tmp_path):
    made = []

    def make(**settings):
        made.append(Stand(tmp_path, **settings))
        return made[-1]

    yield make
    for one in made:
        one.clear()


def replaced(one, before, replica="replica-0"):
    now = one.manifest(replica)
    return now is not None and now.generation > before.generation and one.healthy()


@pytest.mark.parametrize(
    ("number", "name", "limit_s"),
    [
        pytest.param(signal.SIGKILL, "ReplicaDead", 1.0, id="killed"),
        pytest.param(signal.SIGSTOP, "ReplicaHung", 5.0, id="stopped"),
    ],
)
def test_a_replica_that_goes_is_replaced_and_told_of_once(stand, number, name, limit_s):
    one = stand(replicas=2)
    one.start()
    one.wait_healthy(2)
    victim = one.manifest()
    os.kill(victim.identity.pid, number)

    until("it is replaced", lambda: replaced(one, victim), 20)
    incidents = until("the incident is over", one.resolved, 10)

    assert [(item["name"], item["replica"]) for item in incidents] == [(name, "replica-0")]
    assert incidents[0]["detected_s"] < limit_s
    assert one.manifest("replica-1").generation == 1
    assert one.verdict()["routable"]
    assert f'rankguard_incidents_total{{name="{name}"}} 1.0' in one.metrics()
    assert one.stop() == 0
    assert one.board.manifests() == []


def test_an_engine_that_hangs_while_http_answers_is_replaced(stand):
    one = stand()
    one.start()
    one.wait_healthy()
    victim = one.manifest()
    one.script(fault="hang")
    clients = [threading.Thread(target=_score_quietly, args=(one,)) for _ in range(2)]
    for client in clients:
        client.start()

    incidents = until("an incident", one.incidents, 10)
    one.script(fault="none")
    until("it is replaced", lambda: replaced(one, victim), 20)

    assert incidents[0]["name"] == "ReplicaHung"
    assert incidents[0]["reason"] == "no_progress"
    assert incidents[0]["detected_s"] < 5.0
    for client in clients:
        client.join(10)


def _score_quietly(one):
    try:
        one.score()
    except OSError:
        return


def test_an_engine_that_is_slow_and_saturated_is_left_alone(stand):
    one = stand(stall_s=1.0)
    one.start()
    one.wait_healthy()
    before = one.manifest()
    one.script(document_s=0.4)
    clients = [threading.Thread(target=_score_quietly, args=(one,)) for _ in range(6)]
    for client in clients:
        client.start()
    for client in clients:
        client.join(30)

    assert one.manifest().identity == before.identity
    assert one.incidents() == []


def test_wrong_scores_close_the_replica_before_it_is_replaced(stand):
    one = stand(canary_s=0.5)
    one.start()
    one.wait_healthy()
    victim = one.manifest()
    one.script(fault="wrong")
    until("it is closed", lambda: not one.verdict()["routable"], 5)
    incidents = until("an incident", one.incidents, 5)
    one.script(fault="none")
    until("it is replaced", lambda: replaced(one, victim), 20)

    assert incidents[0]["name"] == "ReplicaWrong"


def test_a_killed_watchdog_is_followed_by_one_that_adopts(stand):
    one = stand(replicas=2)
    one.start()
    one.wait_healthy(2)
    before = [manifest.identity for manifest in one.board.manifests()]
    one.stop(signal.SIGKILL)
    assert one.verdict()["routable"]

    one.start()
    one.wait_healthy(2)
    until("it looked for itself", lambda: one.status()["watchdog"]["ticks"] > 3, 10)

    assert [manifest.identity for manifest in one.board.manifests()] == before
    assert one.incidents() == []
    assert one.stop() == 0
    assert [
        exists(identity) for identity in before if (stat := exists(identity)) and stat.state != "Z"
    ] == []


def test_what_died_while_nobody_watched_is_an_incident_like_any_other(stand):
    one = stand()
    one.start()
    one.wait_healthy()
    victim = one.manifest()
    one.stop(signal.SIGKILL)
    os.kill(victim.identity.pid, signal.SIGKILL)

    one.start()
    until("it is replaced", lambda: replaced(one, victim), 20)

    incidents = until("the incident is over", one.resolved, 10)
    assert [item["name"] for item in incidents] == ["ReplicaDead"]


def test_an_incident_that_was_open_when_the_watchdog_died_ends_under_the_next(stand):
    one = stand(worker=["--load-s", "2.0"])
    one.start()
    one.wait_healthy()
    os.kill(one.manifest().identity.pid, signal.SIGKILL)
    until("an incident", one.incidents, 5)
    one.stop(signal.SIGKILL)

    one.start()
    incidents = until("the incident is over", one.resolved, 20)

    assert [item["name"] for item in incidents] == ["ReplicaDead"]


def test_workers_go_on_when_the_watchdog_is_stopped_without_them(stand):
    one = stand()
    one.start(stop_replicas=False)
    one.wait_healthy()
    before = one.manifest()

    assert one.stop() == 0
    assert exists(before.identity) is not None
    assert one.verdict()["routable"]


def test_a_start_that_fails_is_given_up_and_paged(stand):
    one = stand(worker=["--start-error", "no such model"], backoff_s=0.05)
    one.start()

    until("it is given up", lambda: len(one.incidents()) == 2, 20)

    assert {item["name"] for item in one.incidents()} == {"ReplicaStartFailed", "ReplicaCrashLoop"}
    assert one.incidents()[0]["severity"] == "critical"
    assert "no such model" in one.incidents()[1]["summary"]
    until("the page says so", lambda: one.status()["replicas"][0]["state"] == "failed", 5)


def test_operators_drain_and_restart(stand):
    one = stand()
    one.start()
    one.wait_healthy()
    assert one.command_replica("replica-0", "restart").status_code == 202
    until("it was restarted", lambda: one.healthy() and one.manifest().generation == 2, 20)
    assert one.command_replica("replica-0", "drain").status_code == 202
    until("it is drained", lambda: one.status()["replicas"][0]["state"] == "drained", 10)
    assert one.manifest() is None
    assert one.command_replica("replica-0", "undrain").status_code == 202
    one.wait_healthy()

    assert one.incidents() == []
    assert one.command_replica("replica-9", "drain").status_code == 404
    assert one.command_replica("replica-0", "drain", Host="evil.example").status_code == 403


def test_a_reload_takes_up_what_is_valid_and_tells_of_what_is_not(stand, tmp_path):
    one = stand()
    one.start()
    one.wait_healthy()
    file = tmp_path / "settings.json"
    file.write_text('{"stall_s": "long"}')
    one.process.send_signal(signal.SIGHUP)
    until("it is told", lambda: [i["name"] for i in one.incidents()] == ["WatchdogConfigInvalid"])

    file.write_text('{"stall_s": 9.0, "replicas": 2}')
    one.process.send_signal(signal.SIGHUP)
    until("it is over", one.resolved, 10)

    until("the new size is taken up", lambda: one.healthy(2), 20)
    assert one.manifest().generation == 1


def test_it_says_why_it_cannot_start(stand, tmp_path):
    one = stand()
    one.start()
    one.wait_healthy()
    second = subprocess.run(one.command(), capture_output=True, text=True, timeout=20, check=False)
    assert second.returncode == 2
    assert f"a watchdog (pid {one.process.pid}) already holds" in second.stderr

    with socket.create_server(("127.0.0.1", 0)) as taken:
        other = Stand(tmp_path / "other", port=taken.getsockname()[1])
        refused = subprocess.run(
            other.command(), capture_output=True, text=True, timeout=20, check=False
        )
    assert refused.returncode == 2
    assert "cannot listen" in refused.stderr

    (tmp_path / "file").write_text("")
    nowhere = Stand(tmp_path / "file")
    refused = subprocess.run(
        nowhere.command(), capture_output=True, text=True, timeout=20, check=False
    )
    assert refused.returncode == 2
    assert "state directory" in refused.stderr
