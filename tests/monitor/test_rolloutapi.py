"""What becomes of a request for a rolling restart, before the loop hears of it."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus

import pytest

from monitor.inbox import RolloutAsked, RolloutEnded
from monitor.rollout import Rollout, Stage
from monitor.rolloutapi import order
from monitor.snapshot import Snapshot

NOW = 1_700_000_000.0
IDLE = Snapshot(at=NOW, started_at=NOW)
ROLLING = replace(IDLE, rollout=Rollout("r1", "v2"))
RESTARTING = replace(IDLE, rollout=Rollout("r1"))
OVER = replace(IDLE, rollout=Rollout("r1", "v2", stage=Stage.DONE))


@pytest.mark.parametrize(
    ("snapshot", "verb", "body", "message"),
    [
        pytest.param(IDLE, "", {}, RolloutAsked("restart-1700000000"), id="a plain restart"),
        pytest.param(
            OVER,
            "",
            {"id": "u", "version": "v3", "fingerprint": "f", "limit_s": 60, "surge": False},
            RolloutAsked("u", "v3", "f", 60.0, surge=False),
            id="a version, after an earlier one ended",
        ),
        pytest.param(ROLLING, "back", {}, RolloutEnded(back=True), id="back"),
        pytest.param(RESTARTING, "stop", {}, RolloutEnded(back=False), id="stop"),
    ],
)
def test_what_is_passed_on(snapshot, verb, body, message):
    found = order(snapshot, verb, body, NOW)

    assert found.code is HTTPStatus.ACCEPTED
    assert found.message == message


@pytest.mark.parametrize(
    ("snapshot", "verb", "body", "code"),
    [
        pytest.param(None, "", {}, 503, id="the watchdog is starting"),
        pytest.param(ROLLING, "", {}, 409, id="one runs"),
        pytest.param(IDLE, "back", {}, 409, id="none runs that could go back"),
        pytest.param(OVER, "stop", {}, 409, id="it is over"),
        pytest.param(RESTARTING, "back", {}, 409, id="a plain restart has no way back"),
        pytest.param(IDLE, "forth", {}, 404, id="no such verb"),
        pytest.param(
            IDLE, "", {"version": "../../etc"}, 400, id="a version that leaves its folder"
        ),
        pytest.param(IDLE, "", {"version": 2}, 400, id="a version that is no text"),
        pytest.param(IDLE, "", {"id": "a b"}, 400, id="a name with a space"),
        pytest.param(IDLE, "", {"fingerprint": 1}, 400, id="a fingerprint that is no text"),
        pytest.param(IDLE, "", {"limit_s": "1"}, 400, id="a limit that is no number"),
        pytest.param(IDLE, "", {"limit_s": True}, 400, id="a limit that is a truth"),
        pytest.param(IDLE, "", {"limit_s": 0}, 400, id="a limit of nothing"),
        pytest.param(IDLE, "", {"surge": "yes"}, 400, id="a surge that is no truth"),
    ],
)
def test_what_is_refused(snapshot, verb, body, code):
    found = order(snapshot, verb, body, NOW)

    assert found.code == code
    assert found.message is None
    assert found.body["error"]
