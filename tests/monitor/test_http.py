"""The probes against a server that answers as it is told, and the watchdog's own server."""

from __future__ import annotations

import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests
from prometheus_client import CollectorRegistry

from monitor.exporter import SnapshotCollector
from monitor.html import PageRenderer
from monitor.inbox import CommandAsked
from monitor.model import CanaryOutcome, Progress, Reason, Unavailable, Why, WorkerState
from monitor.probes.canary import CASES
from monitor.probes.http import HttpProber
from monitor.replica import CommandKind, Replica
from monitor.server import Desk, StatusServer
from monitor.snapshot import ReplicaView, Snapshot
from tests.waiting import free_port

PROGRESS = {
    "generation": 3,
    "state": "ready",
    "completed": 7,
    "failed": 1,
    "in_flight": 2,
    "steps": 9,
    "oldest_in_flight_s": 0.5,
    "last_success_s": None,
    "loading": None,
}


class Worker:
    """Answers every request with the same status and body; None: never."""

    def __init__(self) -> None:
        self.status, self.body, self.asked = 200, PROGRESS, []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self):
                length = int(self.headers.get("Content-Length") or 0)
                outer.asked.append((self.path, self.rfile.read(length)))
                if outer.body is None:
                    time.sleep(0.5)
                    return
                body = outer.body if isinstance(outer.body, bytes) else json.dumps(outer.body)
                raw = body if isinstance(body, bytes) else body.encode()
                self.send_response(outer.status)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            do_GET = do_POST = answer  # noqa: N815 - the names are the library's

            def log_message(self, *args):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def worker():
    made = Worker()
    yield made
    made.close()


@pytest.fixture
def prober():
    made = HttpProber(timeout_s=0.2)
    yield made
    made.close()


def test_progress_is_read(worker, prober):
    assert prober.progress(worker.url) == Progress(3, WorkerState.READY, 7, 1, 2, 9, 0.5, None)


def test_what_was_added_to_progress_later_is_read_where_it_is_there(worker, prober):
    worker.body = {**PROGRESS, "unscored": 3, "prefix_looked_up": 90, "prefix_found": 60}

    found = prober.progress(worker.url)

    assert (found.unscored, found.prefix_looked_up, found.prefix_found) == (3, 90, 60)


@pytest.mark.parametrize(
    ("status", "body", "why"),
    [
        pytest.param(200, None, Why.TIMED_OUT, id="no answer"),
        pytest.param(500, {}, Why.NOT_ANSWERING, id="an error"),
        pytest.param(200, b"<html>", Why.MALFORMED, id="no JSON"),
        pytest.param(200, {"state": "ready"}, Why.MALFORMED, id="fields are missing"),
        pytest.param(200, {**PROGRESS, "state": "asleep"}, Why.MALFORMED, id="an unknown state"),
    ],
)
def test_a_progress_that_cannot_be_had_says_why(worker, prober, status, body, why):
    worker.status, worker.body = status, body

    found = prober.progress(worker.url)

    assert isinstance(found, Unavailable)
    assert found.why is why


def test_nobody_listening_is_a_value_too(prober):
    assert prober.progress(f"http://127.0.0.1:{free_port()}").why is Why.NOT_ANSWERING


def test_a_canary_asks_every_case_through_the_scoring_path(worker, prober):
    worker.body = {"scores": [{"logit": 2.0, "tokens": 3}, {"logit": -2.0, "tokens": 3}]}

    result = prober.canary(worker.url, 3)

    assert result.outcome is CanaryOutcome.PASSED
    assert set(result.logits) == {case.name for case in CASES}
    assert {path for path, _ in worker.asked} == {"/score"}
    assert all(json.loads(body)["canary"] is True for _, body in worker.asked)


@pytest.mark.parametrize(
    ("status", "body", "outcome", "reason"),
    [
        pytest.param(503, {}, CanaryOutcome.REFUSED, Reason.CANARY_ERROR, id="draining"),
        pytest.param(504, {}, CanaryOutcome.TIMED_OUT, Reason.CANARY_ERROR, id="deadline"),
        pytest.param(200, None, CanaryOutcome.TIMED_OUT, Reason.CANARY_ERROR, id="no answer"),
        pytest.param(500, {}, CanaryOutcome.ERROR, Reason.CANARY_ERROR, id="engine failed"),
        pytest.param(
            200, {"results": []}, CanaryOutcome.WRONG, Reason.CANARY_INVALID, id="other shape"
        ),
        pytest.param(
            200,
            {"scores": [{"logit": 0.0, "tokens": 1, "error": "NaN"}, {"logit": 1, "tokens": 1}]},
            CanaryOutcome.WRONG,
            Reason.CANARY_INVALID,
            id="a document without a score",
        ),
    ],
)
def test_a_canary_that_fails_says_how(worker, prober, status, body, *, outcome, reason):
    worker.status, worker.body = status, body

    result = prober.canary(worker.url, 3)

    assert (result.outcome, result.reason) == (outcome, reason)
    assert len(worker.asked) == 1  # the first failure ends the run


class Watchdog:
    def __init__(self, folder):
        self.commands = []
        self.snapshot = Snapshot(
            at=time.time(), started_at=0.0, replicas=(ReplicaView(Replica("replica-0")),)
        )
        registry = CollectorRegistry()
        registry.register(SnapshotCollector(lambda: self.snapshot, time.time))
        desk = Desk(
            latest=lambda: self.snapshot,
            command=self.commands.append,
            registry=registry,
            journal=folder / "journal.db",
            now=time.time,
            page=PageRenderer(),
            runbooks=folder / "runbooks",
        )
        self.server = StatusServer("127.0.0.1", 0, desk)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.port}"

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def watchdog(tmp_path):
    made = Watchdog(tmp_path)
    yield made
    made.close()


ASK = {"X-Rankguard-Operator": "test"}


@pytest.mark.parametrize(
    ("path", "status", "kind"),
    [
        ("/", 200, "text/html"),
        ("/status", 200, "application/json"),
        ("/metrics", 200, "text/plain"),
        ("/livez", 200, "application/json"),
        ("/readyz", 503, "application/json"),
        ("/nothing", 404, "application/json"),
    ],
)
def test_every_path_answers(watchdog, path, status, kind):
    answer = requests.get(f"{watchdog.url}{path}", timeout=5)

    assert answer.status_code == status
    assert answer.headers["Content-Type"].startswith(kind)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_runbook_is_readable_without_internet(watchdog, tmp_path):
    (tmp_path / "runbooks").mkdir()
    (tmp_path / "runbooks" / "ReplicaHung.md").write_text("# Étapes\n")

    answer = requests.get(f"{watchdog.url}/runbooks/ReplicaHung.md", timeout=5)

    assert answer.content.decode() == "# Étapes\n"
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("name", ["Nothing.md", "..%2fsecret.md", "../secret.md", "secret", ""])
def test_no_other_file_is_served_as_a_runbook(watchdog, tmp_path, name):
    (tmp_path / "runbooks").mkdir()
    (tmp_path / "secret.md").write_text("s")
    (tmp_path / "runbooks" / "secret").write_text("s")
    with socket.create_connection(("127.0.0.1", watchdog.server.port), timeout=5) as raw:
        raw.sendall(f"GET /runbooks/{name} HTTP/1.0\r\n\r\n".encode())  # as it is: no client tidies
        status = raw.makefile("rb").readline()

    assert b" 404 " in status


def test_before_the_first_round_it_is_starting(watchdog):
    watchdog.snapshot = None

    assert requests.get(f"{watchdog.url}/status", timeout=5).status_code == 503
    assert requests.get(f"{watchdog.url}/metrics", timeout=5).status_code == 200


def test_a_loop_that_stands_still_is_not_alive(watchdog):
    watchdog.snapshot = Snapshot(at=time.time() - 60, started_at=0.0)

    assert requests.get(f"{watchdog.url}/livez", timeout=5).status_code == 503


def test_a_command_is_passed_on(watchdog):
    url = f"{watchdog.url}/api/replicas/replica-0/drain"
    answer = requests.post(url, headers=ASK, json={"hours": 0.5}, timeout=5)

    assert answer.status_code == 202
    [asked] = watchdog.commands
    assert isinstance(asked, CommandAsked)
    assert asked.command.kind is CommandKind.DRAIN
    assert asked.command.for_s == 1800


@pytest.mark.parametrize(
    ("path", "headers", "body", "status"),
    [
        pytest.param("replicas/replica-0/drain", {}, b"", 403, id="no header: a browser's form"),
        pytest.param(
            "replicas/replica-0/drain", {**ASK, "Host": "evil.example"}, b"", 403, id="rebound name"
        ),
        pytest.param("replicas/replica-9/drain", ASK, b"", 404, id="no such replica"),
        pytest.param("replicas/replica-0/explode", ASK, b"", 404, id="no such command"),
        pytest.param("gpus/GPU-1/cordon", ASK, b"", 404, id="no such card"),
        pytest.param("else", ASK, b"", 404, id="no such thing"),
        pytest.param("replicas/replica-0/drain", ASK, b"{", 400, id="no JSON"),
        pytest.param("replicas/replica-0/drain", ASK, b"[]", 400, id="no object"),
        pytest.param("replicas/replica-0/drain", ASK, b'{"for_s": -1}', 400, id="negative"),
        pytest.param("replicas/replica-0/drain", ASK, b'{"for_s": true}', 400, id="no number"),
        pytest.param("replicas/replica-0/drain", ASK, b" " * 5000, 400, id="too large"),
    ],
)
def test_a_command_that_is_not_one_changes_nothing(watchdog, path, headers, body, status):
    answer = requests.post(f"{watchdog.url}/api/{path}", headers=headers, data=body, timeout=5)

    assert answer.status_code == status
    assert "error" in answer.json()
    assert watchdog.commands == []
