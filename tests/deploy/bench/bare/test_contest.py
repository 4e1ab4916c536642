import asyncio
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest

from deploy.bench.bare import contest, sides
from deploy.bench.bare.plan import Plan
from deploy.bench.bare.server import Server
from deploy.bench.text import Library
from deploy.bench.versus import Shape
from deploy.evaluate.endpoint import Client
from tests.deploy.evaluate.server import Endpoint, by_shared_words, serving

UNIQUE, REPEATED = Shape(2, 3, 60), Shape(1, 3, 60, repeated=True)


def plans(chars):
    del chars
    return Plan((UNIQUE,), 2, 0.01), Plan((REPEATED,), 1, 0.01, warm_rounds=1)


class Told:
    """What a person at the terminal would have seen."""

    def __init__(self):
        self.words, self.runs, self.expected, self.tables = [], [], [], {}
        self.watch = contest.Watch(
            say=self.words.append,
            expect=self.expected.append,
            tick=lambda name, shape: self.runs.append((name, shape)),
            table=self.tables.__setitem__,
        )


def course(endpoints, told, work, tmp_path):
    options = contest.Options(
        "python", sides.Engine("m", on_cpu=True), tmp_path, 16, 1, plans, 1.0, 60.0
    )

    async def main():
        servers = {
            name: Server(name, urlsplit(each.url).port, "/health")
            for name, each in endpoints.items()
        }
        async with Client() as client:
            return await work(contest.Course(client, Library(seed=1), servers, options, told.watch))

    with ExitStack() as stack:
        for each in endpoints.values():
            stack.enter_context(serving(each))
        return asyncio.run(main())


def test_three_comparisons_come_out_of_two_sets_of_rounds(tmp_path):
    endpoints = {name: Endpoint() for name in (sides.OURS, sides.BARE, sides.BARE_SAME)}
    told = Told()
    found = course(endpoints, told, lambda c: c.compare(60, ends=float("inf")), tmp_path)
    assert {name: [each.shape for each in loads] for name, loads in found.items()} == {
        "unique_defaults": [UNIQUE],
        "unique_same_settings": [UNIQUE],
        "repeated": [REPEATED],
    }
    assert found["unique_defaults"][0].ours == found["unique_same_settings"][0].ours
    assert told.expected == [len(told.runs)]
    assert list(told.tables) == list(found)
    asked = [body["query"] for _, body in endpoints[sides.BARE_SAME].bodies]
    assert len(asked) == len(set(asked)), "the repeated request is not for this side"


def test_sides_that_score_alike_are_compared(tmp_path):
    endpoints = {name: Endpoint() for name in (sides.OURS, sides.BARE, sides.BARE_SAME)}
    found = course(endpoints, Told(), lambda c: c.agree(), tmp_path)
    assert {name: (one.largest, one.same_order) for name, one in found.items()} == {
        sides.BARE: (0.0, 1.0),
        sides.BARE_SAME: (0.0, 1.0),
    }


def test_a_side_with_another_prompt_ends_the_run(tmp_path):
    endpoints = {name: Endpoint() for name in (sides.OURS, sides.BARE)}
    endpoints[sides.BARE_SAME] = Endpoint(scorer=lambda q, d: 1.0 - by_shared_words(q, d))
    told = Told()
    with pytest.raises(contest.Disagree, match="bare_same scores a pair"):
        course(endpoints, told, lambda c: c.agree(), tmp_path)
    assert told.runs == []
