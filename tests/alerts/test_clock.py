"""The clock is set back or forward while alerts wait; the rest of the world goes on."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from alerts.flap import FlapLimits
from alerts.gate import Gate, GateLimits, after, ready_at, take
from alerts.message import Outcome, Verdict
from alerts.model import Severity
from alerts.mute import quiet_until
from alerts.outbox import State
from alerts.plan import Rules
from alerts.quiet import parse_hours
from tests.alerts.make import START, Clock, alert
from tests.alerts.stand import NO, Stand

FIRING = ("firing", "ReplicaHung")


@pytest.mark.parametrize("back_s", [60, 1800, 3500, 86_400, 400 * 86_400])
def test_a_message_that_waits_is_sent_soon_after_the_clock_was_set_back(back_s, tmp_path):
    stand = Stand(tmp_path)
    stand.answers["oncall"] = lambda _: NO
    stand.pipeline.accept([alert()])
    stand.run(30)
    stand.clock.pass_s(-back_s)
    stand.answers.clear()

    stand.run(90)

    assert stand.delivered() == [FIRING]


@pytest.mark.parametrize("back_s", [60, 1800, 86_400])
def test_one_that_was_not_tried_yet_is_sent_by_the_next_process_too(back_s, tmp_path):
    stand = Stand(tmp_path, routes=[{"receivers": ["oncall"], "group_wait_s": 0}])
    stand.pipeline.accept([alert()])
    stand.pipeline.plan_once()
    stand.clock.pass_s(-back_s)
    stand.restart()

    stand.run(5)

    assert stand.delivered() == [FIRING]


@pytest.mark.parametrize("back_s", [30, 1800, 86_400])
def test_a_rate_that_was_used_up_fills_again_after_the_clock_was_set_back(back_s, tmp_path):
    stand = Stand(tmp_path, oncall={"per_minute": 6})
    stand.pipeline.accept([alert(replica=f"r-{n}", incident=n) for n in range(8)])
    stand.run(5)
    stand.clock.pass_s(-back_s)

    stand.run(120)

    assert len(stand.delivered()) == 8


def test_what_a_receiver_asked_for_is_kept_to_when_the_clock_is_set_back():
    limits = GateLimits()
    asked = Outcome(Verdict.RETRY, "slow down", 40.0)
    gate = after(take(Gate(), START, limits), asked, START, limits)

    assert 0 < ready_at(gate, START - 7200, limits) - (START - 7200) <= 40


def test_a_receiver_that_fails_is_told_of_when_the_clock_was_set_back(tmp_path):
    stand = Stand(tmp_path, "broken", "fine")
    stand.answers["broken"] = lambda _: NO
    stand.pipeline.accept([alert()])
    stand.run(60)
    stand.clock.pass_s(-86_400)

    stand.run(600, step_s=5)

    assert ("firing", "AlertDeliveryFailing") in stand.delivered("fine")


def test_one_failed_try_is_not_the_end_when_the_clock_leaps_a_year_at_boot(tmp_path):
    stand = Stand(tmp_path)
    stand.answers["oncall"] = lambda _: NO
    stand.pipeline.accept([alert()])
    stand.run(3)
    stand.clock.pass_s(365 * 86_400)
    stand.run(3)
    stand.answers.clear()

    stand.run(30)

    assert not stand.pipeline.desk.outbox(State.EXPIRED)
    assert stand.delivered()[0] == FIRING


ZONE = ZoneInfo("Europe/Berlin")


def rules(hours: str) -> Rules:
    return Rules(routes=(), zone=ZONE, flap=FlapLimits(), quiet=parse_hours(hours))


@pytest.mark.parametrize(
    ("hours", "day"),
    [
        pytest.param("22:00-02:30", (2026, 3, 29), id="the end is in the hour that is left out"),
        pytest.param("22:00-02:30", (2026, 10, 25), id="the end comes twice"),
        pytest.param("02:15-02:45", (2026, 3, 29), id="all of it is left out"),
        pytest.param("02:15-02:45", (2026, 10, 25), id="all of it comes twice"),
        pytest.param("00:00-24:00", (2026, 10, 25), id="always"),
    ],
)
def test_quiet_hours_are_looked_at_again_in_time_but_not_all_the_time(hours, day):
    given = rules(hours)
    now = datetime(*day, tzinfo=ZONE).timestamp() - 3600
    last_quiet = None
    for _ in range(180):  # six hours over the change, every two minutes
        until = quiet_until(given, Severity.WARNING, now)
        local = datetime.fromtimestamp(now, tz=ZONE)
        assert (until is not None) == given.quiet.holds(local)
        if until is not None:
            assert until > now, f"a wake-up in the past at {local}"
            last_quiet = until
        elif last_quiet is not None:
            assert last_quiet <= now + 900, f"woken up late: quiet was over at {local}"
            last_quiet = None
        now += 120


def test_a_morning_digest_comes_when_the_clocks_are_put_forward(tmp_path):
    began = datetime(2026, 3, 29, 0, 30, tzinfo=ZONE).timestamp()
    stand = Stand(
        tmp_path,
        clock=Clock(began),
        timezone="Europe/Berlin",
        quiet={"hours": "22:00-02:30"},
    )
    held = replace(alert(at=began), severity=Severity.WARNING)
    stand.pipeline.accept([held])
    stand.run(90 * 60 - 120, step_s=60)
    before = stand.delivered()
    stand.run(15 * 60, step_s=30)

    assert before == []
    assert stand.delivered() == [FIRING]
