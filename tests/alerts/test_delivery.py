"""Outbox, couriers and the database together, over time and through failures."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
from dataclasses import replace

import pytest

from alerts.database import Database
from alerts.labels import MatcherError
from alerts.message import Kind
from alerts.model import Severity
from alerts.outbox import State
from alerts.silence import SilenceError
from tests.alerts.make import GPU, alert, resolved
from tests.alerts.stand import BAD, NO, Stand

FIRING, RESOLVED = ("firing", "ReplicaHung"), ("resolved", "ReplicaHung")


def test_the_same_transition_given_twice_is_told_once(tmp_path):
    stand = Stand(tmp_path)
    firing = alert()

    stand.pipeline.accept([firing, firing])
    stand.run(10)
    stand.pipeline.accept([firing])
    stand.run(10)

    assert stand.delivered() == [FIRING]


def test_an_outage_of_half_an_hour_loses_nothing_and_keeps_the_order(tmp_path):
    stand = Stand(tmp_path)
    stand.answers["oncall"] = lambda _: NO
    for number in range(20):
        firing = alert(replica=f"replica-{number}", incident=number, at=stand.clock.now)
        stand.pipeline.accept([firing])
        stand.run(45, step_s=5)
        stand.pipeline.accept([resolved(firing, stand.clock.now)])
        stand.run(45, step_s=5)

    stand.answers.clear()
    stand.run(400, step_s=5)

    for number in range(20):
        of_one = [
            m.status.value
            for m in stand.senders["oncall"].delivered
            if m.alerts[0].replica == f"replica-{number}"
        ]
        assert of_one == ["firing", "resolved"]
    assert len(stand.senders["oncall"].tried) < 120


def test_a_receiver_that_fails_is_probed_and_not_stormed(tmp_path):
    stand = Stand(tmp_path)
    stand.answers["oncall"] = lambda _: NO
    stand.pipeline.accept([alert(replica=f"r-{n}", incident=n) for n in range(200)])

    stand.run(600, step_s=5)

    assert len(stand.senders["oncall"].tried) < 25
    assert stand.pipeline.snapshot().receivers[0].circuit in {"open", "half_open"}
    assert stand.pipeline.snapshot().receivers[0].pending >= 200


def test_one_receiver_that_fails_holds_up_no_other(tmp_path):
    stand = Stand(tmp_path, "broken", "fine")
    stand.answers["broken"] = lambda _: NO
    stand.pipeline.accept([alert()])

    stand.run(10)

    assert stand.delivered("fine") == [FIRING]
    assert stand.delivered("broken") == []


def test_a_message_that_is_refused_is_kept_to_be_seen_and_holds_up_no_other(tmp_path):
    stand = Stand(tmp_path)
    stand.answers["oncall"] = lambda m: BAD if m.alerts[0].replica == "bad" else _yes()
    stand.pipeline.accept([alert(replica="bad"), alert(replica="good", incident=2)])

    stand.run(10)

    (failed,) = stand.pipeline.desk.outbox(State.FAILED)
    assert failed.message.alerts[0].replica == "bad"
    assert [m.alerts[0].replica for m in stand.senders["oncall"].delivered] == ["good"]
    assert stand.pipeline.snapshot().receivers[0].failed == 1

    stand.answers.clear()
    assert stand.pipeline.desk.retry(failed.message.key)
    stand.run(5)
    assert stand.senders["oncall"].delivered[-1].key == failed.message.key


def _yes():
    from tests.alerts.stand import YES

    return YES


def test_a_sender_with_a_fault_of_ours_is_a_refused_message(tmp_path):
    stand = Stand(tmp_path)

    def fault(message):
        raise ZeroDivisionError

    stand.answers["oncall"] = fault
    stand.pipeline.accept([alert()])
    stand.run(5)

    (failed,) = stand.pipeline.desk.outbox(State.FAILED)
    assert "ZeroDivisionError" in failed.detail


def test_the_end_waits_for_its_beginning(tmp_path):
    stand = Stand(tmp_path)
    stand.answers["oncall"] = lambda m: NO if m.status.value == "firing" else _yes()
    firing = alert()
    stand.pipeline.accept([firing])
    stand.run(5)
    stand.pipeline.accept([resolved(firing, stand.clock.now)])
    stand.run(120, step_s=5)
    assert stand.delivered() == []

    stand.answers.clear()
    stand.run(120, step_s=5)
    assert stand.delivered() == [FIRING, RESOLVED]


def test_a_fallback_stands_in_and_is_told_the_end_as_well(tmp_path):
    stand = Stand(tmp_path, "oncall", "mail", oncall={"fallback": "mail"}, routes=[
        {"receivers": ["oncall"]}])  # fmt: skip
    stand.answers["oncall"] = lambda _: NO
    firing = alert()
    stand.pipeline.accept([firing])

    stand.run(50)
    early = stand.delivered("mail")
    stand.run(120)
    late = stand.delivered("mail")
    note = stand.senders["mail"].delivered[0].note
    stand.answers.clear()
    stand.run(120)
    stand.pipeline.accept([resolved(firing, stand.clock.now)])
    stand.run(30)

    assert (early, late, note) == ([], [FIRING], "stands_in:oncall")
    assert stand.delivered("mail") == [FIRING, RESOLVED]
    assert stand.delivered("oncall") == [FIRING, RESOLVED]


def test_two_receivers_that_stand_in_for_each_other_do_not_pass_it_back_and_forth(tmp_path):
    stand = Stand(tmp_path, "a", "b", a={"fallback": "b"}, b={"fallback": "a"})
    stand.answers["a"] = stand.answers["b"] = lambda _: NO
    stand.pipeline.accept([alert()])

    stand.run(3600, step_s=10)

    assert len(stand.pipeline.desk.outbox(limit=1000)) <= 6  # 2 own, 2 twins, 2 about delivery


def test_a_receiver_that_fails_for_long_is_told_to_the_others_and_its_end_too(tmp_path):
    stand = Stand(tmp_path, "broken", "fine")
    stand.answers["broken"] = lambda _: NO
    firing = alert()
    stand.pipeline.accept([firing])
    stand.run(500, step_s=2)
    stand.answers.clear()
    stand.run(120, step_s=2)

    assert stand.delivered("fine") == [
        FIRING,
        ("firing", "AlertDeliveryFailing"),
        ("resolved", "AlertDeliveryFailing"),
    ]
    assert stand.delivered("broken") == [FIRING]


def test_late_messages_to_people_come_as_one_digest_and_what_still_fires_by_itself(tmp_path):
    stand = Stand(tmp_path, oncall={"digest_after_s": 900})
    stand.answers["oncall"] = lambda _: NO
    for number in range(10):
        firing = alert(replica=f"replica-{number}", incident=number, at=stand.clock.now)
        stand.pipeline.accept([firing])
        stand.run(20, step_s=5)
        if number != 7:
            stand.pipeline.accept([resolved(firing, stand.clock.now)])
        stand.run(20, step_s=5)
    stand.run(1500, step_s=5)

    stand.answers.clear()
    stand.run(200, step_s=5)

    got = list(stand.senders["oncall"].delivered)
    digests = [m for m in got if m.kind is Kind.DIGEST]
    alone = [m for m in got if m.kind is Kind.NOTIFY]
    assert len(digests) == 1
    told = {a.replica for m in got for a in m.alerts}
    assert told == {f"replica-{n}" for n in range(10)}
    assert any(m.alerts[0].replica == "replica-7" and m.status.value == "firing" for m in alone)
    assert len(alone) <= 3
    assert stand.pipeline.snapshot().receivers[0].pending == 0


def test_a_message_older_than_three_days_expires_and_is_seen(tmp_path):
    stand = Stand(tmp_path)
    stand.answers["oncall"] = lambda _: NO
    stand.pipeline.accept([alert()])
    stand.run(3 * 86400 + 7200, step_s=600)

    assert stand.pipeline.desk.outbox(State.EXPIRED)


def test_the_clock_set_back_an_hour_delays_nothing(tmp_path):
    stand = Stand(tmp_path)
    stand.answers["oncall"] = lambda _: NO
    stand.pipeline.accept([alert()])
    stand.run(30)
    stand.clock.pass_s(-7200)
    stand.answers.clear()

    stand.run(120)

    assert stand.delivered() == [FIRING]


# what people order


def test_a_silence_made_by_a_command_holds_and_ends_early(tmp_path):
    stand = Stand(tmp_path)
    from alerts.desk import Desk, SilenceRequest

    other = Database(tmp_path / "journal.db")
    command = Desk(other, stand.clock)
    made = command.silence(SilenceRequest(["host=gpu-1"], 3600, "ann", "moving the rack"))
    stand.pipeline.accept([alert()])
    stand.run(30)
    assert stand.delivered() == []
    assert stand.pipeline.snapshot().silences == 1

    assert command.expire_silence(made.id[:5])
    assert not command.expire_silence(made.id)
    stand.run(10)
    assert stand.delivered() == [FIRING]
    assert [each.id for each in command.silences(ended=True)] == [made.id]
    other.close()


@pytest.mark.parametrize(
    ("matchers", "maintenance", "error"),
    [([], False, SilenceError), (["nonsense"], False, MatcherError), ([], True, None)],
)
def test_a_silence_of_everything_must_be_meant(matchers, maintenance, error, tmp_path):
    from alerts.desk import SilenceRequest

    stand = Stand(tmp_path)
    wanted = SilenceRequest(matchers, 60, "ann", "why", maintenance=maintenance)
    if error is None:
        assert stand.pipeline.desk.silence(wanted).is_maintenance
    else:
        with pytest.raises(error):
            stand.pipeline.desk.silence(wanted)


def test_an_acknowledgement_stops_escalation_and_repeats(tmp_path):
    stand = Stand(
        tmp_path,
        "oncall",
        "boss",
        routes=[
            {
                "receivers": ["oncall"],
                "escalate_to": ["boss"],
                "escalate_after_s": 300,
                "repeat_interval_s": 600,
            }
        ],
    )
    stand.pipeline.accept([alert(incident=7)])
    stand.run(60)

    assert stand.pipeline.acknowledge(8, author="ann") == []
    taken = stand.pipeline.acknowledge(7, author="ann", comment="on it")
    stand.run(3600, step_s=10)

    assert [each.name for each in taken] == ["ReplicaHung"]
    assert [m.kind for m in stand.senders["oncall"].delivered] == [Kind.NOTIFY, Kind.ACKNOWLEDGE]
    assert stand.senders["boss"].delivered == type(stand.senders["boss"].delivered)()


def test_taking_an_incident_takes_what_came_in_the_same_message(tmp_path):
    stand = Stand(tmp_path)
    stand.pipeline.accept(
        [
            alert("ReplicaHung", gpu_uuid=GPU, incident=1),
            alert("GpuThermal", replica=None, gpu_uuid=GPU, incident=2),
            alert("ReplicaHung", replica="replica-1", incident=3),
        ]
    )
    stand.run(10)
    taken = stand.pipeline.acknowledge(2, author="ann")
    stand.run(10)

    assert sorted(each.incident for each in taken) == [1, 2]
    (told,) = [m for m in stand.senders["oncall"].delivered if m.kind is Kind.ACKNOWLEDGE]
    assert {each.incident for each in told.alerts} == {1, 2}


# the database


def test_a_restart_between_any_two_steps_loses_and_doubles_nothing(tmp_path):
    stand = Stand(tmp_path)
    firing = alert()
    stand.pipeline.accept([firing])
    for _ in range(6):
        stand.restart()
        stand.run(1)
    stand.pipeline.accept([resolved(firing, stand.clock.now)])
    for _ in range(6):
        stand.restart()
        stand.run(1)

    assert stand.delivered() == [FIRING, RESOLVED]


def fill(stand: Stand) -> None:
    """The database may not grow: what SQLite answers is what it answers on a full disk."""
    connection = stand.pipeline._database._connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count={pages}")


def test_alerts_go_out_from_memory_when_the_disk_is_full_and_come_back_to_it(tmp_path):
    stand = Stand(tmp_path)
    stand.pipeline.accept([alert(replica="before")])
    stand.run(5)
    fill(stand)

    for number in range(30):
        stand.pipeline.accept([alert(replica=f"r-{number}", incident=number, summary="x" * 4000)])
    during = stand.pipeline.snapshot()
    stand.run(9)

    assert {m.note for m in list(stand.senders["oncall"].delivered)[1:]} == {"memory"}
    assert not during.durable
    assert "full" in during.notice
    assert len(stand.senders["oncall"].delivered) == 31

    stand.run(30)
    assert stand.pipeline.snapshot().durable
    stand.restart()
    stand.pipeline.accept([resolved(alert(replica="before"), stand.clock.now)])
    stand.run(10)
    assert stand.senders["oncall"].delivered[-1].status.value == "resolved"
    assert len(stand.senders["oncall"].delivered) == 32


def test_what_ended_in_memory_does_not_come_back_to_life_on_disk(tmp_path):
    stand = Stand(tmp_path)
    firing = alert()
    stand.pipeline.accept([firing])
    stand.run(5)
    stand.pipeline._database._give_up(sqlite3.OperationalError("disk I/O error"))
    stand.pipeline.accept([resolved(firing, stand.clock.now)])
    stand.run(30)
    assert stand.pipeline.snapshot().durable
    stand.restart()
    stand.run(5 * 3600, step_s=60)

    assert stand.delivered() == [FIRING, RESOLVED]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_disk_that_is_really_full_and_then_really_read_only(tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)], check=False
    )
    if mounted.returncode:
        pytest.skip("this container may not mount")
    try:
        stand = Stand(disk)
        stand.pipeline.accept([alert(replica="before")])
        stand.run(5)
        ballast = disk / "ballast"
        with contextlib.suppress(OSError):
            ballast.write_bytes(bytes(8 * 2**20))
        for number in range(20):
            stand.pipeline.accept([alert(replica=f"r-{number}", incident=2, summary="x" * 9000)])
        assert not stand.pipeline.snapshot().durable
        stand.run(9)
        assert len(stand.senders["oncall"].delivered) == 21
        ballast.unlink()
        stand.run(30)
        assert stand.pipeline.snapshot().durable

        stand.pipeline.stop(1)
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        stand.open()
        assert not stand.pipeline.snapshot().durable
        stand.pipeline.accept([resolved(alert(replica="before"), stand.clock.now)])
        stand.run(30)
        assert len(stand.senders["oncall"].delivered) == 22
        subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
        stand.run(30)
        assert stand.pipeline.snapshot().durable
        stand.pipeline.stop(1)
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_file_that_is_no_database_does_not_stop_the_alerts(tmp_path):
    (tmp_path / "journal.db").write_bytes(b"not a database at all" * 100)
    stand = Stand(tmp_path)
    stand.pipeline.accept([alert()])
    stand.run(5)

    assert stand.delivered() == [FIRING]
    assert not stand.pipeline.snapshot().durable


def test_another_process_that_holds_the_file_for_a_moment_is_waited_for(tmp_path):
    stand = Stand(tmp_path)
    other = sqlite3.connect(tmp_path / "journal.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    import threading

    timer = threading.Timer(0.1, lambda: other.execute("COMMIT"))
    timer.start()
    stand.pipeline.accept([alert()])
    timer.join()
    other.close()

    assert stand.pipeline.snapshot().durable


def test_what_is_long_done_with_is_forgotten(tmp_path):
    stand = Stand(tmp_path)
    for number in range(5):
        firing = alert(incident=number, at=stand.clock.now)
        stand.pipeline.accept([firing])
        stand.run(5)
        stand.pipeline.accept([resolved(firing, stand.clock.now)])
        stand.run(600, step_s=60)
    stand.clock.pass_s(8 * 86400)
    stand.run(2000, step_s=600)

    read = sqlite3.connect(tmp_path / "journal.db")
    counts = [
        read.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0]
        for table in ("alert_event", "alert_message", "alert_state")
    ]
    read.close()
    assert counts == [0, 0, 0]


def test_a_warning_and_a_critical_wait_and_the_critical_goes_first(tmp_path):
    stand = Stand(tmp_path)
    stand.answers["oncall"] = lambda _: NO
    hot = alert("GpuThermal", replica=None, gpu_uuid=GPU)
    stand.pipeline.accept([hot, replace(alert(), severity=Severity.CRITICAL)])
    stand.run(20)
    stand.answers.clear()
    stand.run(90)

    assert [each[1] for each in stand.delivered()] == ["ReplicaHung", "GpuThermal"]


def test_rows_that_cannot_be_read_hold_up_nothing(tmp_path):
    stand = Stand(tmp_path)
    stand.pipeline.accept([alert(replica="told before")])
    stand.run(5)
    write = sqlite3.connect(tmp_path / "journal.db", isolation_level=None)
    write.execute("INSERT INTO alert_event(id, body, accepted_at) VALUES ('x', '{\"a\": 1}', 1)")
    write.execute("INSERT INTO alert_state VALUES ('track', 'x', 'not json')")
    write.execute("INSERT INTO alert_state VALUES ('talk', 'x', '[]')")
    write.execute(
        "INSERT INTO alert_message(key, receiver, conversation, rank, body, created_at, state,"
        " next_at) VALUES ('x', 'oncall', 'x', 0, '{}', 1, 'pending', 1)"
    )
    write.close()
    stand.restart()
    stand.pipeline.accept([alert(incident=2)])
    stand.run(5)

    assert stand.delivered() == [FIRING, FIRING]
    assert stand.pipeline.snapshot().receivers[0].failed == 1


def test_a_text_that_is_huge_or_not_unicode_is_cut_and_told(tmp_path):
    stand = Stand(tmp_path)
    stand.pipeline.accept([alert(summary="\ud800" + "x" * 5_000_000, evidence={"e": "y" * 10**6})])
    stand.run(5)

    (message,) = stand.senders["oncall"].delivered
    assert len(message.alerts[0].summary) == 4000
    assert (tmp_path / "journal.db").stat().st_size < 200_000


def test_an_open_alert_reaches_the_route_whose_hours_begin(tmp_path):
    stand = Stand(
        tmp_path,
        "day",
        "night",
        routes=[
            {"receivers": ["day"], "hours": "08:00-15:00"},
            {"receivers": ["night"]},
        ],
    )
    stand.pipeline.accept([alert()])
    stand.run(3600, step_s=30)

    assert stand.delivered("day") == [FIRING]
    assert stand.delivered("night") == [FIRING]


def test_a_plan_that_could_not_be_recorded_is_made_again(tmp_path, monkeypatch):
    stand = Stand(tmp_path)
    stand.pipeline.accept([alert()])
    stand.run(1)
    stand.clock.pass_s(5)

    def fail(*given):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(stand.pipeline._ledger, "plan", fail)
        with pytest.raises(MemoryError):
            stand.pipeline.plan_once()
    stand.run(5)

    assert stand.delivered() == [FIRING]


def test_a_disk_that_stays_full_is_tried_again_and_again_without_harm(tmp_path):
    stand = Stand(tmp_path)
    stand.pipeline._database._give_up(sqlite3.OperationalError("disk I/O error"))
    stand.pipeline._database._path = tmp_path / "gone" / "journal.db"
    stand.pipeline.accept([alert()])
    stand.run(60)
    assert not stand.pipeline.snapshot().durable

    (tmp_path / "gone").mkdir()
    stand.run(20)

    assert stand.pipeline.snapshot().durable
    assert stand.delivered() == [FIRING]
