"""Rolling restarts: whose turn it is, what is waited for, when it goes back."""

from __future__ import annotations

from dataclasses import replace

import pytest

from monitor.model import Reason
from monitor.replica import Phase
from monitor.rollout import (
    TRIES,
    Member,
    Rollout,
    Stage,
    Step,
    Why,
    advance,
    begin,
    turn_back,
)

NOW = 1_700_000_000.0
LIMIT = 60.0


def up(name, generation=1):
    return Member(name, Phase.SERVING, generation, routable=True)


def of(name, phase, generation=1, waiting=None):
    return Member(name, phase, generation, routable=False, waiting=waiting)


OLD = [up("a"), up("b"), up("c")]


def rolling(members=OLD, *, version="v2", **fields):
    begun = begin(Rollout("r", version, limit_s=LIMIT), members, NOW)
    return replace(begun, **fields)


def settle(rollout, members, *, surge_id=None):
    """Let every restart succeed at once; the order of the turns, and the end."""
    turns = []
    for second in range(30):
        step = advance(rollout, members, NOW + second, surge_id=surge_id)
        rollout = step.rollout
        if step.restart is not None:
            turns.append(step.restart)
            members = [
                up(one.id, one.generation + 1) if one.id == step.restart else one for one in members
            ]
        if rollout.surge is not None and rollout.surge not in {one.id for one in members}:
            turns.append(f"+{rollout.surge}")
            members = [*members, up(rollout.surge, 5)]
        if not rollout.is_active:
            break
    return turns, rollout


@pytest.mark.parametrize(
    ("members", "turns"),
    [
        pytest.param(OLD, ["a", "b", "c"], id="all, one after the other"),
        pytest.param(
            [up("a"), of("b", Phase.FAILED), up("c")],
            ["b", "a", "c"],
            id="who does not serve goes first: it costs nothing",
        ),
        pytest.param(
            [up("a"), of("b", Phase.DRAINED)],
            ["a"],
            id="who is drained stays so",
        ),
        pytest.param(
            [up("a"), Member("b", Phase.SERVING, 1, routable=False)],
            ["b", "a"],
            id="who serves and may not be used counts as not serving",
        ),
        pytest.param([], [], id="nobody there: nothing to do"),
    ],
)
def test_the_order_of_the_turns(members, turns):
    found, rollout = settle(rolling(members), members)

    assert found == turns
    assert (rollout.stage, rollout.reason) == (Stage.DONE, Why.ALL_NEW)
    assert rollout.ended_at is not None


def test_the_only_replica_gets_help_while_it_restarts():
    found, rollout = settle(rolling([up("a")]), [up("a")], surge_id="b")

    assert found == ["+b", "a"]
    assert (rollout.stage, rollout.surge) == (Stage.DONE, None)


@pytest.mark.parametrize(
    ("surge_id", "may_surge"), [(None, True), ("b", False)], ids=["no room", "not wanted"]
)
def test_without_help_the_only_replica_restarts_and_requests_wait(surge_id, may_surge):
    found, _ = settle(rolling([up("a")], may_surge=may_surge), [up("a")], surge_id=surge_id)

    assert found == ["a"]


def test_help_that_finds_no_card_is_done_without():
    surging = rolling([up("a")], surge="b", reason=Why.SURGING, may_surge=False)
    members = [up("a"), of("b", Phase.STOPPED, waiting=Reason.NO_GPU)]

    step = advance(surging, members, NOW + 1, surge_id="c")
    again = advance(step.rollout, [up("a")], NOW + 2, surge_id="c")

    assert step.rollout.surge is None
    assert again.restart == "a"


TURN = rolling(current="a", reason=Why.WAITING_FOR_REPLICA)


@pytest.mark.parametrize(
    ("member", "restart", "why"),
    [
        pytest.param(up("a"), "a", Why.WAITING_FOR_REPLICA, id="not told yet: told again"),
        pytest.param(
            of("a", Phase.STOPPING), None, Why.WAITING_FOR_REPLICA, id="on its way down: awaited"
        ),
        pytest.param(
            of("a", Phase.STOPPED), None, Why.WAITING_FOR_REPLICA, id="about to start: awaited"
        ),
        pytest.param(
            of("a", Phase.STARTING, 2), None, Why.WAITING_FOR_REPLICA, id="new, loading: awaited"
        ),
        pytest.param(
            Member("a", Phase.SERVING, 2, routable=False),
            None,
            Why.WAITING_FOR_REPLICA,
            id="new, its canary not passed: awaited",
        ),
        pytest.param(up("a", 2), "b", Why.WAITING_FOR_REPLICA, id="new and up: the next one"),
        pytest.param(
            of("a", Phase.DRAINED), "b", Why.WAITING_FOR_REPLICA, id="drained meanwhile: the next"
        ),
    ],
)
def test_a_turn(member, restart, why):
    step = advance(TURN, [member, up("b"), up("c")], NOW + 1)

    assert (step.restart, step.rollout.reason) == (restart, why)


def test_a_replica_that_runs_something_else_than_what_was_tried_takes_it_back():
    tried = replace(TURN, fingerprint="new")
    fine = [replace(up("a", 2), fingerprint="new"), up("b"), up("c")]
    other = [replace(up("a", 2), fingerprint="old"), up("b"), up("c")]

    unread = [up("a", 2), up("b"), up("c")]

    assert advance(tried, fine, NOW + 1).restart == "b"
    assert advance(tried, unread, NOW + 1).rollout.reason is Why.WAITING_FOR_REPLICA
    assert advance(tried, unread, NOW + 1).restart is None
    step = advance(tried, other, NOW + 1)
    assert step.go_back
    assert step.rollout.reason is Why.OTHER_VERSION


def test_a_replica_that_is_gone_is_not_awaited():
    assert advance(TURN, [up("b"), up("c")], NOW + 1).restart == "b"


@pytest.mark.parametrize(
    "b",
    [of("b", Phase.STARTING, 2), of("b", Phase.STOPPED, 2)],
    ids=["loading", "waiting for its restart"],
)
def test_nobody_is_taken_away_while_another_one_is_down(b):
    step = advance(rolling(), [up("a"), b, up("c")], NOW + 1)

    assert step.restart is None
    assert step.rollout.reason is Why.WAITING_FOR_OTHERS


FAILURES = [
    pytest.param(of("a", Phase.FAILED, 2), 1.0, Why.GIVEN_UP, id="given up"),
    pytest.param(of("a", Phase.STARTING, 2 + TRIES), 1.0, Why.DIED_AGAIN, id="died twice"),
    pytest.param(of("a", Phase.STARTING, 2), LIMIT + 1, Why.TOO_LATE, id="too late"),
    pytest.param(of("a", Phase.STOPPING, 1), LIMIT + 1, Why.TOO_LATE, id="does not end"),
]


@pytest.mark.parametrize(("member", "after_s", "why"), FAILURES)
def test_a_new_version_that_does_not_come_up_is_taken_back(member, after_s, why):
    step = advance(TURN, [member, up("b"), up("c")], NOW + after_s)

    assert step.go_back
    assert (step.rollout.stage, step.rollout.reason) == (Stage.GOING_BACK, why)
    assert "a" in step.rollout.detail


@pytest.mark.parametrize(("member", "after_s", "why"), FAILURES)
def test_a_plain_restart_that_fails_stops_there(member, after_s, why):
    plain = replace(TURN, version="")

    step = advance(plain, [member, up("b"), up("c")], NOW + after_s)

    assert (step.rollout.stage, step.rollout.reason) == (Stage.FAILED, why)
    assert step.rollout.ended_at == NOW + after_s
    assert not step.go_back


@pytest.mark.parametrize(
    "member",
    [of("a", Phase.STARTING, 2), of("a", Phase.STARTING, 1 + TRIES), of("a", Phase.STOPPED, 2)],
    ids=["first try", "second try", "between two tries"],
)
def test_one_failed_start_is_bad_luck(member):
    step = advance(TURN, [member, up("b"), up("c")], NOW + 1)

    assert step.rollout.stage is Stage.ROLLING


def test_others_that_stay_unwell_end_it():
    members = [up("a", 2), of("b", Phase.STARTING, 2), up("c")]

    step = advance(rolling(), members, NOW + LIMIT + 1)

    assert (step.rollout.stage, step.rollout.reason) == (Stage.GOING_BACK, Why.OTHERS_UNWELL)


@pytest.mark.parametrize(
    ("surge", "after_s", "why"),
    [
        pytest.param(of("d", Phase.FAILED, 8), 1.0, Why.GIVEN_UP, id="given up"),
        pytest.param(of("d", Phase.STARTING, 7 + TRIES), 1.0, Why.DIED_AGAIN, id="died twice"),
        pytest.param(of("d", Phase.STARTING, 7), LIMIT + 1, Why.TOO_LATE, id="too late"),
    ],
)
def test_help_that_does_not_come_up_ends_it_before_the_only_replica_is_touched(surge, after_s, why):
    surging = rolling([up("a")], surge="d", surge_from=7, reason=Why.SURGING, may_surge=False)

    step = advance(surging, [up("a"), surge], NOW + after_s)
    after = advance(step.rollout, [up("a")], NOW + after_s)

    assert step.rollout.reason is why
    assert step.rollout.surge is None
    assert step.rollout.before == ()
    assert after.rollout.stage is Stage.WENT_BACK


def test_help_that_served_under_this_name_before_is_not_taken_for_one_that_died():
    surging = rolling([up("a")], surge="d", reason=Why.SURGING, may_surge=False)

    step = advance(surging, [up("a"), of("d", Phase.STARTING, 40)], NOW + 1)

    assert step.rollout.is_active


def test_going_back_restarts_who_is_new_and_leaves_who_is_old_alone():
    members = [up("a", 2), of("b", Phase.FAILED, 2), up("c"), up("came-later", 1)]

    back = turn_back(replace(TURN, current="b"), members, Why.GIVEN_UP, NOW + 5)
    turns, ended = settle(back.rollout, members)

    assert turns == ["b", "a", "came-later"]
    assert (ended.stage, ended.reason) == (Stage.WENT_BACK, Why.GIVEN_UP)
    assert ended.detail == "b did not start"


def test_the_old_version_that_fails_as_well_is_for_a_person():
    back = turn_back(TURN, [of("a", Phase.FAILED, 2)], Why.GIVEN_UP, NOW).rollout
    turn = advance(back, [of("a", Phase.FAILED, 2), up("b")], NOW + 1)
    assert turn.restart == "a"

    step = advance(turn.rollout, [of("a", Phase.FAILED, 3), up("b")], NOW + 2)

    assert (step.rollout.stage, step.rollout.reason) == (Stage.FAILED, Why.GIVEN_UP)


def test_help_bridges_the_way_back_too_when_it_serves():
    members = [of("a", Phase.FAILED, 2), up("d", 9)]
    surging = rolling([up("a")], current="a", surge="d", surge_from=9, may_surge=False)

    step = advance(surging, members, NOW + 1)

    assert step.rollout.surge == "d"
    assert step.rollout.before == (("a", 2),)


@pytest.mark.parametrize("stage", [Stage.DONE, Stage.WENT_BACK, Stage.FAILED, Stage.STOPPED])
def test_one_that_ended_does_nothing(stage):
    ended = rolling(stage=stage)

    assert advance(ended, OLD, NOW + 1) == Step(ended)


def test_deciding_twice_on_the_same_facts_decides_the_same():
    first = advance(rolling(), OLD, NOW + 1)

    again = advance(first.rollout, OLD, NOW + 1)

    assert again.restart == first.restart == "a"
    assert again.rollout == first.rollout
