"""The settings change between two starts: receivers are renamed, removed, or lose their routes."""

from __future__ import annotations

from alerts.outbox import State
from alerts.settings import AlertSettings
from tests.alerts.make import alert, resolved
from tests.alerts.stand import NO, Stand

FIRING, RESOLVED = ("firing", "ReplicaHung"), ("resolved", "ReplicaHung")


def reconfigure(stand: Stand, *names: str, **more) -> None:
    stand.pipeline.stop(1.0)
    stand.settings = AlertSettings.model_validate(
        {
            "receivers": [{"name": name, "type": "memory"} for name in names],
            "timezone": "UTC",
            **more,
        }
    )
    stand.open()


def test_a_renamed_receiver_is_told_what_fires_and_its_end(tmp_path):
    stand = Stand(tmp_path, "old")
    firing = alert()
    stand.pipeline.accept([firing])
    stand.run(5)
    reconfigure(stand, "new")
    stand.run(5)
    stand.pipeline.accept([resolved(firing, stand.clock.now)])
    stand.run(5)

    assert stand.delivered("new") == [FIRING, RESOLVED]


def test_what_waits_for_a_receiver_that_is_gone_is_given_up_and_seen(tmp_path):
    stand = Stand(tmp_path, "old")
    stand.answers["old"] = lambda _: NO
    stand.pipeline.accept([alert()])
    stand.run(5)
    reconfigure(stand, "new")
    stand.run(5)

    (given_up,) = stand.pipeline.desk.outbox(State.FAILED)
    assert given_up.message.receiver == "old"
    assert "old" in given_up.detail
    assert stand.pipeline.desk.outbox(State.PENDING) == []
    assert stand.delivered("new") == [FIRING]


def test_nothing_more_is_written_for_a_receiver_that_is_gone(tmp_path):
    stand = Stand(tmp_path, "old")
    firing = alert()
    stand.pipeline.accept([firing])
    stand.run(5)
    reconfigure(stand, "new")
    stand.run(5 * 3600, step_s=60)
    stand.pipeline.accept([resolved(firing, stand.clock.now)])
    stand.run(60)

    for_old = [e for e in stand.pipeline.desk.outbox() if e.message.receiver == "old"]
    assert [entry.state for entry in for_old] == [State.SENT]
    assert not [key for key in stand.pipeline._ledger.state() if "old" in key[1]]


def test_a_receiver_that_fell_out_of_all_routes_is_still_told_the_end(tmp_path):
    stand = Stand(tmp_path, "oncall", "team")
    firing = alert()
    stand.pipeline.accept([firing])
    stand.run(5)
    reconfigure(stand, "oncall", "team", routes=[{"receivers": ["team"]}])
    stand.run(5)
    stand.pipeline.accept([resolved(firing, stand.clock.now)])
    stand.run(5)

    assert stand.delivered("oncall") == [FIRING, RESOLVED]


def test_a_critical_alert_is_escalated_to_whom_the_settings_name_now(tmp_path):
    route = {"receivers": ["oncall"], "escalate_to": ["boss"], "escalate_after_s": 300}
    stand = Stand(tmp_path, "oncall", "boss", routes=[route])
    stand.pipeline.accept([alert()])
    stand.run(60)
    reconfigure(stand, "oncall", "chief", routes=[{**route, "escalate_to": ["chief"]}])
    stand.run(600, step_s=5)

    assert stand.delivered("chief") == [FIRING]


def test_an_alert_about_a_receiver_that_is_gone_ends(tmp_path):
    stand = Stand(tmp_path, "broken", "fine")
    stand.answers["broken"] = lambda _: NO
    stand.pipeline.accept([alert()])
    stand.run(500, step_s=2)
    reconfigure(stand, "fine")
    stand.run(60)

    assert stand.delivered("fine")[-1] == ("resolved", "AlertDeliveryFailing")
