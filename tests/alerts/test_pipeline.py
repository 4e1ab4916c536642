"""The pipeline as a whole, on real SQLite and a real HTTP server."""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from alerts.model import Alert, Severity, Status, fingerprint
from alerts.pipeline import Pipeline
from alerts.settings import AlertSettings
from tests.alerts.vendor import Reply, Vendor, playing, wait_for


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


@pytest.fixture
def receiver() -> Iterator[Vendor]:
    with playing() as server:
        yield server


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


def test_firing_and_resolved_arrive_once_each_in_order_and_signed(receiver, tmp_path):
    pipeline = Pipeline(settings(receiver.url(), tmp_path), tmp_path / "journal.db", host="h1")
    pipeline.start()
    pipeline.accept([alert()])
    pipeline.accept([alert()])
    pipeline.accept([alert(status=Status.RESOLVED)])

    wait_for(lambda: len(receiver.got) == 2)
    pipeline.stop(5.0)

    assert [request.json["status"] for request in receiver.got] == ["firing", "resolved"]
    for request in receiver.got:
        signed = f"{request.headers['x-rankguard-timestamp']}.".encode() + request.body
        expected = hmac.new(b"s3cret", signed, hashlib.sha256).hexdigest()
        assert request.headers["x-rankguard-signature"] == f"sha256={expected}"
        assert request.json["version"] == "4"


def test_a_failed_try_is_repeated_with_the_same_key_and_the_next_one_waits(receiver, tmp_path):
    receiver.script = [Reply(500), Reply(503)]
    pipeline = Pipeline(
        settings(receiver.url(), tmp_path), tmp_path / "journal.db", host="h1", jitter=lambda: 0.0
    )
    pipeline.start()
    pipeline.accept([alert(), alert(status=Status.RESOLVED)])

    wait_for(lambda: len(receiver.got) == 4)
    pipeline.stop(5.0)

    keys = [request.headers["idempotency-key"] for request in receiver.got]
    assert keys[0] == keys[1] == keys[2] != keys[3]


def test_what_was_accepted_by_a_process_that_died_is_sent_by_the_next(receiver, tmp_path):
    first = Pipeline(settings(receiver.url(), tmp_path), tmp_path / "journal.db", host="h1")
    first.accept([alert()])

    second = Pipeline(settings(receiver.url(), tmp_path), tmp_path / "journal.db", host="h1")
    second.start()
    wait_for(lambda: len(receiver.got) == 1)
    second.stop(5.0)

    assert second.couriers[0].tally.sent == 1
    first.stop(1.0)


def test_the_snapshot_counts_what_waits_and_what_was_given_up(receiver, tmp_path):
    receiver.script = [Reply(400), Reply(500)]
    pipeline = Pipeline(settings(receiver.url(), tmp_path), tmp_path / "journal.db", host="h1")
    pipeline.accept([alert(), replace(alert(2), fingerprint="other", replica="replica-1")])
    pipeline.plan_once()
    pipeline.deliver_once()
    pipeline.deliver_once()

    found = pipeline.snapshot().receivers[0]
    pipeline.stop(1.0)

    assert (found.pending, found.failed, found.sent_total) == (1, 1, 0)
    assert "HTTP 500" in found.last_error


def test_a_receiver_that_hangs_holds_up_neither_the_others_nor_the_stop(receiver, tmp_path):
    with playing(Reply(hang=True)) as hanging:
        given = AlertSettings.model_validate(
            {
                "receivers": [
                    {
                        "name": name,
                        "type": "webhook",
                        "url": url,
                        "allow_insecure": True,
                        "timeout_s": 30,
                    }
                    for name, url in (("hangs", hanging.url()), ("works", receiver.url()))
                ],
                "routes": [{"receivers": ["hangs", "works"], "group_wait_s": 0}],
            }
        )
        pipeline = Pipeline(given, tmp_path / "journal.db", host="h1")
        pipeline.start()
        pipeline.accept([alert()])
        wait_for(lambda: receiver.got and hanging.got)
        pipeline.accept([alert(status=Status.RESOLVED)])
        wait_for(lambda: len(receiver.got) == 2)

        began = time.monotonic()
        pipeline.stop(0.2)
        assert time.monotonic() - began < 2.0
        assert {each.name: each.pending for each in pipeline.snapshot().receivers} == {
            "hangs": 2,
            "works": 0,
        }


def test_a_snapshot_after_the_stop_is_the_last_one(receiver, tmp_path):
    pipeline = Pipeline(settings(receiver.url(), tmp_path), tmp_path / "journal.db", host="h1")
    before = pipeline.snapshot()
    pipeline.stop(1.0)

    assert pipeline.snapshot() == before
