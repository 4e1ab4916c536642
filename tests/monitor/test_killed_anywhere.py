"""The watchdog killed at every single point of a restart: the next one makes everything good."""

from __future__ import annotations

import itertools

import pytest

from monitor.journal import Journal, read_recent
from monitor.model import CanaryOutcome
from tests.monitor.fakes import FakeHost, FakeSink, Machine


class Killed(BaseException):
    """As SIGKILL: nothing catches it, nothing is done after it."""


_POINTS = (
    (FakeHost, ("start", "terminate", "kill", "leftovers", "release", "remove_manifest")),
    (FakeHost, ("write_verdict", "follow", "forget")),
    (Journal, ("record", "save_incident", "mark_told", "save_replica", "note")),
    (FakeSink, ("accept",)),
)


class Trap:
    """Counts what is done to the world, and kills before or after the n-th."""

    def __init__(self, patch, number, *, after):
        self.number = number
        self.after = after
        self.count = 0
        self.armed = False
        for owner, names in _POINTS:
            for name in names:
                patch.setattr(owner, name, self.around(getattr(owner, name)))

    def around(self, call):
        def trapped(*args, **kwargs):
            if not self.armed:
                return call(*args, **kwargs)
            self.count += 1
            here = self.count == self.number
            if here and not self.after:
                self.armed = False
                raise Killed
            done = call(*args, **kwargs)
            if here:
                self.armed = False
                raise Killed
            return done

        return trapped


def dies(host):
    host.die(host.current["replica-0"], 137)


def hangs(host):
    worker = host.current["replica-0"]
    worker.answering = False


def is_wrong(host):
    host.current["replica-0"].canary = CanaryOutcome.WRONG


def live(machine, trap, seconds):
    """Run; True when it was killed."""
    trap.armed = True
    try:
        machine.run(seconds)
    except Killed:
        return True
    trap.armed = False
    return False


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("fault", [dies, hangs, is_wrong], ids=lambda one: one.__name__)
def test_there_is_one_worker_one_incident_and_each_alert_once(tmp_path, fault, after):
    for number in itertools.count(1):
        folder = tmp_path / str(number)
        folder.mkdir()
        with pytest.MonkeyPatch.context() as patch:
            trap = Trap(patch, number, after=after)
            one = Machine(folder)
            one.run(4)
            fault(one.host)
            killed = live(one, trap, 30)
            sink = one.sink
            one.journal.close()
            if not killed:
                break
        two = Machine(folder, host=one.host, clock=one.clock)
        two.sink.alerts, two.sink.order = sink.alerts, sink.order  # the outbox outlives us
        two.run(30)
        check(two, f"killed at {number}")
        two.journal.close()
    assert number > 10


def check(machine, when):
    alive = [one for one in machine.host.workers.values() if one.alive]
    assert len(alive) == 1, when
    assert machine.view().replica.routable, when
    assert machine.view().replica.generation == alive[0].manifest.generation, when
    assert machine.host.verdicts["replica-0"] == (machine.generation, True, "healthy"), when
    generations = [one.manifest.generation for one in machine.host.workers.values()]
    assert generations == sorted(set(generations)), when
    assert len(generations) <= 3, when
    incidents = read_recent(machine.path, 10)[0]
    assert all(one.resolved_at is not None for one in incidents), when
    told = sorted(machine.sink.order)
    assert told == sorted(
        (one.name, status) for one in incidents for status in ("firing", "resolved")
    ), when
