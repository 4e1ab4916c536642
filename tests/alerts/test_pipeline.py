"""The pipeline as a whole, on real SQLite and a real HTTP server."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from alerts.model import Alert, Severity, Status, fingerprint
from alerts.pipeline import Pipeline
from alerts.settings import AlertSettings


def alert(number: int = 1, status: Status = Status.FIRING) -> Alert:
    return Alert(
        id=f"{number}-{status.value}",
        fingerprint=fingerprint("ReplicaHung", "h1", "replica-0", None),
        incident=number,
        name="ReplicaHung",
        severity=Severity.CRITICAL,
        status=status,
        at=1000.0,
        started_at=1000.0,
        host="h1",
        reason="no_progress",
        summary="replica-0 makes no progress",
        replica="replica-0",
        ended_at=1010.0 if status is Status.RESOLVED else None,
    )


class Receiver(ThreadingHTTPServer):
    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.script: list[int] = []
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hook"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server = self.server
        assert isinstance(server, Receiver)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        server.got.append((dict(self.headers.items()), body))
        self.send_response(server.script.pop(0) if server.script else 200)
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def settings(url: str, tmp_path) -> AlertSettings:
    secret = tmp_path / "secret"
    secret.write_text("s3cret\n")
    return AlertSettings.model_validate(
        {
            "receivers": [
                {
                    "name": "oncall",
                    "type": "webhook",
                    "url": url,
                    "secret_file": str(secret),
                    "allow_insecure": True,
                }
            ],
            "routes": [{"receivers": ["oncall"], "group_wait_s": 0}],
        }
    )


def wait_for(condition, seconds: float = 10.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.01)


def test_firing_and_resolved_arrive_once_each_in_order_and_signed(receiver, tmp_path):
    pipeline = Pipeline(settings(receiver.url, tmp_path), tmp_path / "journal.db", host="h1")
    pipeline.start()
    pipeline.accept([alert()])
    pipeline.accept([alert()])
    pipeline.accept([alert(status=Status.RESOLVED)])

    wait_for(lambda: len(receiver.got) == 2)
    pipeline.stop(5.0)

    assert [json.loads(body)["status"] for _, body in receiver.got] == ["firing", "resolved"]
    for headers, body in receiver.got:
        signed = f"{headers['X-Rankguard-Timestamp']}.".encode() + body
        expected = hmac.new(b"s3cret", signed, hashlib.sha256).hexdigest()
        assert headers["X-Rankguard-Signature"] == f"sha256={expected}"
        assert json.loads(body)["version"] == "4"


def test_a_failed_try_is_repeated_with_the_same_key_and_the_next_one_waits(receiver, tmp_path):
    receiver.script = [500, 503]
    pipeline = Pipeline(
        settings(receiver.url, tmp_path), tmp_path / "journal.db", host="h1", jitter=lambda: 0.0
    )
    pipeline.start()
    pipeline.accept([alert(), alert(status=Status.RESOLVED)])

    wait_for(lambda: len(receiver.got) == 4)
    pipeline.stop(5.0)

    keys = [headers["Idempotency-Key"] for headers, _ in receiver.got]
    assert keys[0] == keys[1] == keys[2] != keys[3]


def test_what_was_accepted_by_a_process_that_died_is_sent_by_the_next(receiver, tmp_path):
    first = Pipeline(settings(receiver.url, tmp_path), tmp_path / "journal.db", host="h1")
    first.accept([alert()])

    second = Pipeline(settings(receiver.url, tmp_path), tmp_path / "journal.db", host="h1")
    second.start()
    wait_for(lambda: len(receiver.got) == 1)
    second.stop(5.0)

    assert second.couriers[0].tally.sent == 1
    first.stop(1.0)


def test_the_snapshot_counts_what_waits_and_what_was_given_up(receiver, tmp_path):
    receiver.script = [400, 500]
    pipeline = Pipeline(settings(receiver.url, tmp_path), tmp_path / "journal.db", host="h1")
    pipeline.accept([alert(), replace(alert(2), fingerprint="other", replica="replica-1")])
    pipeline.plan_once()
    pipeline.deliver_once()
    pipeline.deliver_once()

    found = pipeline.snapshot().receivers[0]
    pipeline.stop(1.0)

    assert (found.pending, found.failed, found.sent_total) == (1, 1, 0)
    assert "HTTP 500" in found.last_error
