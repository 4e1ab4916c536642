"""The small decisions, each as a table."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone

import pytest

from alerts import cut, flap, gate, retry, route, silence
from alerts.address import AddressError, check_ip, check_url
from alerts.dedup import News, Told
from alerts.dedup import decide as decide_news
from alerts.delivery import delivery_alerts
from alerts.escalation import Escalation
from alerts.escalation import decide as decide_escalation
from alerts.flap import Flap, FlapLimits
from alerts.gate import Circuit, Gate, GateLimits
from alerts.grouping import Timing, cause_of, due_at, group_of
from alerts.inhibit import Causes
from alerts.labels import Matcher, MatcherError, labels_of, parse_matcher, runbook_of
from alerts.message import Outcome, Verdict
from alerts.model import Alert, Severity, Status, worst
from alerts.names import ALERT_NAMES, Scope
from alerts.phrases import ENGLISH, check_overrides, phrases_of
from alerts.quiet import HoursError, parse_hours
from alerts.retry import Next, RetryLimits
from alerts.route import Fit, Route
from alerts.silence import Silence, SilenceError
from alerts.words import Author, Links
from tests.alerts.make import GPU, START, alert, resolved

# retry


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (200, Verdict.DELIVERED),
        (202, Verdict.DELIVERED),
        (204, Verdict.DELIVERED),
        (301, Verdict.MISCONFIGURED),
        (400, Verdict.REFUSED),
        (401, Verdict.MISCONFIGURED),
        (403, Verdict.MISCONFIGURED),
        (404, Verdict.MISCONFIGURED),
        (408, Verdict.RETRY),
        (410, Verdict.MISCONFIGURED),
        (413, Verdict.REFUSED),
        (429, Verdict.RETRY),
        (500, Verdict.RETRY),
        (502, Verdict.RETRY),
        (503, Verdict.RETRY),
        (504, Verdict.RETRY),
        (599, Verdict.RETRY),
    ],
)
def test_a_status_says_whether_another_try_helps(status, verdict):
    assert retry.judge(status) is verdict


LIMITS = RetryLimits(base_s=1, cap_s=300, retry_after_cap_s=3600, expire_s=86400)


@pytest.mark.parametrize(
    ("verdict", "asked", "attempts", "age", "jitter", "then", "wait"),
    [
        pytest.param(Verdict.DELIVERED, None, 1, 0, 0, Next.DONE, 0, id="delivered"),
        pytest.param(Verdict.REFUSED, None, 1, 0, 0, Next.FAILED, 0, id="refused"),
        pytest.param(Verdict.RETRY, None, 1, 0, 0, Next.AGAIN, 0.5, id="first, least"),
        pytest.param(Verdict.RETRY, None, 1, 0, 1, Next.AGAIN, 1.0, id="first, most"),
        pytest.param(Verdict.RETRY, None, 4, 0, 1, Next.AGAIN, 8.0, id="doubles"),
        pytest.param(Verdict.RETRY, None, 999, 0, 1, Next.AGAIN, 300, id="capped"),
        pytest.param(Verdict.RETRY, 30, 1, 0, 1, Next.AGAIN, 30, id="as asked"),
        pytest.param(Verdict.RETRY, 1e9, 1, 0, 1, Next.AGAIN, 3600, id="asked for too much"),
        pytest.param(Verdict.RETRY, 0, 3, 0, 1, Next.AGAIN, 4, id="asked for less than ours"),
        pytest.param(Verdict.MISCONFIGURED, None, 1, 0, 1, Next.AGAIN, 1, id="waits for a person"),
        pytest.param(Verdict.RETRY, None, 10, 86400, 1, Next.EXPIRED, 0, id="too old"),
        pytest.param(Verdict.RETRY, None, 3, 86400, 1, Next.AGAIN, 4, id="the clock leapt"),
    ],
)
def test_what_becomes_of_a_message_after_a_try(  # noqa: PLR0917 the columns of the table
    verdict, asked, attempts, age, jitter, then, wait
):
    decision = retry.decide(
        Outcome(verdict, "", asked),
        attempts=attempts,
        created_at=START - age,
        now=START,
        jitter=jitter,
        limits=LIMITS,
    )

    assert (decision.next, decision.at - START) == (then, pytest.approx(wait))


# circuit and rate

GATE = GateLimits(failures=3, probe_s=5, probe_cap_s=60, per_minute=60, burst=2)
BAD = Outcome(Verdict.RETRY, "no")
GOOD = Outcome(Verdict.DELIVERED, "yes")


def tried(*outcomes: Outcome) -> Gate:
    found = Gate()
    for outcome in outcomes:
        found = gate.after(found, outcome, START, GATE)
    return found


@pytest.mark.parametrize(
    ("outcomes", "later", "circuit"),
    [
        pytest.param([BAD] * 2, 0, Circuit.CLOSED, id="two failures are nothing"),
        pytest.param([BAD] * 3, 0, Circuit.OPEN, id="three open it"),
        pytest.param([BAD] * 3, 4.9, Circuit.OPEN, id="for five seconds"),
        pytest.param([BAD] * 3, 5, Circuit.HALF_OPEN, id="then one may try"),
        pytest.param([BAD] * 4, 9.9, Circuit.OPEN, id="twice as long after a failed probe"),
        pytest.param([BAD] * 50, 60, Circuit.HALF_OPEN, id="never longer than a minute"),
        pytest.param([BAD, BAD, GOOD, BAD, BAD], 0, Circuit.CLOSED, id="a success starts anew"),
        pytest.param(
            [BAD, BAD, Outcome(Verdict.REFUSED, ""), BAD], 0, Circuit.CLOSED, id="refused: it lives"
        ),
    ],
)
def test_the_circuit_opens_and_probes(outcomes, later, circuit):
    assert tried(*outcomes).circuit(START + later, GATE) is circuit


def test_a_receiver_that_asks_to_wait_is_left_alone_so_long():
    asked = tried(Outcome(Verdict.RETRY, "", 42))

    assert gate.ready_at(asked, START, GATE) == START + 42


def test_the_rate_lets_a_burst_through_and_then_one_a_second():
    found, at, times = Gate(), START, []
    for _ in range(5):
        at = gate.ready_at(found, at, GATE)
        found = gate.take(found, at, GATE)
        times.append(at - START)

    assert times == pytest.approx([0, 0, 1, 2, 3])


def test_a_clock_set_back_does_not_block_a_receiver():
    blocked = gate.take(tried(BAD, BAD, BAD), START, GATE)

    assert START - 7200 < gate.ready_at(blocked, START - 7200, GATE) <= START - 7200 + 60


# silences, matchers, routes


@pytest.mark.parametrize(
    ("text", "labels", "matches"),
    [
        ("severity=critical", {"severity": "critical"}, True),
        ('severity="critical"', {"severity": "critical"}, True),
        ("severity!=critical", {"severity": "critical"}, False),
        ("team=", {}, True),
        ("team!=search", {}, True),
        ("alertname=~Gpu.*", {"alertname": "GpuLost"}, True),
        ("alertname=~Gpu", {"alertname": "GpuLost"}, False),
        ("host!~gpu-[12]", {"host": "gpu-3"}, True),
        (" host =~ gpu-[12] ", {"host": "gpu-2"}, True),
    ],
)
def test_a_matcher_matches(text, labels, matches):
    assert parse_matcher(text).matches(labels) is matches
    assert parse_matcher(str(parse_matcher(text))) == parse_matcher(text)


@pytest.mark.parametrize("text", ["", "severity", "=x", "a b=c", "host=~[", "host==x" + "y" * 300])
def test_what_is_no_matcher_is_refused(text):
    with pytest.raises(MatcherError):
        parse_matcher(text)


def quiet_for(*matchers: str, start: float = 0, end: float = 60) -> Silence:
    parsed = tuple(parse_matcher(text) for text in matchers)
    return Silence("1", parsed, START + start, START + end, "ann", "why")


@pytest.mark.parametrize(
    ("given", "at", "found"),
    [
        pytest.param(quiet_for("host=h"), 0, True, id="from its start"),
        pytest.param(quiet_for("host=h"), 60, False, id="not at its end"),
        pytest.param(quiet_for("host=h", start=10), 5, False, id="not before it"),
        pytest.param(quiet_for("host=h", "team=x"), 5, False, id="all matchers"),
        pytest.param(quiet_for(), 5, True, id="maintenance is everything"),
    ],
)
def test_a_silence_holds(given, at, found):
    assert (silence.muting([given], {"host": "h"}, START + at) is not None) is found


@pytest.mark.parametrize(
    ("given", "maintenance"),
    [
        (quiet_for("a=b", end=0), False),
        (replace(quiet_for("a=b"), author=" "), False),
        (replace(quiet_for("a=b"), comment=""), False),
        (quiet_for(), False),
    ],
    ids=["ends at once", "no author", "no comment", "everything by accident"],
)
def test_a_silence_that_is_a_mistake_is_refused(given, maintenance):
    with pytest.raises(SilenceError):
        silence.check(given, maintenance=maintenance)
    silence.check(quiet_for(), maintenance=True)


ROUTES = (
    Route(("night",), hours=parse_hours("22:00-06:00"), go_on=True),
    Route(("gpu",), matchers=(Matcher("alertname", "=~", "Gpu.*"),)),
    Route(("oncall",), severities=frozenset({Severity.CRITICAL})),
    Route(("mail",)),
)
NOON = datetime(2026, 9, 21, 12, tzinfo=timezone.utc)
NIGHT = datetime(2026, 9, 21, 23, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("labels", "local", "receivers"),
    [
        ({"alertname": "GpuLost", "severity": "critical"}, NOON, ["gpu"]),
        ({"alertname": "ReplicaHung", "severity": "critical"}, NOON, ["oncall"]),
        ({"alertname": "ReplicaHung", "severity": "warning"}, NOON, ["mail"]),
        ({"alertname": "ReplicaHung", "severity": "warning"}, NIGHT, ["night", "mail"]),
    ],
    ids=["by label", "by severity", "the rest", "goes on at night"],
)
def test_the_first_route_that_matches_ends_the_search(labels, local, receivers):
    assert [each.receivers[0] for each in route.choose(ROUTES, labels, local)] == receivers
    steps = route.explain(ROUTES, labels, local)
    assert [step.route.receivers[0] for step in steps if step.fit is Fit.MATCHED] == receivers
    assert all(step.why for step in steps)


# hours


@pytest.mark.parametrize(
    ("hours", "days", "at", "ends"),
    [
        ("08:00-18:00", (), "2026-09-21 08:00", "2026-09-21 18:00"),
        ("08:00-18:00", (), "2026-09-21 18:00", None),
        ("22:00-07:00", (), "2026-09-21 23:30", "2026-09-22 07:00"),
        ("22:00-07:00", (), "2026-09-22 06:59", "2026-09-22 07:00"),
        ("22:00-07:00", ("fri",), "2026-09-26 03:00", "2026-09-26 07:00"),
        ("22:00-07:00", ("fri",), "2026-09-25 03:00", None),
        ("00:00-24:00", ("sun",), "2026-09-27 12:00", "2026-09-28 00:00"),
    ],
)
def test_hours_hold_over_midnight_and_belong_to_the_day_they_start_on(hours, days, at, ends):
    local = datetime.fromisoformat(at).replace(tzinfo=timezone.utc)
    found = parse_hours(hours, days).ends(local)

    assert (None if found is None else f"{found:%Y-%m-%d %H:%M}") == ends


@pytest.mark.parametrize("text", ["", "8-9", "25:00-26:00", "08:00", "24:00-01:00", "00:00-24:30"])
def test_what_are_no_hours_is_refused(text):
    with pytest.raises(HoursError):
        parse_hours(text)


# flapping, grouping, news, escalation


@pytest.mark.parametrize(
    ("changes", "flapping", "now", "found"),
    [
        ([0, 1, 2, 3, 4], False, 5, Flap.STEADY),
        ([0, 1, 2, 3, 4, 5], False, 5, Flap.BEGAN),
        ([0, 1, 2, 3, 4, 5], False, 604, Flap.STEADY),
        ([0, 5], True, 100, Flap.CONTINUES),
        ([0, 5], True, 185, Flap.ENDED),
    ],
)
def test_flapping_begins_and_ends(changes, flapping, now, found):
    limits = FlapLimits(changes=6, window_s=600, quiet_s=180)
    times = [START + at for at in changes]

    assert flap.assess(times, flapping=flapping, now=START + now, limits=limits) is found


@pytest.mark.parametrize(
    ("given", "cause"),
    [
        (alert("GpuLost", replica=None, gpu_uuid=GPU), f"gpu-1/{GPU}"),
        (alert("ReplicaHung", gpu_uuid=GPU), f"gpu-1/{GPU}"),
        (alert("ReplicaHung"), "gpu-1/replica-0"),
        (alert("HostOomKill"), "gpu-1/host"),
    ],
)
def test_the_object_that_broke_names_the_incident(given, cause):
    assert cause_of(given) == cause


def test_a_group_is_named_by_its_labels_and_not_by_severity():
    one = alert("GpuThermal", replica=None, gpu_uuid=GPU)
    worse = replace(one, severity=Severity.CRITICAL)

    assert group_of(one, ("incident",)) == group_of(worse, ("incident",))
    assert group_of(one, ("host", "alertname"))[0] == "alertname=GpuThermal,host=gpu-1"
    assert group_of(one, ())[0] == "all"


@pytest.mark.parametrize(
    ("last", "urgent", "due"),
    [(None, False, 2), (-1, False, 9), (-1, True, 2), (-60, False, 2)],
    ids=["first", "an update waits", "worse does not", "long ago"],
)
def test_a_message_is_due(last, urgent, due):
    found = due_at(
        waiting_since=START,
        last_told_at=None if last is None else START + last,
        urgent=urgent,
        timing=Timing(2, 10, 3600),
    )

    assert found - START == due


HUNG = alert("ReplicaHung")
HOT = alert("GpuThermal", replica=None, gpu_uuid=GPU)


@pytest.mark.parametrize(
    ("told", "firing", "ended", "news"),
    [
        ({}, {}, {}, News.NOTHING),
        ({}, {"a": HOT}, {}, News.FIRST),
        ({}, {}, {"a": HOT}, News.FIRST),
        ({"a": Told(1, Severity.WARNING)}, {"a": HOT}, {}, News.NOTHING),
        ({"a": Told(1, Severity.WARNING)}, {"a": HOT, "b": HUNG}, {}, News.ESCALATED),
        ({"a": Told(1, Severity.CRITICAL)}, {"a": HUNG, "b": HOT}, {}, News.NEW_ALERTS),
        ({"a": Told(0, Severity.WARNING)}, {"a": HOT}, {}, News.NEW_ALERTS),
        ({"a": Told(1, Severity.WARNING)}, {}, {"a": HOT}, News.ALL_RESOLVED),
        (
            {"a": Told(1, Severity.WARNING), "b": Told(1, Severity.WARNING)},
            {"a": HOT},
            {"b": HOT},
            News.SOME_RESOLVED,
        ),
    ],
)
def test_what_is_news(told, firing, ended, news):
    found = decide_news(
        told=told,
        firing=firing,
        resolved=ended,
        last_told_at=START,
        repeat_s=3600,
        acknowledged=False,
        pending=False,
        now=START + 60,
    )

    assert found is news


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({}, Escalation.DUE),
        ({"now": START + 899}, Escalation.WAITING),
        ({"acknowledged": True}, Escalation.ACKNOWLEDGED),
        ({"escalated": True}, Escalation.DONE),
        ({"escalate_to": ()}, Escalation.NONE),
        ({"told_critical_at": None}, Escalation.NONE),
    ],
)
def test_a_critical_alert_left_alone_is_escalated(change, found):
    given = {
        "escalate_to": ("boss",),
        "told_critical_at": START,
        "after_s": 900.0,
        "acknowledged": False,
        "escalated": False,
        "now": START + 900,
    }

    assert decide_escalation(**{**given, **change}) is found


# causes


@pytest.mark.parametrize(
    ("cause", "explains"),
    [
        pytest.param(alert("GpuLost", replica=None, gpu_uuid=GPU), True, id="the card"),
        pytest.param(alert("GpuLost", replica=None, gpu_uuid="GPU-2"), False, id="another card"),
        pytest.param(
            alert("GpuLost", replica=None, gpu_uuid=GPU, host="h2"), False, id="another host"
        ),
        pytest.param(alert("GpuLost", replica=None), False, id="no card named"),
        pytest.param(alert("DriverUnavailable", replica=None), True, id="the host"),
        pytest.param(
            alert("HostStarved", replica=None), False, id="a warning hides nothing critical"
        ),
        pytest.param(alert("HostDiskFull", replica=None), False, id="not its consequence"),
    ],
)
def test_a_cause_explains_what_follows_from_it_on_the_same_object(cause, explains):
    found = Causes([cause]).explaining(alert("ReplicaHung", gpu_uuid=GPU))

    assert (found is not None) is explains


def test_nothing_explains_itself_or_its_cause_in_a_circle():
    for name, row in ALERT_NAMES.items():
        assert name not in row.explains
        for other in row.explains:
            assert name not in ALERT_NAMES[other].explains
            assert row.scope is not Scope.REPLICA or ALERT_NAMES[other].scope is Scope.REPLICA


# addresses


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "192.168.1.1", "169.254.169.254", "::1", "fe80::1%eth0", "fd00::1",
     "0.0.0.0", "224.0.0.1", "::ffff:127.0.0.1", "100.64.0.1", "64:ff9b::127.0.0.1",
     "64:ff9b::169.254.169.254", "64:ff9b:1::1", "2002:7f00:1::", "::127.0.0.1", "fec0::1",
     "::ffff:0:169.254.169.254", "::"],
)  # fmt: skip
def test_an_address_that_is_not_public_needs_permission(address):
    with pytest.raises(AddressError):
        check_ip(address, allow_insecure=False)
    check_ip(address, allow_insecure=True)


def test_public_addresses_and_https_need_none():
    check_ip("93.184.216.34", allow_insecure=False)
    check_ip("2606:2800:220:1::1", allow_insecure=False)
    check_ip("64:ff9b::93.184.216.34", allow_insecure=False)
    check_url("https://hooks.example.com/x", allow_insecure=False)


# words


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("short", 10, "short"),
        ("0123456789", 5, "0123…"),
        ("e\u0301e\u0301e\u0301", 4, "e\u0301…"),
        ("a👩‍👩‍👧‍👦b", 4, "a…"),
        ("ab", 0, ""),
    ],
    ids=["fits", "cut", "keeps an accent with its letter", "keeps a family whole", "no room"],
)
def test_text_is_cut_between_characters(text, limit, expected):
    assert cut.to_chars(text, limit) == expected


def test_bytes_are_never_cut_in_the_middle_of_a_character():
    for limit in range(3, 40):
        text = cut.to_bytes("错误错误错误 ok 👍🏽", limit)
        assert len(text.encode()) <= limit


@pytest.mark.parametrize(
    ("seconds", "english", "chinese"),
    [(0, "0 s", "0 秒"), (200, "3 min 20 s", "3 分 20 秒"), (3600, "1 h", "1 小时"),
     (90061, "1 d 1 h", "1 天 1 小时")],
)  # fmt: skip
def test_a_duration_reads_in_both_languages(seconds, english, chinese):
    zone = timezone.utc

    assert Author(phrases_of("en", {}), Links(), zone).duration(seconds) == english
    assert Author(phrases_of("zh", {}), Links(), zone).duration(seconds) == chinese


def test_an_override_replaces_one_phrase():
    author = Author(phrases_of("zh", {"title.GpuLost": "卡没了"}), Links(), timezone.utc)

    assert author.title(alert("GpuLost")) == "卡没了"
    assert author.title(alert("ReplicaHung")) == "副本卡死"
    assert author.title(alert("SomethingElse")) == "SomethingElse"


@pytest.mark.parametrize(
    ("key", "text", "says"),
    [
        ("title.ReplicaHang", "x", "did you mean title.ReplicaHung"),
        ("word.more", "{nothing}", "cannot be filled in"),
        ("word.more", "{count", "cannot be filled in"),
        ("word.more", "{count.__class__.__mro__}" + "{0}", "cannot be filled in"),
        ("title.GpuLost", "x" * 501, "longer than"),
    ],
)
def test_an_override_that_cannot_work_is_refused(key, text, says):
    with pytest.raises(ValueError, match=says):
        check_overrides({key: text})


def test_every_alert_name_has_a_title_and_a_next_step():
    for name in ALERT_NAMES:
        assert ENGLISH[f"title.{name}"]
        assert ENGLISH[f"next.{name}"]
    named = {key.split(".")[1] for key in ENGLISH if key.startswith(("title.", "next."))}
    assert named == set(ALERT_NAMES)


# the model


def test_an_alert_and_its_json_are_the_same_and_later_fields_are_left_out():
    given = alert(evidence={"a": "1"}, gpu_index=3, labels={"team": "x"})

    assert Alert.from_json({**given.to_json(), "new_field": 1}) == given


def test_labels_are_the_same_for_firing_and_resolved():
    given = alert(gpu_uuid=GPU, labels={"team": "search", "severity": "not mine"})

    assert labels_of(given) == labels_of(resolved(given, START + 5))
    assert labels_of(given)["severity"] == "critical"


def test_severities_are_ordered():
    assert worst([Severity.INFO, Severity.CRITICAL, Severity.WARNING]) is Severity.CRITICAL
    assert worst([]) is Severity.INFO


@pytest.mark.parametrize(
    ("own", "base", "url"),
    [
        ("ReplicaHung.md", "https://x/books/", "https://x/books/ReplicaHung.md"),
        ("https://y/z", "https://x", "https://y/z"),
        ("ReplicaHung.md", "", ""),
    ],
)
def test_a_runbook_is_a_url_or_nothing(own, base, url):
    assert runbook_of(alert(runbook=own), base) == url


# delivery


class Failing:
    def __init__(self, name: str, since: float | None, *, works: bool) -> None:
        self.name = name
        self.gate = Gate(failing_since=since)
        self.works = works


def test_a_receiver_that_fails_for_long_is_an_alert_until_it_works():
    limits = {"host": "h", "after_s": 300.0}
    young = delivery_alerts([Failing("a", START, works=False)], [], now=START + 299, **limits)
    (raised,) = delivery_alerts([Failing("a", START, works=False)], [], now=START + 300, **limits)
    again = delivery_alerts([Failing("a", START, works=False)], [raised], now=START + 9, **limits)
    unknown = delivery_alerts([Failing("a", None, works=False)], [raised], now=START, **limits)
    (ended,) = delivery_alerts([Failing("a", None, works=True)], [raised], now=START + 9, **limits)

    assert (young, again, unknown) == ([], [], [])
    assert (raised.status, ended.status) == (Status.FIRING, Status.RESOLVED)
    assert raised.fingerprint == ended.fingerprint
    assert raised.labels == {"receiver": "a"}
