"""The dead man's switch beats while the watchdog is healthy, and only then."""

from __future__ import annotations

from alerts.pipeline import Pipeline
from alerts.settings import AlertSettings
from tests.alerts.make import START, Clock
from tests.alerts.vendor import Reply, playing, wait_for


def settings(url: str) -> AlertSettings:
    return AlertSettings.model_validate(
        {
            "receivers": [
                {"name": "am", "type": "alertmanager", "urls": [url], "allow_insecure": True}
            ],
            "heartbeat": {
                "url": f"{url}/ping/token-1",
                "allow_insecure": True,
                "interval_s": 1,
            },
        }
    )


def test_it_pings_and_sends_the_watchdog_alert_while_healthy(tmp_path):
    with playing(Reply(200)) as vendor:
        healthy = [True]
        pipeline = Pipeline(
            settings(vendor.url("")),
            tmp_path / "journal.db",
            host="gpu-1",
            clock=Clock(),
            healthy=lambda: healthy[0],
        )
        assert pipeline.beat_once()
        assert pipeline.snapshot().heartbeat == "delivered"
        healthy[0] = False
        assert not pipeline.beat_once()
        assert pipeline.snapshot().heartbeat == ""
        pipeline.stop(1)
        ping, alive = vendor.got

    assert (ping.method, ping.path) == ("GET", "/ping/token-1")
    (body,) = alive.json
    assert body["labels"]["alertname"] == "Watchdog"
    assert body["startsAt"].startswith("2026-09-21T14:13:20")
    assert body["endsAt"] > body["startsAt"]
    assert START


def test_a_heartbeat_that_fails_is_shown_without_its_url(tmp_path, caplog):
    with playing(Reply(500)) as vendor:
        pipeline = Pipeline(settings(vendor.url("")), tmp_path / "journal.db", host="gpu-1")
        pipeline.beat_once()
        shown = pipeline.snapshot()
        pipeline.stop(1)

    assert shown.heartbeat == "retry"
    assert "token-1" not in caplog.text


def test_it_beats_by_itself_once_started(tmp_path):
    with playing(Reply(200)) as vendor:
        pipeline = Pipeline(settings(vendor.url("")), tmp_path / "journal.db", host="gpu-1")
        pipeline.start()
        wait_for(lambda: len(vendor.got) >= 2)
        pipeline.stop(5)


def test_without_a_url_and_alertmanager_there_is_none(tmp_path):
    pipeline = Pipeline(AlertSettings(), tmp_path / "journal.db", host="gpu-1")

    assert not pipeline.beat_once()
    pipeline.stop(1)


def test_it_stops_when_nobody_would_be_told_anything(tmp_path, monkeypatch):
    monkeypatch.setattr("alerts.pipeline.STUCK_S", 0.3)
    monkeypatch.setattr("alerts.pipeline.PLAN_IDLE_S", 0.02)
    broken = []

    def unplanned(limit):
        if broken:
            raise MemoryError
        return []

    with playing(Reply(200)) as vendor:
        pipeline = Pipeline(settings(vendor.url("")), tmp_path / "journal.db", host="gpu-1")
        monkeypatch.setattr(pipeline._ledger, "unplanned", unplanned)
        pipeline.start()
        wait_for(pipeline.beat_once)
        broken.append(True)
        wait_for(lambda: not pipeline.beat_once())
        notice = pipeline.snapshot().notice
        pipeline.stop(5)

    assert notice == "the planner stands still"


def test_a_beat_that_works_does_not_hide_one_that_fails(tmp_path):
    with playing(Reply(200)) as vendor:
        vendor.script = [Reply(500)]
        pipeline = Pipeline(settings(vendor.url("")), tmp_path / "journal.db", host="gpu-1")
        pipeline.beat_once()
        shown = pipeline.snapshot().heartbeat
        pipeline.stop(1)

    assert shown == "retry"
