"""What the gate decides: parity, verdict, where an upgrade stands, where the shadow runs."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from deploy.upgrade.parity import Answer, Parity, Question, compare
from deploy.upgrade.place import Place, choose
from deploy.upgrade.record import Phase
from deploy.upgrade.standing import Stand, stand
from deploy.upgrade.verdict import (
    Canary,
    Decision,
    Evidence,
    GateLimits,
    Quality,
    Reason,
    Version,
    judge,
)


def answers(*logits, took_s=0.1):
    return [Answer(tuple(map(float, one)), took_s) for one in logits]


def asked(*bests, documents=3):
    texts = tuple(f"d{number}" for number in range(documents))
    return [Question("q", "q", texts, best) for best in bests]


@pytest.mark.parametrize(
    ("old", "new", "agreement"),
    [
        pytest.param((3, 2, 1), (30, 20, 10), 1.0, id="the same order with other values"),
        pytest.param((3, 2, 1), (1, 2, 3), 0.0, id="the order reversed"),
        pytest.param((3, 2, 1), (3, 1, 2), 2 / 3, id="one pair of three exchanged"),
        pytest.param((3, 2, 1), (0, 0, 0), 0.5, id="all equal: chance"),
        pytest.param((1, 1, 1), (3, 2, 1), 1.0, id="the old one orders nothing"),
        pytest.param((2, 1, 1), (3, 1, 2), 1.0, id="a tie of the old one asks for nothing"),
    ],
)
def test_agreement_on_the_order(old, new, agreement):
    assert compare(asked(None), answers(old), answers(new)).agreement == pytest.approx(agreement)


def test_what_else_two_versions_are_compared_by():
    questions = asked(0, 2, None)
    old = answers((3, 2, 1), (1, 2, 3), (1, 2, 3), took_s=0.1)
    new = answers((3, 2, 1), (3, 2, 1.5), (1, 2, 3), took_s=0.3)

    found = compare(questions, old, new)

    assert (found.questions, found.documents) == (3, 9)
    assert (found.judged, found.old_right, found.new_right) == (2, 2, 1)
    assert found.same_first == pytest.approx(2 / 3)
    assert found.change == 2.0
    assert found.slower == pytest.approx(3.0)


OLD = Version("vllm", "small", "f1")
NEW = Version("vllm", "large", "f2")
FINE = Parity(
    questions=40,
    documents=200,
    agreement=0.8,
    same_first=0.95,
    change=5.0,
    judged=40,
    old_right=38,
    new_right=39,
    old_s=0.1,
    new_s=0.2,
)
GOOD = Evidence(OLD, NEW, 12.0, canary=Canary(True, "right order", 0.001), parity=FINE)
LIMITS = GateLimits()


def quality(new, old=0.70):
    return Quality("set", 300, new, old, 0.5)


@pytest.mark.parametrize(
    ("evidence", "limits", "reason"),
    [
        pytest.param(GOOD, LIMITS, Reason.ALL_PASSED, id="all well"),
        pytest.param(
            Evidence(OLD, start_error="no files"), LIMITS, Reason.START_FAILED, id="did not start"
        ),
        pytest.param(
            replace(GOOD, canary=Canary(False, "canary_order: zh-en")),
            LIMITS,
            Reason.CANARY,
            id="wrong order on the canary",
        ),
        pytest.param(replace(GOOD, canary=None), LIMITS, Reason.CANARY, id="no canary was run"),
        pytest.param(
            replace(GOOD, canary=Canary(True, "", 1.5)),
            LIMITS,
            Reason.UNSTABLE,
            id="two runs differ",
        ),
        pytest.param(
            replace(GOOD, parity=None, broken="HTTP 500"),
            LIMITS,
            Reason.BROKEN,
            id="fails on a question",
        ),
        pytest.param(
            replace(GOOD, parity=None, old=None),
            LIMITS,
            Reason.NOTHING_TO_COMPARE,
            id="nothing runs that it could be compared with",
        ),
        pytest.param(
            replace(GOOD, parity=None, old=None),
            replace(LIMITS, compare=False),
            Reason.ALL_PASSED,
            id="and the operator wants it so",
        ),
        pytest.param(
            replace(GOOD, parity=replace(FINE, agreement=0.59)),
            LIMITS,
            Reason.DISAGREES,
            id="orders otherwise",
        ),
        pytest.param(
            replace(GOOD, new=OLD),
            LIMITS,
            Reason.DISAGREES,
            id="the same version must order the same",
        ),
        pytest.param(
            replace(GOOD, new=OLD, parity=replace(FINE, agreement=1.0, change=1.01)),
            LIMITS,
            Reason.CHANGED,
            id="the same version must give the same values",
        ),
        pytest.param(
            replace(GOOD, new=OLD, parity=replace(FINE, agreement=1.0, change=0.01)),
            LIMITS,
            Reason.ALL_PASSED,
            id="within its noise",
        ),
        pytest.param(
            replace(GOOD, parity=replace(FINE, new_right=34)),
            LIMITS,
            Reason.ALL_PASSED,
            id="a tenth of the judged questions may be lost",
        ),
        pytest.param(
            replace(GOOD, parity=replace(FINE, new_right=33)),
            LIMITS,
            Reason.LESS_RIGHT,
            id="and no more",
        ),
        pytest.param(
            replace(GOOD, parity=replace(FINE, judged=0, old_right=0, new_right=0)),
            LIMITS,
            Reason.ALL_PASSED,
            id="nobody judged the questions",
        ),
        pytest.param(
            replace(GOOD, parity=replace(FINE, new_s=0.31)), LIMITS, Reason.SLOWER, id="too slow"
        ),
        pytest.param(
            replace(GOOD, parity=replace(FINE, new_s=0.31)),
            replace(LIMITS, slower=4.0),
            Reason.ALL_PASSED,
            id="as slow as is allowed",
        ),
        pytest.param(
            replace(GOOD, quality=quality(0.65)),
            replace(LIMITS, min_ndcg=0.66, max_drop=0.5),
            Reason.QUALITY_LOW,
            id="below the asked quality",
        ),
        pytest.param(
            replace(GOOD, quality=quality(0.67)),
            LIMITS,
            Reason.QUALITY_DROPPED,
            id="worse than the old one",
        ),
        pytest.param(
            replace(GOOD, quality=quality(0.69)), LIMITS, Reason.ALL_PASSED, id="hardly worse"
        ),
        pytest.param(
            replace(GOOD, quality=quality(0.5, old=None)),
            LIMITS,
            Reason.ALL_PASSED,
            id="no old quality to fall behind",
        ),
        pytest.param(
            replace(GOOD, parity=replace(FINE, agreement=0.1, new_s=9.0)),
            LIMITS,
            Reason.DISAGREES,
            id="of several the first is the reason",
        ),
        pytest.param(
            replace(GOOD, parity=replace(FINE, agreement=math.nan)),
            LIMITS,
            Reason.DISAGREES,
            id="no number is no agreement",
        ),
    ],
)
def test_the_decision_and_its_reason(evidence, limits, reason):
    verdict = judge(evidence, limits)

    assert verdict.reason is reason
    expected = Decision.SWITCH if reason is Reason.ALL_PASSED else Decision.KEEP
    assert verdict.decision is expected
    assert all(check.passed for check in verdict.checks) is verdict.passed


def test_after_a_failed_start_the_table_ends():
    verdict = judge(Evidence(OLD, start_error="no files"), LIMITS)

    assert [check.name for check in verdict.checks] == ["start"]
    assert verdict.checks[0].new == "no files"


def rollout(stage, name="u"):
    return {"id": name, "stage": stage, "reason": "asked"}


@pytest.mark.parametrize(
    ("phase", "found", "attended", "expected"),
    [
        (None, None, False, Stand.NONE),
        (Phase.TRYING, None, True, Stand.TRYING),
        (Phase.TRYING, None, False, Stand.INTERRUPTED),
        (Phase.TRYING, rollout("done", "earlier"), False, Stand.INTERRUPTED),
        (Phase.REFUSED, None, False, Stand.REFUSED),
        (Phase.PROVED, None, False, Stand.PROVED),
        (Phase.PROVED, rollout("rolling"), False, Stand.ROLLING),
        (Phase.CANCELLED, None, False, Stand.CANCELLED),
        (Phase.CANCELLED, rollout("done"), False, Stand.DONE),
        (Phase.SWITCHING, None, False, Stand.ASKED),
        (Phase.SWITCHING, rollout("done", "earlier"), False, Stand.ASKED),
        (Phase.SWITCHING, rollout("rolling"), False, Stand.ROLLING),
        (Phase.SWITCHING, rollout("going_back"), True, Stand.GOING_BACK),
        (Phase.SWITCHING, rollout("done"), False, Stand.DONE),
        (Phase.SWITCHING, rollout("went_back"), False, Stand.WENT_BACK),
        (Phase.SWITCHING, rollout("failed"), False, Stand.FAILED),
        (Phase.SWITCHING, rollout("stopped"), False, Stand.STOPPED),
        (Phase.DONE, rollout("rolling", "restart-1"), False, Stand.DONE),
        (Phase.DONE, None, False, Stand.DONE),
        (Phase.FAILED, None, False, Stand.FAILED),
    ],
)
def test_where_an_upgrade_stands(phase, found, attended, expected):
    word = None if phase is None else phase.value

    assert stand(word, "u", found, attended=attended).stand is expected


@pytest.mark.parametrize(
    ("found", "installed", "expected"),
    [
        pytest.param(None, None, Stand.ASKED, id="no watchdog, never installed"),
        pytest.param(None, True, Stand.ROLLING, id="no watchdog: it goes on when it is back"),
        pytest.param(None, False, Stand.GOING_BACK, id="no watchdog, and on the way back"),
        pytest.param(rollout("done", "later"), True, Stand.DONE, id="ended long ago"),
        pytest.param(rollout("done", "later"), False, Stand.WENT_BACK, id="went back long ago"),
        pytest.param(rollout("rolling"), True, Stand.ROLLING, id="the watchdog knows best"),
    ],
)
def test_an_end_that_nobody_waited_for(found, installed, expected):
    at = stand("switching", "u", found, attended=False, installed=installed)

    assert at.stand is expected


@pytest.mark.parametrize("one", list(Stand))
def test_every_standing_has_words_and_no_way_back_from_nothing(one):
    phase = {Stand.NONE: None, Stand.INTERRUPTED: "trying", Stand.ASKED: "switching"}
    found = None
    if one in {Stand.ROLLING, Stand.GOING_BACK, Stand.STOPPED}:
        found, phase = rollout(one.value), {one: "switching"}
    at = stand(phase.get(one, one.value), "u", found, attended=one is Stand.TRYING)

    assert at.stand is one
    assert at.words
    if one in {Stand.NONE, Stand.TRYING, Stand.REFUSED, Stand.CANCELLED, Stand.WENT_BACK}:
        assert at.rollback == ""


def card(uuid, **fields):
    return {"uuid": uuid, "cordoned": False, "fault": None, "state": "ok", **fields}


ON_A = [{"id": "replica-0", "gpu_uuid": "A"}]


@pytest.mark.parametrize(
    ("kind", "gpus", "options", "expected"),
    [
        pytest.param("embedded", [card("A")], {}, Place(), id="needs no card"),
        pytest.param("vllm", [], {}, Place(), id="no card is known: vLLM on CPU"),
        pytest.param("vllm", [card("A"), card("B")], {}, Place("B"), id="a free one"),
        pytest.param(
            "vllm", [card("A"), card("B")], {"wanted": "A"}, Place("A"), id="the one that was named"
        ),
        pytest.param("vllm", [card("A")], {"taken": "replica-0"}, Place("A"), id="a lent one"),
    ],
)
def test_the_card_for_the_trial(kind, gpus, options, expected):
    options = {"wanted": "", "taken": "", **options}

    assert choose(kind, gpus, ON_A, **options) == expected


@pytest.mark.parametrize(
    ("gpus", "wanted", "word"),
    [
        ([card("A")], "", "--take"),
        ([card("A"), card("B", cordoned=True)], "", "--take"),
        ([card("A"), card("B", fault="gpu_lost")], "", "--take"),
        ([card("A")], "X", "no card X"),
    ],
    ids=["all taken", "cordoned", "lost", "unknown"],
)
def test_no_card_for_the_trial_says_what_to_do(gpus, wanted, word):
    assert word in choose("vllm", gpus, ON_A, wanted=wanted, taken="").problem
