"""Replicas and the watchdog die, hang and restart under load: no request is lost.

Bounds here are generous; what was measured is in docs/measurements.md.
"""

from __future__ import annotations

import os
import signal
import time

import pytest
import requests

from service.manifest import WorkerState
from service.process import started_ticks
from tests.e2e.stack import RIGHT, Load, stack
from tests.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
REQUESTS = 300


@pytest.fixture
def two(tmp_path):
    with stack(tmp_path, replicas=2, document_s=0.004, load_s=0.5) as running:
        running.start("watchdog", "watch", "--stop-replicas-on-exit")
        running.start("gateway", "serve")
        running.wait_ready(replicas=2)
        yield running


def replaced(running, before):
    now = running.manifest(before.id)
    return now and now.generation > before.generation and now.state is WorkerState.READY and now


@pytest.mark.parametrize(
    ("number", "name", "limit_s"),
    [
        pytest.param(signal.SIGKILL, "ReplicaDead", 2.0, id="killed"),
        pytest.param(signal.SIGSTOP, "ReplicaHung", 8.0, id="stopped"),
    ],
)
def test_one_of_two_replicas_goes_under_load_and_nothing_is_lost(two, number, name, limit_s):
    load = Load(two)
    load.at_least(50)
    victim = two.manifest("replica-0")
    os.kill(victim.pid, number)

    until("the replica is replaced", lambda: replaced(two, victim), 30)
    load.at_least(REQUESTS)
    wrong = load.stop()
    until("two healthy replicas", lambda: two.routable() == 2, 30)
    until("firing and resolved", lambda: len(two.webhook.received) >= 2, 15)
    incidents = two.incidents()

    assert wrong == []
    assert len(load.answers) >= REQUESTS
    assert [item["name"] for item in incidents] == [name]
    assert incidents[0]["detected_s"] < limit_s
    assert incidents[0]["recovered_s"] < 20
    assert incidents[0]["status"] == "resolved"
    told = [(item.name, item.status) for item in two.webhook.received]
    assert told == [(name, "firing"), (name, "resolved")]
    assert started_ticks(victim.pid) != victim.started_ticks


def test_the_watchdog_is_killed_under_load_and_its_successor_adopts_the_workers(two):
    load = Load(two)
    load.at_least(50)
    before = two.manifests()
    two.processes["watchdog"].kill()
    two.processes["watchdog"].wait(5)
    load.at_least(len(load.answers) + 50)

    two.start("watchdog", "watch", "--stop-replicas-on-exit")
    until("the watchdog is back", lambda: two.routable() == 2, 20)
    load.at_least(REQUESTS)
    time.sleep(2.5)  # more than a canary period: the successor has looked for itself

    assert load.stop() == []
    assert [(m.pid, m.generation) for m in two.manifests()] == [
        (m.pid, m.generation) for m in before
    ]
    assert two.incidents() == []
    assert two.webhook.received == []


def test_a_replica_that_scores_wrong_is_closed_and_replaced(two):
    before = {manifest.id: manifest.generation for manifest in two.manifests()}
    two.script(fault="wrong")
    until("an incident", two.incidents, 15)
    # either replica may be the first that is found, and only a second canary condemns it
    condemned = two.incidents()[0]["replica"]
    until("it is replaced", lambda: newer(two, condemned, before[condemned]), 30)
    two.script(fault="none")
    until("two healthy replicas again", lambda: two.routable() == 2, 40)

    assert {incident["name"] for incident in two.incidents()} == {"ReplicaWrong"}


def test_a_replica_that_gives_users_no_number_is_found_between_two_canaries(tmp_path):
    """The next canary of its own would come after ten minutes."""
    with stack(tmp_path, canary_s=600.0) as running:
        running.start("watchdog", "watch", "--stop-replicas-on-exit")
        running.start("gateway", "serve")
        running.wait_ready()
        before = running.manifest("replica-0")
        running.script(fault="nan")
        answer = running.rerank()
        until("an incident", running.incidents, 20)
        running.script(fault="none")
        until("it is replaced", lambda: replaced(running, before), 30)

        assert [result["error"] for result in answer.json()["results"]] == [
            "the model returned NaN"
        ] * 2
        (incident,) = running.incidents()
        assert (incident["name"], incident["reason"]) == ("ReplicaWrong", "canary_invalid")


def test_a_document_that_never_scores_costs_no_restart(tmp_path):
    with stack(tmp_path, canary_s=600.0) as running:
        running.start("watchdog", "watch", "--stop-replicas-on-exit")
        running.start("gateway", "serve")
        running.wait_ready()
        before, canaries = running.manifest("replica-0"), passed_canaries(running)
        running.script(unscorable="cursed")
        answer = running.rerank(documents=["a cursed page", RIGHT])
        until("a canary looked", lambda: passed_canaries(running) == canaries + 1, 20)
        running.wait_healthy()

        assert [result.get("error") for result in answer.json()["results"]] == [
            None,
            "the model returned NaN",
        ]
        assert running.manifest("replica-0").generation == before.generation
        assert running.incidents() == []


def passed_canaries(running):
    text = requests.get(f"{running.watchdog_url}/metrics", timeout=5).text
    (line,) = (
        line
        for line in text.splitlines()
        if line.startswith("rankguard_canary_runs_total") and 'outcome="passed"' in line
    )
    return float(line.split()[-1])


def newer(stack, replica, generation):
    return any(m.id == replica and m.generation > generation for m in stack.manifests())


def test_the_only_replica_is_killed_and_its_requests_wait(tmp_path):
    with stack(tmp_path, replicas=1, document_s=0.004, load_s=1.0) as running:
        running.start("watchdog", "watch", "--stop-replicas-on-exit")
        running.start("gateway", "serve")
        running.wait_ready()
        load = Load(running)
        load.at_least(50)
        victim = running.manifest("replica-0")
        os.kill(victim.pid, signal.SIGKILL)

        until("the replica is replaced", lambda: replaced(running, victim), 30)
        load.at_least(len(load.answers) + 100)

        assert load.stop() == []


def test_a_saturated_replica_is_left_alone(tmp_path):
    """Requests queue for longer than any hung limit (2.5 s), and nothing is restarted."""
    with stack(tmp_path, replicas=1, document_s=0.2) as running:
        running.start("watchdog", "watch", "--stop-replicas-on-exit")
        running.start("gateway", "serve")
        running.wait_ready()
        before = running.manifests()
        load = Load(running, clients=6, documents=10)
        load.at_least(6)  # a round of all clients: the last of them waited for 12 s
        seen = running.status()
        wrong = load.stop()

        assert wrong == []
        assert [(m.pid, m.generation) for m in running.manifests()] == [
            (m.pid, m.generation) for m in before
        ]
        assert running.incidents() == []
        assert seen["replicas"][0]["restarts"] == 0
