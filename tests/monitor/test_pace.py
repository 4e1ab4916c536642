"""How fast a replica is, and from when on that counts as slow."""

from __future__ import annotations

import pytest

from monitor.model import CanaryOutcome, CanaryResult, Progress, Reason, WorkerState
from monitor.pace import Pace, PaceLimits, Slowness, Track, compare, judge

LIMITS = PaceLimits()
USUAL = Pace(canary_s=0.02, usual_s=0.02, document_s=0.003)


def pace(**changes) -> Pace:
    return Pace(
        **{"canary_s": 0.02, "usual_s": 0.02, "document_s": 0.003, "kind": ("", ""), **changes}
    )


@pytest.mark.parametrize(
    ("own", "siblings", "reason"),
    [
        pytest.param(USUAL, [USUAL], None, id="alike"),
        pytest.param(Pace(), [USUAL], None, id="nothing known of it"),
        pytest.param(USUAL, [Pace()], None, id="nothing known of the others"),
        pytest.param(
            pace(document_s=0.009),
            [USUAL],
            Reason.SLOWER_THAN_SIBLINGS,
            id="three times a sibling's time per document",
        ),
        pytest.param(pace(document_s=0.006), [USUAL], None, id="twice is not enough"),
        pytest.param(
            pace(document_s=0.009), [USUAL, pace(document_s=0.008)], None, id="half are as slow"
        ),
        pytest.param(
            pace(document_s=0.009),
            [USUAL, pace(document_s=0.008), USUAL],
            Reason.SLOWER_THAN_SIBLINGS,
            id="the median of the siblings counts",
        ),
        pytest.param(pace(document_s=0.009), [], None, id="no sibling"),
        pytest.param(
            pace(document_s=0.009), [pace(kind=("", "H100"))], None, id="another sort of card"
        ),
        pytest.param(
            pace(document_s=0.0003), [pace(document_s=0.0001)], None, id="too little to matter"
        ),
        pytest.param(
            pace(canary_s=0.055, usual_s=None, document_s=None),
            [pace(document_s=None)],
            Reason.SLOWER_THAN_SIBLINGS,
            id="idle, and a canary takes longer than a sibling's",
        ),
        pytest.param(
            pace(canary_s=0.07), [], Reason.SLOWER_THAN_BEFORE, id="three times its own past"
        ),
        pytest.param(pace(canary_s=0.05), [], None, id="within its past"),
        pytest.param(pace(canary_s=0.009, usual_s=0.002), [], None, id="a few milliseconds"),
        pytest.param(
            pace(canary_s=0.4, usual_s=0.4), [], Reason.LATENCY, id="over the objective while idle"
        ),
        pytest.param(pace(canary_s=0.37, usual_s=0.37), [], None, id="within the objective"),
    ],
)
def test_what_counts_as_slow(own, siblings, reason):
    found = compare(own, siblings, LIMITS)

    assert (None if found is None else found[0]) is reason


SLOW = pace(document_s=0.009)
ALMOST = pace(document_s=0.0065)  # under the limit, and not under four fifths of it


def after(*steps: tuple[float, Pace]) -> Slowness:
    """The state after a replica went at each pace up to its moment, looked at every second."""
    state, now = Slowness(), 0.0
    for until, own in steps:
        while now < until:
            state = judge(state, own, [USUAL], LIMITS, now)
            now += 1.0
    return state


@pytest.mark.parametrize(
    ("steps", "slow"),
    [
        pytest.param([(60, SLOW)], False, id="not for long enough"),
        pytest.param([(62, SLOW)], True, id="for a minute"),
        pytest.param([(30, SLOW), (31, USUAL), (62, SLOW)], False, id="with a break"),
        pytest.param([(62, SLOW), (100, USUAL)], True, id="well for half a minute"),
        pytest.param([(62, SLOW), (124, USUAL)], False, id="well for a minute"),
        pytest.param([(62, SLOW), (300, ALMOST)], True, id="a little better is not well"),
        pytest.param([(300, ALMOST)], False, id="and was never slow"),
        pytest.param(
            [(62, SLOW), (100, USUAL), (102, SLOW), (150, USUAL)], True, id="a swing is one time"
        ),
    ],
)
def test_slow_opens_and_closes_only_after_it_lasted(steps, slow):
    assert (after(*steps).slow is not None) is slow


def test_slow_says_since_when_and_by_how_much():
    slow = after((70, SLOW)).slow

    assert slow.since == 0.0
    assert slow.detail == "9.0 ms per document, against 3.0 ms"


def canary(began: float, seconds: float, **changes) -> CanaryResult:
    fields = {"outcome": CanaryOutcome.PASSED, "logits": {"a": (1.0,)}, **changes}
    return CanaryResult(1, began=began, ended=began + seconds, **fields)


def progress(busy_s=0.0, served=0) -> Progress:
    return Progress(1, WorkerState.READY, busy_s=busy_s, served=served)


class Replica:
    """A track that is fed as the loop does: progress, canary, progress, every ten seconds."""

    def __init__(self) -> None:
        self.track = Track(cases=4)
        self.track.see_kind("f", "H100")
        self.now = 0.0
        self.busy_s, self.served = 0.0, 0

    def canaries(self, count: int, seconds: float, *, busy_s=0.0, **changes) -> None:
        for _ in range(count):
            self.track.see_progress(progress(self.busy_s, self.served), self.now)
            self.track.see_canary(canary(self.now + 1, seconds, **changes))
            self.busy_s += busy_s
            self.track.see_progress(progress(self.busy_s, self.served), self.now + 5)
            self.now += 10.0


def test_a_pace_is_the_median_of_canaries_that_ran_alone():
    one = Replica()
    one.canaries(4, 0.4)
    assert one.track.pace().canary_s is None
    one.canaries(1, 4.0)

    assert one.track.pace().canary_s == pytest.approx(0.1)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"busy_s": 0.01}, id="users' work ran beside it"),
        pytest.param({"outcome": CanaryOutcome.TIMED_OUT}, id="it did not end in time"),
        pytest.param({"logits": {}}, id="canaries are switched off"),
    ],
)
def test_a_canary_that_says_nothing_of_the_pace_is_left_out(changes):
    one = Replica()
    one.canaries(5, 0.4)
    one.canaries(20, 4.0, **changes)

    assert one.track.pace().canary_s == pytest.approx(0.1)


def test_what_is_usual_is_learned_once_and_outlives_a_generation():
    one = Replica()
    one.canaries(8, 0.4)
    one.canaries(8, 4.0)
    one.track.begin()

    assert one.track.pace() == Pace(("f", "H100"), None, pytest.approx(0.1), None)


def test_another_model_or_card_is_learned_anew():
    one = Replica()
    one.canaries(8, 0.4)
    one.track.see_kind("f", "A10")

    assert one.track.pace() == Pace(("f", "A10"))


@pytest.mark.parametrize(
    ("seconds", "busy_share", "per_s", "expected"),
    [
        pytest.param(30, 1.0, 100, 0.01, id="saturated"),
        pytest.param(30, 0.2, 20, 0.01, id="busy now and then"),
        pytest.param(30, 0.05, 20, None, id="too little work"),
        pytest.param(30, 1.0, 1, None, id="too few documents"),
    ],
)
def test_the_time_per_document_is_busy_time_over_documents(seconds, busy_share, per_s, expected):
    track = Track(cases=4)
    for at in range(seconds + 1):
        track.see_progress(progress(at * busy_share, at * per_s), float(at))

    assert track.pace().document_s == (None if expected is None else pytest.approx(expected))


def test_the_time_per_document_is_of_the_last_minute_and_bounded():
    track = Track(cases=4)
    for tick in range(30_000):  # at ten looks a second
        at = tick / 10
        slow = max(0.0, at - 2900)
        track.see_progress(progress(at, int(100 * (at - slow) + 10 * slow)), at)

    assert track.pace().document_s == pytest.approx(0.1, rel=0.05)
