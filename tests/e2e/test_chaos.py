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
        assert [item["fault"] for item in outcomes] == ["kill", "crash", "hang"]
        assert [item["name"] for item in outcomes] == ["ReplicaDead", "ReplicaDead", "ReplicaHung"]
        assert all(item["detected_s"] < 10 for item in outcomes), outcomes
        assert all(item["recovered_s"] > 0 for item in outcomes), outcomes


def test_it_says_when_there_is_nothing_to_hurt(tmp_path):
    with stack(tmp_path) as running:
        done = running.cli("chaos", "kill", "--yes")

        assert done.returncode == 1
        assert "no such ready replica" in done.stderr


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
