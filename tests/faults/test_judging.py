"""How the fault suite judges: a row that cannot fail would prove nothing."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from monitor.collectors.kmsg import KmsgReader
from tests.faults.fault import everything_is_over, replicas_are_well, something_is_told
from tests.faults.ground import Layout
from tests.faults.kernel_log import KernelLog
from tests.faults.long import judge_soak, slope
from tests.faults.result import Bounds, Result
from tests.faults.rows import ROWS
from tests.faults.table import markdown
from tests.faults.trial import judge
from tests.waiting import until


def course(*incidents, **restarts):
    """What happened, without the stack in which it did."""
    found = [{"name": name, "actions": []} for name in incidents]
    return SimpleNamespace(incidents=lambda: found, restarts=lambda: restarts, figures={})


def row(fault_id):
    return next(one for one in ROWS if one.id == fault_id)


def judged(fault_id, happened, *, slack=1.0, **measured):
    fault = row(fault_id)
    result = Result(fault.id, fault.name, fault.must_act, **measured)
    judge(fault, happened, result, [], slack)
    return result


GOOD = {"detected_s": 0.5, "recovered_s": 2.0, "sent": 100}


def test_a_replica_that_was_killed_found_and_replaced_is_well():
    result = judged("15", course("ReplicaDead", **{"replica-0": 1}), **GOOD)

    assert (result.ok, result.why, result.restarts) == (True, "", 1)


@pytest.mark.parametrize(
    ("incidents", "restarts", "measured", "why"),
    [
        pytest.param(["ReplicaDead"], 1, {"failed": 1}, "1 of 100 requests failed", id="lost"),
        pytest.param(["ReplicaDead"], 1, {"wrong": 1}, "1 of 100 answers were wrong", id="wrong"),
        pytest.param(["ReplicaDead"], 1, {"detected_s": 1.1}, "detected in 1.1 s", id="late"),
        pytest.param(["ReplicaDead"], 1, {"detected_s": None}, "detected in None", id="never"),
        pytest.param([], 1, {}, "0 incidents, not 1", id="no incident"),
        pytest.param(["ReplicaDead"] * 2, 1, {}, "2 incidents, not 1", id="two incidents"),
        pytest.param(["ReplicaDead"], 2, {}, "2 restarts, not 1 to 1", id="restarted twice"),
        pytest.param(["ReplicaDead"], 0, {}, "0 restarts, not 1 to 1", id="not restarted"),
    ],
)
def test_what_is_missed_is_named(incidents, restarts, measured, why):
    happened = course(*incidents, **({"replica-0": restarts} if restarts else {}))

    result = judged("15", happened, **{**GOOD, **measured})

    assert not result.ok
    assert why in result.why


def test_slack_is_for_times_and_for_nothing_else():
    late = judged(
        "15", course("ReplicaDead", **{"replica-0": 1}), slack=3, **{**GOOD, "detected_s": 2}
    )
    lost = judged("15", course("ReplicaDead", **{"replica-0": 1}), slack=3, **{**GOOD, "failed": 1})

    assert (late.ok, lost.ok) == (True, False)


def test_that_the_machine_is_slow_is_told_and_proves_nothing():
    assert judged("17'", course("HostStarved", "ReplicaDegraded")).ok


@pytest.mark.parametrize(
    ("name", "replica", "told", "over", "well"),
    [
        pytest.param("HostStarved", None, False, True, True, id="a slow host"),
        pytest.param("ReplicaDegraded", "replica-0", False, True, True, id="a slow replica"),
        pytest.param("GpuLost", None, True, False, True, id="a card"),
        pytest.param("ReplicaDead", "replica-0", True, False, False, id="a replica"),
    ],
)
def test_what_is_open_now_begins_and_ends_a_fault_unless_it_is_slowness(
    name, replica, told, over, well
):
    on = SimpleNamespace(stack=SimpleNamespace(routable=lambda: 2), layout=Layout(replicas=2))
    happening = SimpleNamespace(firing=lambda: [{"name": name, "replica": replica}], on=on)

    assert something_is_told(happening) is told
    assert everything_is_over(happening) is over
    assert replicas_are_well(happening) is well


@pytest.mark.parametrize(
    "happened",
    [
        pytest.param(course("ReplicaHung"), id="an incident"),
        pytest.param(course(**{"replica-1": 1}), id="a restart"),
    ],
)
def test_a_twin_on_which_somebody_acted_fails(happened):
    assert judged("17'", course()).ok
    assert not judged("17'", happened).ok


def test_a_fault_that_asks_for_names_takes_those_and_tolerates_what_it_says():
    lost = {"replica-0": 1}
    assert judged("1", course("GpuLost", "ReplicaDead", **lost), **GOOD).ok
    assert "no incident GpuLost" in judged("1", course("ReplicaDead", **lost), **GOOD).why
    too_many = judged("1", course("GpuLost", "HostDiskFull", **lost), **GOOD)
    assert "an incident HostDiskFull too many" in too_many.why


def test_recovery_is_compared_with_the_engines_own_load_time():
    bounds = Bounds(load_ratio=1.05)
    quick = Result("15v", "", must_act=True, recovered_s=20.0, load_s=19.5)
    slow = Result("15v", "", must_act=True, recovered_s=22.0, load_s=19.5)

    assert quick.missed(bounds, 1.0) == []
    assert "promised 1.05" in slow.missed(bounds, 1.0)[0]


def test_the_slope_of_a_line_is_its_own():
    assert slope([(0, 1), (1, 3), (2, 5)]) == pytest.approx(2.0)
    assert slope([(1, 7)]) == 0.0


@pytest.mark.parametrize(
    ("memory", "files", "flat"),
    [
        pytest.param(lambda at: 64.0 + (at % 10) / 10, 20, True, id="wanders"),
        pytest.param(lambda at: 64.0 + at / 50, 20, False, id="memory grows"),
        pytest.param(lambda _at: 64.0, None, False, id="files stay open"),
    ],
)
def test_a_soak_is_flat_or_it_is_not(memory, files, flat):
    samples = [(at, memory(at), files or 20 + int(at / 60), 12) for at in range(0, 600, 5)]

    assert judge_soak(samples, 10.0)["flat"] is flat


def test_what_fills_at_the_start_is_no_growth():
    samples = [(at, 64.0 if at > 100 else 40.0, 20, 12) for at in range(0, 600, 5)]

    assert judge_soak(samples, 10.0)["flat"]


def test_every_fault_has_its_own_number_and_says_what_it_is():
    ids = [one.id for one in ROWS]

    assert len(set(ids)) == len(ids)
    assert all(one.name for one in ROWS)
    assert {one.id for one in ROWS if one.id.endswith("'")} == {
        one.id for one in ROWS if not one.must_act
    } - {"26"}


def test_the_table_is_in_the_order_of_the_numbers():
    results = [Result(one, "name", must_act=True) for one in ("15", "2", "9.119", "10", "9a")]

    lines = markdown(results).splitlines()[2:]

    assert [line.split(" | ")[0].strip("| ") for line in lines] == ["2", "9.119", "9a", "10", "15"]


def test_the_kernel_log_is_read_a_record_at_a_time_and_again_after_a_restart(tmp_path):
    log = KernelLog(tmp_path / "kmsg")
    events = []
    reader = KmsgReader(events.append, after=None, path=log.path)
    assert reader.start()
    log.xid(1, 79, 4242)
    log.xid(2, 43)
    until("both are read", lambda: len(events) == 2, 5)
    reader.stop()

    log.again()
    log.xid(3, 95)
    later = []
    second = KmsgReader(later.append, after=reader.cursor, path=log.path)
    assert second.start()
    until("the new one is read", lambda: later, 5)
    second.stop()
    log.close()

    assert [(one.xid, one.pci_bus_id, one.pid) for one in events] == [
        (79, "0000:04:00", 4242),
        (43, "0000:05:00", None),
    ]
    assert [one.xid for one in later] == [95]
