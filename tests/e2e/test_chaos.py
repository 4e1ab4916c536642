"""`rankguard chaos` against a running stack."""

from __future__ import annotations

import json

import pytest
import requests

from tests.e2e.stack import stack

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


def test_it_hurts_a_replica_and_reports_detection_and_recovery(tmp_path):
    with stack(tmp_path, replicas=2) as running:
        running.start("watchdog", "watch", "--stop-replicas-on-exit")
        running.start("gateway", "serve")
        running.wait_ready(replicas=2)

        done = running.cli("chaos", "--all", "--yes", "--json", "--limit-s", "40")

        outcomes = json.loads(done.stdout)
        # the scripted engine has no process of its own, and nobody would start this watchdog again
        assert [item["fault"] for item in outcomes] == ["kill", "crash", "hang", "pause", "starve"]
        hurt = [item for item in outcomes if item["must_act"]]
        assert [item["name"] for item in hurt] == ["ReplicaDead", "ReplicaDead", "ReplicaHung"]
        assert all(item["detected_s"] < 10 for item in hurt), outcomes
        assert all(item["recovered_s"] > 0 for item in hurt), outcomes


def test_a_watchdog_that_is_killed_under_up_comes_back_and_touches_nobody(tmp_path):
    with stack(tmp_path) as running:
        running.start("up", "up")
        running.wait_ready()

        done = running.cli("chaos", "watchdog", "--yes")

        assert done.returncode == 0, done.stderr
        assert "nothing was done" in done.stdout


def test_what_this_host_does_not_have_is_said(tmp_path):
    with stack(tmp_path) as running:
        running.start("watchdog", "watch")
        running.wait_healthy()

        core = running.cli("chaos", "engine-kill", "--yes")
        watchdog = running.cli("chaos", "watchdog", "--yes")

        assert (core.returncode, watchdog.returncode) == (1, 1)
        assert "has no process of its own" in core.stderr
        assert "nobody would start the watchdog again" in watchdog.stderr


def test_it_says_when_there_is_nothing_to_hurt(tmp_path):
    with stack(tmp_path) as running:
        done = running.cli("chaos", "kill", "--yes")

        assert done.returncode == 1
        assert "no replica is ready here" in done.stderr


def test_a_silence_by_api_is_seen_by_the_command(tmp_path):
    with stack(tmp_path, replicas=2) as running:
        running.start("watchdog", "watch", "--stop-replicas-on-exit")
        running.wait_healthy(2)
        body = {"matchers": ["replica=replica-9"], "duration": "1h", "author": "a", "comment": "c"}
        url = f"{running.watchdog_url}/api/silences"
        refused = requests.post(url, json=body, timeout=5)
        made = requests.post(url, json=body, headers={"X-Rankguard-Operator": "test"}, timeout=5)

        assert refused.status_code == 403
        assert made.status_code == 201
        assert requests.get(url, timeout=5).json()["silences"] == [made.json()["silence"]]
        assert "replica-9" in running.cli("alerts", "silence", "list").stdout
