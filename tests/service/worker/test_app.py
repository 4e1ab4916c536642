"""The worker as a real process: HTTP, manifest, drain, guardian."""

from __future__ import annotations

import os
import signal
import socket
import threading

import psutil
import pytest
import requests

from service.manifest import WorkerState
from service.process import started_ticks
from tests.service.worker.running import worker
from tests.waiting import until

pytestmark = pytest.mark.e2e


def test_it_scores_in_order_and_counts(tmp_path):
    with worker(tmp_path) as running:
        manifest = running.wait_state(WorkerState.READY)
        answer = running.score("red fox", "blue whale", "a red fox", "red car")
        progress = running.progress()

    logits = [item["logit"] for item in answer.json()["scores"]]
    assert logits[1] > logits[2] > logits[0]
    assert (progress["completed"], progress["in_flight"], progress["steps"]) == (3, 0, 3)
    assert manifest.pid == progress["pid"]
    assert manifest.started_ticks > 0


def test_it_counts_the_documents_of_users_that_got_no_finite_score(tmp_path):
    with worker(tmp_path) as running:
        running.wait_state(WorkerState.READY)
        running.act(unscorable="broken")
        answer = running.score("red fox", "a red fox", "a broken fox", "broken")
        probe = running.score("red fox", "broken", canary=True)
        progress = running.progress()

    errors = [item.get("error") for item in answer.json()["scores"]]
    assert errors == [None, "the model returned NaN", "the model returned NaN"]
    assert probe.ok
    assert (progress["unscored"], progress["completed"], progress["failed"]) == (2, 4, 0)


def test_it_is_loading_with_a_step_and_takes_no_work_until_it_is_ready(tmp_path):
    with worker(tmp_path, load_s=1.0) as running:
        running.wait_state(WorkerState.LOADING)
        refused = running.score("q", "d")
        step = until("a load step", lambda: running.progress()["loading"]["done"])
        running.wait_state(WorkerState.READY)

        assert refused.status_code == 503
        assert refused.json()["error"]["code"] == "no_capacity"
        assert 0 < step < 1
        assert running.progress()["loading"] is None


@pytest.mark.parametrize(
    ("body", "param"),
    [
        pytest.param(b"{", None, id="not JSON"),
        pytest.param(b"[]", "body", id="not an object"),
        pytest.param(b'{"documents": ["d"]}', "query", id="no query"),
        pytest.param(b'{"query": "q", "documents": []}', "documents", id="no documents"),
        pytest.param(b'{"query": "q", "documents": ["a", 1]}', "documents[1]", id="a number"),
    ],
)
def test_it_names_the_field_that_is_wrong(tmp_path, body, param):
    with worker(tmp_path) as running:
        url = running.wait_state(WorkerState.READY).url
        answer = requests.post(f"{url}/score", data=body, timeout=5)

    assert answer.status_code in (400, 422)
    assert answer.json()["error"]["param"] == param


def test_a_job_past_its_time_is_given_up_and_counted_as_failed(tmp_path):
    with worker(tmp_path) as running:
        running.wait_state(WorkerState.READY)
        running.act(fault="hang")
        answer = running.score("q", "d", timeout_s=0.2)
        progress = running.progress()

    assert answer.status_code == 504
    assert (progress["failed"], progress["in_flight"]) == (1, 0)


def test_a_caller_that_hangs_up_takes_its_work_along(tmp_path):
    with worker(tmp_path) as running:
        url = running.wait_state(WorkerState.READY).url
        running.act(fault="hang")
        port = int(url.rpartition(":")[2])
        body = b'{"query": "q", "documents": ["d"], "timeout_s": 60}'
        with socket.create_connection(("127.0.0.1", port)) as client:
            head = f"POST /score HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
            client.sendall(head.encode() + body)
            until("the job is in flight", lambda: running.progress()["in_flight"] == 1)

        until("the job is gone", lambda: running.progress()["in_flight"] == 0)


def test_an_engine_error_is_a_500_that_shows_no_trace(tmp_path):
    with worker(tmp_path) as running:
        running.wait_state(WorkerState.READY)
        running.act(fault="error")
        answer = running.score("q", "d")

    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "engine_failed"


def test_it_drains_what_is_in_flight_and_leaves_nothing(tmp_path):
    with worker(tmp_path, document_s=0.1) as running:
        running.wait_state(WorkerState.READY)
        answers = []
        asking = threading.Thread(
            target=lambda: answers.append(running.score("q", *("d" * 5), timeout_s=10))
        )
        asking.start()
        until("the job is in flight", lambda: running.progress()["in_flight"] == 5)
        running.process.send_signal(signal.SIGTERM)
        running.wait_state(WorkerState.DRAINING)
        refused = running.score("q", "d")
        asking.join(5)

        assert running.process.wait(5) == 0
        assert refused.status_code == 503
        assert len(answers[0].json()["scores"]) == 5
        assert running.manifest is None


def test_a_failed_start_leaves_its_cause_in_the_manifest(tmp_path):
    with worker(tmp_path, start_error="no such model") as running:
        code = running.process.wait(10)

        assert code == 75
        assert running.manifest.state is WorkerState.FAILED
        assert (running.manifest.reason, running.manifest.exit_code) == ("no such model", 75)


def test_nothing_of_a_killed_worker_outlives_it(tmp_path):
    with worker(tmp_path) as running:
        running.wait_state(WorkerState.READY)
        guardian = until(
            "a guardian", lambda: psutil.Process(running.process.pid).children(recursive=True)
        )
        os.kill(running.process.pid, signal.SIGKILL)
        running.process.wait(5)

        until("the guardian is gone", lambda: not any(map(alive, guardian)))


def alive(process: psutil.Process) -> bool:
    return started_ticks(process.pid) is not None and process.status() != psutil.STATUS_ZOMBIE
