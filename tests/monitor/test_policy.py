"""Each row states one rule by its id."""

from __future__ import annotations

from dataclasses import replace

import pytest

from monitor.backoff import BackoffLimits, PastRestart
from monitor.model import Health, Identity, Reason, Verdict
from monitor.policy import PolicyLimits, decide
from monitor.replica import (
    CloseIncidents,
    Command,
    CommandKind,
    Kill,
    OpenIncident,
    Phase,
    Replica,
    Start,
    Surroundings,
    Terminate,
)

NOW = 1000.0
LIMITS = PolicyLimits(backoff=BackoffLimits(jitter=0.0), drain_timeout_s=30.0, rearm_s=900.0)
ME = Identity(1, 1, "b")
SERVING = Replica(
    "replica-0",
    phase=Phase.SERVING,
    generation=3,
    identity=ME,
    serving_since=NOW - 100,
    served=True,
    routable=True,
)
STARTING = replace(SERVING, phase=Phase.STARTING, serving_since=None, routable=False)
STOPPED = Replica("replica-0", start_at=NOW, generation=3)
DEAD = Verdict(Health.DEAD, Reason.KILLED, "exit code 137", 0.02)
HUNG = Verdict(Health.HUNG, Reason.NO_PROGRESS, "", 3.0)
WRONG = Verdict(Health.WRONG, Reason.CANARY_ORDER)
WELL = Verdict(Health.HEALTHY, Reason.HEALTHY)
BUSY = Verdict(Health.BUSY, Reason.BUSY)


def decided(replica, verdict, now=NOW, **around):
    return decide(replica, verdict, Surroundings(**around), LIMITS, now)


def kinds(decision):
    return [type(action) for action in decision.actions]


def test_the_first_death_after_a_stable_run_is_answered_at_once():
    decision = decided(SERVING, DEAD)

    assert decision.replica.phase is Phase.STOPPED
    assert decision.replica.start_at == NOW
    assert not decision.replica.routable
    assert kinds(decision) == [OpenIncident, Kill]
    assert decision.actions[0].name == "ReplicaDead"
    assert decision.actions[0].detected_s == pytest.approx(0.02)


@pytest.mark.parametrize(
    ("verdict", "name"),
    [
        pytest.param(HUNG, "ReplicaHung", id="hung"),
        pytest.param(WRONG, "ReplicaWrong", id="wrong"),
        pytest.param(Verdict(Health.LOST, Reason.GPU_LOST), "ReplicaDead", id="card lost"),
    ],
)
def test_a_replica_that_cannot_be_trusted_is_closed_and_killed_with_evidence(verdict, name):
    decision = decided(SERVING, verdict)

    assert decision.replica.phase is Phase.STOPPING
    assert decision.replica.after is Phase.STOPPED
    assert not decision.replica.routable
    assert decision.actions[0].name == name
    assert decision.actions[1] == Kill(evidence=True)


@pytest.mark.parametrize("health", [Health.HEALTHY, Health.BUSY, Health.STARVED, Health.SUSPECT])
def test_nothing_is_done_to_a_replica_that_is_only_busy_or_in_doubt(health):
    decision = decided(SERVING, Verdict(health, Reason.BUSY))

    assert decision.actions == ()
    assert decision.replica.phase is Phase.SERVING
    assert decision.replica.routable


SLOW = Verdict(Health.DEGRADED, Reason.SLOWER_THAN_SIBLINGS, "9 ms against 3 ms", 60.0)


def test_a_slow_replica_is_told_of_once_and_goes_on():
    first = decided(SERVING, SLOW)
    second = decided(first.replica, SLOW)

    [told] = first.actions
    assert (told.name, told.reason) == ("ReplicaDegraded", Reason.SLOWER_THAN_SIBLINGS)
    assert (told.beside, told.page) == (True, False)
    assert first.replica.phase is Phase.SERVING
    assert first.replica.routable
    assert second.actions == ()


@pytest.mark.parametrize(
    ("verdict", "closes"),
    [
        pytest.param(WELL, True, id="well again"),
        pytest.param(Verdict(Health.BUSY, Reason.BUSY), True, id="busy and fast"),
        pytest.param(Verdict(Health.SUSPECT, Reason.PROBE_FAILING), False, id="in doubt"),
        pytest.param(Verdict(Health.STARVED, Reason.STARVED), False, id="starved"),
        pytest.param(HUNG, True, id="it hangs, which is told of instead"),
    ],
)
def test_slowness_is_over_when_it_is_well_or_worse(verdict, closes):
    decision = decided(replace(SERVING, degraded=True), verdict)

    closed = [one for one in decision.actions if isinstance(one, CloseIncidents)]
    assert [one.name for one in closed] == ["ReplicaDegraded"] * closes
    assert decision.replica.degraded is not closes


def test_a_slow_replica_that_is_drained_is_not_told_of_any_more():
    decision = decided(replace(SERVING, degraded=True), WELL, command=Command(CommandKind.DRAIN))

    assert kinds(decision) == [CloseIncidents, Terminate]
    assert not decision.replica.degraded


def test_a_replica_whose_values_are_in_doubt_gets_no_traffic():
    decision = decided(SERVING, Verdict(Health.SUSPECT, Reason.CANARY_UNCONFIRMED))

    assert not decision.replica.routable
    assert decision.actions == ()


def test_a_starting_replica_is_routable_only_when_it_is_well():
    waiting = decided(STARTING, Verdict(Health.STARTING, Reason.AWAITING_CANARY))
    well = decided(replace(STARTING, troubled=True), WELL)

    assert not waiting.replica.routable
    assert well.replica.routable
    assert well.replica.phase is Phase.SERVING
    assert kinds(well) == [CloseIncidents]


def test_a_start_waits_for_the_last_one_of_the_old_group():
    assert decided(STOPPED, DEAD, leftovers=1).reason is Reason.LEFTOVERS
    started = decided(STOPPED, DEAD)
    assert started.replica.generation == 4
    assert kinds(started) == [Start]


def test_a_start_waits_for_its_time_and_for_the_breaker():
    assert decided(STOPPED, DEAD, now=NOW - 1).reason is Reason.BACKOFF
    refused = decided(STOPPED, DEAD, start_refused=Reason.ONE_AT_A_TIME)
    assert (refused.reason, refused.actions) == (Reason.ONE_AT_A_TIME, ())


def test_failures_in_a_row_wait_longer_each_time():
    waits = []
    for failures in range(4):
        decision = decided(replace(SERVING, failures=failures), DEAD)
        waits.append(decision.replica.start_at - NOW)

    assert waits == [0.0, 1.0, 2.0, 4.0]


def test_a_stable_run_forgets_failures():
    assert decided(replace(SERVING, failures=3), WELL).replica.failures == 0
    young = replace(SERVING, failures=3, serving_since=NOW - 1)
    assert decided(young, WELL).replica.failures == 3


def test_it_pages_instead_of_restarting_when_the_budget_is_spent():
    past = tuple(PastRestart(NOW - 10 * n, Reason.KILLED) for n in range(5))
    decision = decided(replace(SERVING, past=past, troubled=True), DEAD)

    assert decision.replica.phase is Phase.FAILED
    assert [action for action in decision.actions if isinstance(action, OpenIncident)] == [
        OpenIncident("ReplicaCrashLoop", Reason.BUDGET_SPENT, "exit code 137", page=True)
    ]
    assert decided(decision.replica, DEAD, now=NOW + 899).replica.phase is Phase.FAILED
    assert decided(decision.replica, DEAD, now=NOW + 900).replica.phase is Phase.STOPPED


def test_a_budget_is_for_one_cause():
    past = tuple(PastRestart(NOW - 10 * n, Reason.NO_PROGRESS) for n in range(5))

    assert decided(replace(SERVING, past=past), DEAD).replica.phase is Phase.STOPPED


def test_old_restarts_do_not_count():
    past = tuple(PastRestart(NOW - 601 - n, Reason.KILLED) for n in range(5))

    assert decided(replace(SERVING, past=past), DEAD).replica.phase is Phase.STOPPED


def test_a_start_that_fails_for_good_is_not_repeated():
    verdict = Verdict(Health.DEAD, Reason.START_FAILED_FOR_GOOD, "exit code 78: no such folder")
    decision = decided(STARTING, verdict)

    assert decision.replica.phase is Phase.FAILED
    assert decision.replica.rearm_at is None
    names = [action.name for action in decision.actions if isinstance(action, OpenIncident)]
    assert names == ["ReplicaStartFailed", "ReplicaCrashLoop"]


def test_a_replica_that_never_served_is_given_up_after_a_few_tries():
    verdict = Verdict(Health.DEAD, Reason.START_FAILED)
    twice = replace(STARTING, served=False, failures=1)
    thrice = replace(STARTING, served=False, failures=2)

    assert decided(twice, verdict).replica.phase is Phase.STOPPED
    assert decided(thrice, verdict).replica.reason is Reason.NEVER_SERVED


def test_one_incident_is_opened_and_not_one_more_for_each_failed_restart():
    decision = decided(replace(STARTING, troubled=True, failures=1), DEAD)

    assert [a for a in decision.actions if isinstance(a, OpenIncident)] == []


def test_a_drain_waits_and_then_kills():
    drained = decided(SERVING, WELL, command=Command(CommandKind.DRAIN))
    assert kinds(drained) == [Terminate]
    assert not drained.replica.routable

    assert decided(drained.replica, BUSY, now=NOW + 29).actions == ()
    assert kinds(decided(drained.replica, BUSY, now=NOW + 30)) == [Kill]
    ended = decided(drained.replica, DEAD, now=NOW + 5)
    assert ended.replica.phase is Phase.DRAINED
    assert ended.actions == ()
    assert decided(ended.replica, DEAD, now=NOW + 99).replica.phase is Phase.DRAINED
    assert decided(ended.replica, DEAD, command=Command(CommandKind.UNDRAIN)).replica.phase is (
        Phase.STOPPED
    )


def test_a_drain_with_an_end_ends():
    drained = replace(SERVING, phase=Phase.DRAINED, hold_until=NOW + 60)

    assert decided(drained, DEAD, now=NOW + 59).replica.phase is Phase.DRAINED
    assert decided(drained, DEAD, now=NOW + 60).reason is Reason.HOLD_EXPIRED


def test_an_operators_restart_costs_no_budget_and_opens_no_incident():
    asked = decided(SERVING, WELL, command=Command(CommandKind.RESTART))
    ended = decided(asked.replica, DEAD)
    started = decided(ended.replica, DEAD)

    assert kinds(asked) == [Terminate]
    assert ended.actions == ()
    assert kinds(started) == [Start]
    assert started.replica.restarts == 0


def test_an_operators_restart_revives_what_was_given_up():
    failed = replace(STOPPED, phase=Phase.FAILED, reason=Reason.NEVER_SERVED, failures=3)

    assert decided(failed, DEAD, command=Command(CommandKind.RESTART)).replica.phase is (
        Phase.STOPPED
    )


def test_deciding_twice_on_the_same_facts_is_harmless():
    once = decided(SERVING, HUNG)
    twice = decided(once.replica, HUNG)

    assert twice.replica == once.replica
    assert kinds(twice) == [Kill]


OBSERVING = replace(LIMITS, observing=True)
LEFT = Verdict(Health.DEAD, Reason.DRAINED, "exit code 0")


def observed(replica, verdict):
    return decide(replica, verdict, Surroundings(), OBSERVING, NOW)


@pytest.mark.parametrize(
    ("replica", "verdict"),
    [
        pytest.param(SERVING, LEFT, id="it drained and ended"),
        pytest.param(STARTING, LEFT, id="it was told to end before it served"),
        pytest.param(
            replace(SERVING, route_reason=Reason.DRAINING), HUNG, id="it is silent while it drains"
        ),
    ],
)
def test_who_ends_in_order_under_somebody_elses_hand_is_no_incident(replica, verdict):
    decision = observed(replica, verdict)

    assert decision.replica.phase is Phase.STOPPED
    assert decision.reason is Reason.DRAINED
    assert not decision.replica.routable
    assert kinds(decision) == [CloseIncidents]


@pytest.mark.parametrize("verdict", [DEAD, HUNG], ids=["killed", "hung"])
def test_any_other_end_is_told_by_an_observer_as_well(verdict):
    assert observed(SERVING, verdict).actions[0].name in {"ReplicaDead", "ReplicaHung"}


def test_an_end_in_order_that_nobody_asked_for_is_an_incident_where_replicas_are_ours():
    assert decided(SERVING, LEFT).actions[0].name == "ReplicaDead"


@pytest.mark.parametrize(
    "verdict",
    [
        pytest.param(Verdict(Health.DEAD, Reason.START_FAILED_FOR_GOOD), id="for good"),
        pytest.param(DEAD, id="the budget is spent"),
    ],
)
def test_an_observer_gives_nobody_up_and_takes_the_next_process_of_the_name_at_once(verdict):
    past = tuple(PastRestart(NOW - 1, Reason.KILLED) for _ in range(9))
    decision = observed(replace(SERVING, past=past, failures=5), verdict)

    names = [one.name for one in decision.actions if isinstance(one, OpenIncident)]
    assert names[-1] == "ReplicaCrashLoop"
    assert decision.replica.phase is Phase.STOPPED
    assert decision.replica.start_at == NOW
