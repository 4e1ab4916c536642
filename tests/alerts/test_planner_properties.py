"""Whatever happens in whatever order, what people believe in the end is the case."""

from __future__ import annotations

import itertools

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alerts.inhibit import Causes
from alerts.labels import parse_matcher
from alerts.message import Kind, Message
from alerts.model import Alert, Status
from alerts.quiet import parse_hours
from alerts.route import Route
from alerts.silence import Silence
from tests.alerts.make import Desk, alert, desk, resolved

OBJECTS = [
    ("ReplicaHung", "replica-0", "GPU-0"),
    ("ReplicaDead", "replica-0", "GPU-0"),
    ("ReplicaDead", "replica-1", "GPU-1"),
    ("ReplicaDegraded", "replica-1", "GPU-1"),
    ("GpuLost", None, "GPU-0"),
    ("GpuXid", None, "GPU-0"),
    ("GpuThermal", None, "GPU-1"),
    ("DriverUnavailable", None, None),
]

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("turn"), st.integers(0, len(OBJECTS) - 1)),
        st.tuples(st.just("wait"), st.sampled_from([0, 1, 3, 20, 200, 3600])),
        st.tuples(st.just("restart"), st.just(0)),
        st.tuples(st.just("silence"), st.sampled_from([0, 1])),
        st.tuples(st.just("take"), st.integers(0, len(OBJECTS) - 1)),
        st.tuples(st.just("clock"), st.sampled_from([-600, -5, 600])),
    ),
    max_size=40,
)

ROUTES = [
    (Route(("oncall",)),),
    (Route(("oncall",), group_by=("host",)),),
    (
        Route(("oncall",), go_on=True, escalate_to=("boss",), escalate_after_s=60),
        Route(("mail",)),
    ),
]


class World:
    """What is really the case, and what happens to it."""

    def __init__(self, watched: Desk) -> None:
        self.desk = watched
        self.open: dict[int, Alert] = {}
        self.numbers = itertools.count(1)
        self.sent: list[Message] = []

    def turn(self, index: int) -> None:
        known = self.open.pop(index, None)
        at = self.desk.clock.now
        if known is not None:
            self.sent += self.desk.tell(resolved(known, at))
            return
        name, replica, gpu = OBJECTS[index]
        made = alert(name, replica=replica, gpu_uuid=gpu, incident=next(self.numbers), at=at)
        self.open[index] = made
        self.sent += self.desk.tell(made)

    def wait(self, seconds: int) -> None:
        self.sent += self.desk.wait(seconds, step_s=max(1.0, seconds / 60))

    def restart(self, _: int) -> None:
        self.desk.restart()

    def silence(self, on: int) -> None:
        now = self.desk.clock.now
        matcher = parse_matcher("alertname=~Replica.*")
        self.desk.silences = [Silence("s", (matcher,), now, now + 900, "a", "b")] if on else []

    def take(self, index: int) -> None:
        if index in self.open:
            self.desk.acknowledged.add((self.open[index].fingerprint, self.open[index].incident))

    def clock(self, seconds: int) -> None:
        self.desk.clock.pass_s(seconds)

    def calm_down(self) -> None:
        """Silences end, flapping and bursts too; then nothing is left to tell."""
        self.desk.silences = []
        self.wait(4000)


def believed(messages: list[Message], receiver: str) -> set[str]:
    state: dict[str, Status] = {}
    for message in messages:
        if message.receiver == receiver:
            for each in message.alerts:
                state[each.fingerprint] = each.status
    return {fp for fp, status in state.items() if status is Status.FIRING}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS, routes=st.sampled_from(ROUTES), quiet=st.booleans())
def test_in_the_end_everybody_believes_what_is_the_case(steps, routes, quiet):
    hours = {"quiet": parse_hours("14:00-14:40")} if quiet else {}
    world = World(desk(*routes, **hours))
    for name, value in steps:
        getattr(world, name)(value)
    world.calm_down()

    really = list(world.open.values())
    causes = Causes(really)
    must = {each.fingerprint for each in really if causes.explaining(each) is None}
    may = {each.fingerprint for each in really}
    for receiver in {name for route in routes for name in route.receivers}:
        found = believed(world.sent, receiver)
        assert must <= found <= may
    assert believed(world.sent, "boss") <= may


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS, routes=st.sampled_from(ROUTES))
def test_each_key_is_used_once_and_no_end_comes_without_its_beginning(steps, routes):
    world = World(desk(*routes))
    for name, value in steps:
        getattr(world, name)(value)
    world.calm_down()

    keys = [message.key for message in world.sent]
    assert len(keys) == len(set(keys))
    begun: set[tuple[str, str]] = set()
    for message in world.sent:
        if message.kind is Kind.ACKNOWLEDGE:
            assert message.group in {each.group for each in world.sent}
        for each in message.alerts:
            if each.status is Status.FIRING:
                begun.add((message.receiver, each.fingerprint))
            else:
                assert (message.receiver, each.fingerprint) in begun
