"""Killed between any two writes of a courier, nothing is lost: neither a message nor its end."""

from __future__ import annotations

import pytest

from alerts.database import Database
from alerts.outbox import Outbox, State
from tests.alerts.make import alert, resolved
from tests.alerts.stand import BAD, NO, YES, Stand

FIRING, RESOLVED = ("firing", "ReplicaHung"), ("resolved", "ReplicaHung")


class Killed(BaseException):
    """Stands for `kill -9`: nothing catches it, and nothing more is written."""


def kill_at_write(monkeypatch, number: int) -> None:
    """The next `number` - 1 writes to the database happen; the one after them does not."""
    real, left = Database.write, [number]

    def write(self, work):
        left[0] -= 1
        if left[0] == 0:
            raise Killed
        return real(self, work)

    monkeypatch.setattr(Database, "write", write)


def pair(folder) -> Stand:
    routes = [{"receivers": ["oncall"], "group_wait_s": 0, "group_interval_s": 0}]
    return Stand(folder, "oncall", "mail", oncall={"fallback": "mail"}, routes=routes)


def run_and_die(stand: Stand, monkeypatch, number: int, seconds: float = 0.0) -> bool:
    with monkeypatch.context() as patch:
        kill_at_write(patch, number)
        try:
            stand.run(seconds)
        except Killed:
            stand.open()
            return True
    return False


def by_key(stand: Stand, name: str) -> list[tuple[str, str]]:
    """What arrived; what carries a key that was seen before is dropped, as receivers do."""
    seen = {message.key: message for message in reversed(stand.senders[name].delivered)}
    return [(m.status.value, m.alerts[0].name) for m in reversed(seen.values())]


@pytest.mark.parametrize("number", range(1, 6))
def test_a_message_that_is_given_up_reaches_the_fallback_whenever_it_is_killed(
    number, tmp_path, monkeypatch
):
    stand = pair(tmp_path)
    stand.answers["oncall"] = lambda _: BAD
    stand.pipeline.accept([alert()])

    run_and_die(stand, monkeypatch, number)
    stand.run(30)

    assert by_key(stand, "mail") == [FIRING]


@pytest.mark.parametrize("number", range(1, 6))
def test_who_stood_in_is_told_the_end_whenever_it_is_killed(number, tmp_path, monkeypatch):
    stand = pair(tmp_path)
    stand.answers["oncall"] = lambda _: NO
    firing = alert()
    stand.pipeline.accept([firing])
    stand.run(150)
    stand.answers.clear()
    stand.run(120)
    assert stand.delivered("mail") == [FIRING]

    stand.pipeline.accept([resolved(firing, stand.clock.now)])
    run_and_die(stand, monkeypatch, number, 5)
    stand.run(60)

    assert by_key(stand, "mail") == [FIRING, RESOLVED]
    assert stand.delivered("oncall")[-1] == RESOLVED


def test_who_stood_in_is_told_the_end_of_what_came_late_in_a_digest(tmp_path):
    stand = Stand(
        tmp_path,
        "oncall",
        "mail",
        oncall={"fallback": "mail", "digest_after_s": 60, "fallback_after_s": 300},
        routes=[{"receivers": ["oncall"]}],
    )
    stand.answers["oncall"] = lambda _: NO
    firing = [alert(replica=f"replica-{n}", incident=n) for n in range(1, 5)]
    stand.pipeline.accept(firing)
    stand.run(420, step_s=5)
    assert len(stand.delivered("mail")) == 4
    # they end, and the receiver works again before the fallback would be told of the end
    stand.pipeline.accept([resolved(each, stand.clock.now) for each in firing])
    stand.run(120, step_s=5)
    stand.answers.clear()
    stand.run(300, step_s=5)

    ends = [status for status, _ in stand.delivered("mail") if status == "resolved"]
    assert len(ends) == 4


def test_a_retry_by_hand_and_a_kill_do_not_double_what_was_sent(tmp_path, monkeypatch):
    stand = pair(tmp_path)
    stand.answers["oncall"] = lambda _: YES
    stand.pipeline.accept([alert()])
    assert run_and_die(stand, monkeypatch, 2)  # sent, and killed before that was written
    stand.run(10)

    keys = [message.key for message in stand.senders["oncall"].delivered]
    assert len(keys) == 2
    assert len(set(keys)) == 1
    assert not Outbox(stand.pipeline._database).entries(state=State.PENDING)
