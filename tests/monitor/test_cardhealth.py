from __future__ import annotations

from dataclasses import replace

import pytest

from monitor.cardhealth import CardEvidence, CardLimits, CardState, Heat, feel, judge
from monitor.gpu import Card, CardSample, Field, XidEvent
from monitor.model import Reason, Unavailable, Why
from monitor.xid import condemns

NOW = 1000.0
LIMITS = CardLimits()
CARD = Card("GPU-1", 0, "H100", "00000000:04:00.0")
WELL = CardEvidence(
    CardSample(
        CARD,
        {
            Field.TEMPERATURE: 50.0,
            Field.TEMPERATURE_SLOWDOWN: 87.0,
            Field.RECOVERY_ACTION: 0.0,
            Field.ECC_UNCORRECTED: 0.0,
        },
    ),
    well_since=NOW - 500,
)


def reading(**values):
    changed = {**WELL.sample.values, **{Field[name]: value for name, value in values.items()}}
    return replace(WELL, sample=CardSample(CARD, changed))


def faulty(why, rounds=5, since=NOW - 5):
    sample = CardSample(CARD, fault=Unavailable(why))
    return replace(WELL, sample=sample, faulty_since=since, faulty_rounds=rounds, well_since=None)


def xid(code, age=10.0):
    return XidEvent(NOW - age, "0000:04:00", code, "kmsg")


def with_xid(code, age=10.0, before=WELL, **changes):
    event = xid(code, age)
    condemned = (event,) if condemns(code) else ()
    return replace(before, xids=(event,), condemned=condemned, **changes)


@pytest.mark.parametrize(
    ("evidence", "state", "reason", "names"),
    [
        pytest.param(WELL, CardState.OK, None, [], id="well"),
        pytest.param(
            faulty(Why.GPU_LOST),
            CardState.UNUSABLE,
            Reason.GPU_LOST,
            ["GpuLost"],
            id="lost",
        ),
        pytest.param(
            faulty(Why.GPU_LOST, rounds=1), CardState.UNKNOWN, None, [], id="missing once"
        ),
        pytest.param(
            faulty(Why.NEEDS_RESET),
            CardState.UNUSABLE,
            Reason.GPU_NEEDS_RESET,
            ["GpuResetRequired"],
            id="needs a reset",
        ),
        pytest.param(
            faulty(Why.TIMED_OUT), CardState.UNKNOWN, None, [], id="does not answer for a moment"
        ),
        pytest.param(
            faulty(Why.TIMED_OUT, since=NOW - 20),
            CardState.UNKNOWN,
            None,
            ["DriverUnavailable"],
            id="does not answer for long: told, and nothing is touched",
        ),
        pytest.param(
            faulty(Why.DRIVER_GONE, since=NOW - 20),
            CardState.UNKNOWN,
            None,
            [],
            id="the driver is gone: told of once for the host",
        ),
        pytest.param(
            reading(RECOVERY_ACTION=1.0),
            CardState.UNUSABLE,
            Reason.GPU_NEEDS_RESET,
            ["GpuResetRequired"],
            id="the driver asks for a reset",
        ),
        pytest.param(
            with_xid(119),
            CardState.UNUSABLE,
            Reason.GPU_NEEDS_RESET,
            ["GpuResetRequired", "GpuXid"],
            id="a reset-class XID",
        ),
        pytest.param(
            with_xid(119, age=200, well_since=NOW - 100),
            CardState.OK,
            None,
            [],
            id="a reset-class XID, and it has been well since",
        ),
        pytest.param(
            with_xid(
                119,
                age=90_000,
                before=reading(RECOVERY_ACTION=Unavailable(Why.NOT_SUPPORTED)),
                well_since=NOW - 90_000,
            ),
            CardState.UNUSABLE,
            Reason.GPU_NEEDS_RESET,
            ["GpuResetRequired"],
            id="a reset-class XID a day ago, and a driver that cannot say that it is over",
        ),
        pytest.param(
            replace(faulty(Why.TIMED_OUT), condemned=(xid(79, 90_000),)),
            CardState.UNUSABLE,
            Reason.GPU_LOST,
            ["GpuLost"],
            id="fell off the bus a day ago, and does not answer since",
        ),
        pytest.param(with_xid(31), CardState.WARNING, None, ["GpuXid"], id="an application's XID"),
        pytest.param(with_xid(43), CardState.WARNING, None, ["GpuXid"], id="a log-only XID"),
        pytest.param(with_xid(31, age=200), CardState.OK, None, [], id="an old XID"),
        pytest.param(
            reading(ECC_UNCORRECTED=2.0), CardState.WARNING, None, ["GpuEcc"], id="uncorrected ECC"
        ),
        pytest.param(
            reading(REMAP_PENDING=1.0), CardState.WARNING, None, ["GpuEcc"], id="remap pending"
        ),
        pytest.param(
            reading(REMAP_FAILED=1.0),
            CardState.WARNING,
            None,
            ["GpuRowRemapFailed"],
            id="remap failed",
        ),
        pytest.param(
            reading(ECC_UNCORRECTED=Unavailable(Why.NOT_SUPPORTED)),
            CardState.OK,
            None,
            [],
            id="a reading that is not supported is nothing",
        ),
    ],
)
def test_a_card_is_judged(evidence, state, reason, names):
    verdict = judge(evidence, LIMITS, NOW)

    assert (verdict.state, verdict.reason) == (state, reason)
    assert [finding.name for finding in verdict.findings] == names


def test_heat_takes_time_to_be_told_and_more_to_be_taken_back():
    hot, cool = reading(TEMPERATURE=88.0).sample, reading(TEMPERATURE=70.0).sample
    heat, told = Heat(), []
    for second in range(200):
        sample = hot if second < 60 else cool
        heat = feel(heat, sample, LIMITS, NOW + second)
        told.append(heat.told)

    assert told.index(True) == 30
    assert told[60:].index(False) == 60


def test_heat_that_swings_around_the_limit_is_one_incident():
    heat, changes, before = Heat(), 0, False
    for second in range(600):
        celsius = 88.0 if second % 4 < 2 else 84.0
        heat = feel(heat, reading(TEMPERATURE=celsius).sample, LIMITS, NOW + second)
        changes += heat.told is not before
        before = heat.told

    assert changes <= 1


def test_a_slowdown_that_the_hardware_reports_is_heat_at_any_temperature():
    heat = Heat()
    for second in range(40):
        heat = feel(heat, reading(CLOCK_REASONS=float(0x40)).sample, LIMITS, NOW + second)

    assert heat.told
