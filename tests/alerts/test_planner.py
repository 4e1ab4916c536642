"""What is told to whom, over time, without disk, threads or network."""

from __future__ import annotations

from dataclasses import replace

import pytest

from alerts.flap import FlapLimits
from alerts.grouping import Timing
from alerts.labels import parse_matcher
from alerts.message import Kind
from alerts.model import Severity, Status
from alerts.planner import Planner
from alerts.quiet import parse_hours
from alerts.route import Route
from alerts.silence import Silence
from tests.alerts.make import GPU, START, alert, brief, desk, resolved

NAMES = ["ReplicaHung"]


def silence(*matchers: str, start: float = START, seconds: float = 3600) -> Silence:
    parsed = tuple(parse_matcher(text) for text in matchers)
    return Silence("s1", parsed, start, start + seconds, "ann", "planned work")


def test_one_firing_and_one_resolved_of_one_incident():
    d = desk()
    firing = alert()

    told = d.tell(firing) + d.wait(30)
    told += d.tell(resolved(firing, d.clock.now)) + d.wait(30)

    assert brief(told) == [
        ("oncall", "firing", "first_notification", NAMES),
        ("oncall", "resolved", "all_resolved", NAMES),
    ]
    assert told[0].group == told[1].group
    assert told[0].key != told[1].key


def test_it_waits_for_what_follows_from_the_same_cause_and_tells_only_the_cause():
    d = desk()

    told = d.tell(
        alert("ReplicaDead", gpu_uuid=GPU),
        alert("ReplicaStartFailed", replica="replica-7", gpu_uuid=GPU),
    )
    d.clock.pass_s(1)
    told += d.tell(alert("GpuLost", replica=None, gpu_uuid=GPU, at=START + 1))
    told += d.wait(60)

    assert brief(told) == [("oncall", "firing", "first_notification", ["GpuLost"])]


def test_a_cause_that_comes_later_leads_the_same_conversation():
    d = desk()
    dead = alert("ReplicaDegraded", gpu_uuid=GPU)

    told = d.tell(dead) + d.wait(20)
    told += d.tell(alert("GpuLost", replica=None, gpu_uuid=GPU)) + d.wait(60)

    assert brief(told) == [
        ("oncall", "firing", "first_notification", ["ReplicaDegraded"]),
        ("oncall", "firing", "severity_escalated", ["GpuLost", "ReplicaDegraded"]),
    ]
    assert told[0].group == told[1].group


def test_what_was_explained_is_told_once_the_cause_is_gone_and_it_still_fires():
    d = desk()
    lost = alert("GpuLost", replica=None, gpu_uuid=GPU)

    d.tell(lost, alert("ReplicaDead", gpu_uuid=GPU))
    d.wait(20)
    told = d.tell(resolved(lost, d.clock.now)) + d.wait(20)

    assert brief(told) == [("oncall", "firing", "new_alerts", ["ReplicaDead", "GpuLost"])]


def test_one_that_ended_before_it_was_told_is_told_as_firing_and_as_resolved():
    d = desk()
    firing = alert()

    told = d.tell(firing, resolved(firing, START + 0.2)) + d.wait(10)

    assert brief(told) == [
        ("oncall", "firing", "first_notification", NAMES),
        ("oncall", "resolved", "all_resolved", NAMES),
    ]
    assert len({message.key for message in told}) == 2


def test_a_resolved_without_a_firing_is_not_told():
    d = desk()

    told = d.tell(resolved(alert(), START)) + d.wait(10)

    assert told == []
    assert list(d.decisions.values()) == ["stray_resolved"]


def test_the_same_alert_again_is_no_news():
    d = desk()
    d.tell(alert())
    d.wait(5)

    assert d.tell(replace(alert(), id="again")) + d.wait(60) == []


def test_what_fires_is_repeated_until_somebody_acknowledges_it():
    d = desk(Route(("oncall",), timing=Timing(2, 10, 3600)))
    firing = alert()
    d.tell(firing)
    d.wait(10)

    repeated = d.wait(2 * 3600, step_s=60)
    d.acknowledged.add((firing.fingerprint, firing.incident))
    after = d.wait(3 * 3600, step_s=60)

    assert [message.reason for message in repeated] == ["repeat_interval_elapsed"] * 2
    assert [(m.kind, m.reason) for m in after] == [(Kind.ACKNOWLEDGE, "acknowledged")]


def test_a_repeat_waits_while_an_earlier_message_is_not_delivered():
    d = desk(Route(("oncall",), timing=Timing(2, 10, 60)))
    d.tell(alert())
    (first,) = d.wait(5)
    d.pending.add((first.receiver, first.group))

    assert d.wait(600, step_s=5) == []
    d.pending.clear()
    assert [m.reason for m in d.wait(10)] == ["repeat_interval_elapsed"]


def test_the_end_of_one_of_several_is_told_and_the_others_stay():
    d = desk()
    hung, hot = alert(gpu_uuid=GPU), alert("GpuThermal", replica=None, gpu_uuid=GPU)
    d.tell(hung, hot)
    d.wait(20)

    told = d.tell(resolved(hung, d.clock.now)) + d.wait(20)

    assert brief(told) == [("oncall", "firing", "some_resolved", ["GpuThermal", "ReplicaHung"])]
    assert [each.status for each in told[0].alerts] == [Status.FIRING, Status.RESOLVED]


def test_a_receiver_that_forgets_is_told_again_at_its_own_pace_even_when_acknowledged():
    d = desk(resend_s={"oncall": 60.0})
    firing = alert()
    d.tell(firing)
    d.wait(3)
    d.acknowledged.add((firing.fingerprint, firing.incident))

    told = d.wait(300)

    assert [m.reason for m in told].count("repeat_interval_elapsed") == 5


def test_severity_that_rises_is_told_at_once_to_those_who_know():
    d = desk()
    first = alert("GpuThermal", replica=None, gpu_uuid=GPU)
    d.tell(first)
    d.wait(5)

    worse = replace(first, id="worse", severity=Severity.CRITICAL)
    told = d.tell(worse) + d.wait(5)

    assert brief(told) == [("oncall", "firing", "severity_escalated", ["GpuThermal"])]
    assert told[0].severity is Severity.CRITICAL


def test_a_silenced_alert_is_told_when_the_silence_ends_and_it_still_fires():
    d = desk()
    d.silences = [silence("host=gpu-1", seconds=100)]

    quiet = d.tell(alert()) + d.wait(90)
    told = d.wait(30)

    assert quiet == []
    assert brief(told) == [("oncall", "firing", "first_notification", NAMES)]
    assert list(d.decisions.values()) == ["opened: silenced"]


def test_a_silence_does_not_keep_back_the_end_of_what_was_told():
    d = desk()
    firing = alert()
    d.tell(firing)
    d.wait(5)
    d.silences = [silence()]

    told = d.tell(resolved(firing, d.clock.now)) + d.wait(10)

    assert brief(told) == [("oncall", "resolved", "all_resolved", NAMES)]


def test_what_fired_and_ended_within_a_silence_is_never_told():
    d = desk()
    d.silences = [silence("severity=critical")]
    firing = alert()

    told = d.tell(firing) + d.wait(10) + d.tell(resolved(firing, d.clock.now)) + d.wait(7200, 60)

    assert told == []


def test_a_resolved_goes_to_whoever_was_told_when_the_routes_have_changed_hours():
    day = Route(("day",), hours=parse_hours("08:00-15:00"))
    d = desk(day, Route(("night",)))
    firing = alert()
    d.tell(firing)
    told = d.wait(10)
    d.clock.pass_s(3600)

    told += d.tell(resolved(firing, d.clock.now)) + d.wait(10)

    assert [(m.receiver, m.status.value) for m in told] == [
        ("day", "firing"),
        ("day", "resolved"),
    ]


def test_an_open_alert_is_handed_to_the_night_route_when_the_hours_change():
    d = desk(Route(("day",), hours=parse_hours("08:00-15:00")), Route(("night",)))
    d.tell(alert())
    d.wait(10)

    told = d.wait(3600, step_s=60)

    assert [(m.receiver, m.status.value) for m in told] == [("night", "firing")]


def test_flapping_becomes_one_alert_and_ends_when_it_is_steady():
    d = desk(flap=FlapLimits(changes=6, window_s=600, quiet_s=180))
    told = []
    for incident in range(1, 40):
        firing = alert(incident=incident, at=d.clock.now)
        told += d.tell(firing) + d.wait(5)
        told += d.tell(resolved(firing, d.clock.now)) + d.wait(5)
    during = len(told)
    after = d.wait(400)

    assert during <= 7
    flapping = [m for m in told if any(a.name == "Flapping" for a in m.alerts)]
    assert len(flapping) == 1
    assert [m.status for m in after] == [Status.RESOLVED]
    assert "Flapping" in [a.name for a in after[0].alerts]


def test_a_burst_of_xids_is_one_incident_until_three_quiet_minutes_have_passed():
    d = desk()
    told = []
    for incident in range(1, 100):
        xid = alert("GpuXid", replica=None, gpu_uuid=GPU, incident=incident, at=d.clock.now)
        told += d.tell(xid) + d.wait(1) + d.tell(resolved(xid, d.clock.now)) + d.wait(1)
    told += d.wait(170)
    assert brief(told) == [("oncall", "firing", "first_notification", ["GpuXid"])]

    ended = d.wait(30)
    assert brief(ended) == [("oncall", "resolved", "all_resolved", ["GpuXid"])]


def test_quiet_hours_hold_warnings_for_one_digest_and_let_critical_through():
    d = desk(quiet=parse_hours("14:00-15:00"))
    warning = alert("GpuThermal", replica=None, gpu_uuid=GPU)
    over = alert("HostStarved", replica=None)

    night = d.tell(warning, over, alert("ReplicaDead", replica="replica-9")) + d.wait(600)
    night += d.tell(resolved(over, d.clock.now)) + d.wait(60)
    morning = d.wait(3600, step_s=30)
    later = d.tell(resolved(warning, d.clock.now)) + d.wait(30)

    assert [[a.name for a in m.alerts] for m in night] == [["ReplicaDead"]]
    assert [(m.kind, m.reason) for m in morning] == [(Kind.DIGEST, "quiet_hours_over")]
    assert {a.name: a.status for a in morning[0].alerts} == {
        "GpuThermal": Status.FIRING,
        "HostStarved": Status.RESOLVED,
    }
    assert brief(later) == [("oncall", "resolved", "all_resolved", ["GpuThermal"])]


def test_a_critical_alert_that_nobody_acknowledges_goes_to_the_second_receiver_with_its_end():
    route = Route(("oncall",), escalate_to=("boss",), escalate_after_s=300)
    d = desk(route)
    firing = alert()
    d.tell(firing)

    told = d.wait(600)
    told += d.tell(resolved(firing, d.clock.now)) + d.wait(20)

    assert [(m.receiver, m.status.value) for m in told] == [
        ("oncall", "firing"),
        ("boss", "firing"),
        ("boss", "resolved"),
        ("oncall", "resolved"),
    ] or sorted((m.receiver, m.status.value) for m in told[2:]) == [
        ("boss", "resolved"),
        ("oncall", "resolved"),
    ]


@pytest.mark.parametrize("name", ["ReplicaHung", "GpuThermal"])
def test_an_acknowledged_or_lesser_alert_is_not_escalated(name):
    d = desk(Route(("oncall",), escalate_to=("boss",), escalate_after_s=300))
    firing = alert(name, gpu_uuid=GPU)
    d.tell(firing)
    d.wait(10)
    if firing.severity is Severity.CRITICAL:
        d.acknowledged.add((firing.fingerprint, firing.incident))

    assert "boss" not in {m.receiver for m in d.wait(900)}


def test_something_critical_is_escalated_in_a_conversation_that_a_warning_began():
    d = desk(
        Route(
            ("oncall",),
            severities=frozenset({Severity.CRITICAL}),
            escalate_to=("boss",),
            escalate_after_s=300,
        ),
        Route(("oncall",)),
    )
    hot = alert("GpuThermal", replica=None, gpu_uuid=GPU)
    d.tell(hot)
    d.wait(60)
    d.tell(alert("GpuLost", replica=None, gpu_uuid=GPU, at=d.clock.now))
    told = d.wait(400)

    assert [m.receiver for m in told] == ["oncall", "boss"]


def test_who_opens_and_closes_incidents_is_told_in_the_morning_what_still_fires_by_itself():
    d = desk(
        Route(("pager", "mail")),
        quiet=parse_hours("14:00-15:00"),
        no_digest=frozenset({"pager"}),
    )
    hot = alert("GpuThermal", replica=None, gpu_uuid=GPU)
    d.tell(hot)
    night = d.wait(40 * 60, step_s=10)
    morning = d.wait(30 * 60, step_s=10)
    d.tell(resolved(hot, d.clock.now))
    end = d.wait(10)

    assert night == []
    assert {(m.receiver, m.kind) for m in morning} == {
        ("pager", Kind.NOTIFY),
        ("mail", Kind.DIGEST),
    }
    assert {(m.receiver, m.status.value) for m in end} == {
        ("pager", "resolved"),
        ("mail", "resolved"),
    }


def test_a_new_incident_of_an_acknowledged_cause_is_told_anew():
    d = desk()
    first = alert(incident=1)
    d.tell(first)
    d.wait(5)
    d.acknowledged.add((first.fingerprint, 1))
    d.wait(5)
    d.tell(resolved(first, d.clock.now))
    d.wait(5)

    told = d.tell(alert(incident=2, at=d.clock.now)) + d.wait(5)

    assert brief(told) == [("oncall", "firing", "first_notification", NAMES)]


def test_grouping_by_host_makes_one_message_of_eight_cards():
    d = desk(Route(("chat",), group_by=("host",)))
    hot = [alert("GpuThermal", replica=None, gpu_uuid=f"GPU-{n}") for n in range(8)]

    told = d.tell(*hot) + d.wait(30)

    assert len(told) == 1
    assert len(told[0].alerts) == 8


def test_ten_rules_on_eight_cards_are_at_most_one_message_for_each_card():
    d = desk()
    names = ["GpuLost", "GpuXid", "GpuEcc", "GpuThermal", "GpuResetRequired", "GpuRowRemapFailed"]
    replicas = ["ReplicaDead", "ReplicaHung", "ReplicaDegraded", "ReplicaStartFailed"]
    storm = [alert(name, replica=None, gpu_uuid=f"GPU-{n}") for n in range(8) for name in names] + [
        alert(name, replica=f"replica-{n}", gpu_uuid=f"GPU-{n}")
        for n in range(8)
        for name in replicas
    ]

    told = d.tell(*storm) + d.wait(60)

    assert len(told) == 8
    assert {tuple(a.name for a in m.alerts) for m in told} == {("GpuLost",)}


def test_a_lost_driver_is_one_message_for_the_whole_host():
    d = desk()
    storm = [alert("GpuLost", replica=None, gpu_uuid=f"GPU-{n}") for n in range(8)]
    storm += [alert("ReplicaDead", replica=f"replica-{n}") for n in range(16)]

    told = d.tell(alert("DriverUnavailable", replica=None), *storm) + d.wait(60)

    assert brief(told) == [("oncall", "firing", "first_notification", ["DriverUnavailable"])]


def test_an_alert_about_a_receiver_is_not_sent_to_that_receiver():
    d = desk(Route(("slack", "email")))
    failing = alert("AlertDeliveryFailing", replica=None, labels={"receiver": "slack"})

    told = d.tell(failing) + d.wait(10)

    assert [m.receiver for m in told] == ["email"]


def test_an_alert_that_no_route_takes_is_noted():
    d = desk(Route(("oncall",), severities=frozenset({Severity.CRITICAL})))

    assert d.tell(alert("GpuThermal", replica=None, gpu_uuid=GPU)) + d.wait(10) == []
    assert list(d.decisions.values()) == ["opened: no_route"]


@pytest.mark.parametrize("at", ["before the first message", "after it"])
def test_a_restart_loses_nothing_and_doubles_nothing(at):
    d = desk()
    firing = alert()
    told = d.tell(firing)
    if at == "after it":
        told += d.wait(10)
    d.restart()
    told += d.wait(10)
    told += d.tell(resolved(firing, d.clock.now))
    d.restart()
    told += d.wait(10)

    assert [m.status.value for m in told] == ["firing", "resolved"]


def test_nothing_is_remembered_when_all_is_over():
    d = desk()
    for incident in range(1, 5):
        firing = alert(incident=incident, replica=f"replica-{incident}", at=d.clock.now)
        d.tell(firing)
        d.wait(5)
        d.tell(resolved(firing, d.clock.now))
        d.wait(5)

    d.wait(1200, step_s=10)

    assert d.state == {}
    assert d.planner.dump() == {}


def test_what_is_kept_is_what_is_known():
    d = desk(Route(("oncall",), escalate_to=("boss",)), quiet=parse_hours("14:00-15:00"))
    d.tell(alert(), alert("GpuThermal", replica=None, gpu_uuid=GPU))
    d.wait(5)

    assert d.state == d.planner.dump()
    assert Planner(d.rules, d.state).dump() == d.state


def test_a_clock_that_is_set_back_an_hour_does_not_stop_the_messages():
    d = desk()
    firing = alert()
    d.tell(firing)
    d.clock.pass_s(-3600)

    told = d.wait(10)
    d.clock.pass_s(-3600)
    told += d.tell(resolved(firing, d.clock.now)) + d.wait(10)

    assert [m.status.value for m in told] == ["firing", "resolved"]


def test_a_receiver_that_forgets_is_told_each_of_a_hundred_alerts_and_each_end():
    d = desk(Route(("am", "mail"), group_by=("host",)), resend_s={"am": 60.0})
    hundred = [alert(replica=f"r-{n}", incident=n, at=START) for n in range(120)]
    d.tell(*hundred)
    told = d.wait(30)
    d.tell(*(resolved(each, d.clock.now) for each in hundred))
    told += d.wait(30)

    for status in ("firing", "resolved"):
        for_am = [m for m in told if m.receiver == "am" and m.status.value == status]
        assert {each.fingerprint for m in for_am for each in m.alerts} == {
            each.fingerprint for each in hundred
        }
        assert all(len(m.alerts) <= 50 for m in for_am)
        (for_mail,) = [m for m in told if m.receiver == "mail" and m.status.value == status]
        assert (len(for_mail.alerts), for_mail.left_out) == (50, 70)
    assert len({m.key for m in told}) == len(told)
