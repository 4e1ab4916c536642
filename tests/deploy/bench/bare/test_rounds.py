import asyncio

from deploy.bench.bare import overhead
from deploy.bench.bare.plan import Plan
from deploy.bench.bare.rounds import play
from deploy.bench.text import Library
from deploy.bench.versus import Shape, Side
from deploy.evaluate.dialect import DIALECTS
from deploy.evaluate.endpoint import Client, Target
from tests.deploy.evaluate.server import Endpoint, serving

LIBRARY = Library(seed=1)
SMALL, LARGE = Shape(1, 2, 60), Shape(3, 4, 60)


def target(endpoint, name="side"):
    return Target(name, endpoint.url, DIALECTS["vllm"])


def played(plan, endpoints, **options):
    ticks = []
    sides = {name: Side(target(each, name)) for name, each in endpoints.items()}

    async def main():
        async with Client() as client:
            return await play(
                client,
                sides,
                LIBRARY,
                plan,
                tick=lambda name, shape: ticks.append((name, shape)),
                **{"deadline": float("inf"), **options},
            )

    return asyncio.run(main()), ticks


def test_sides_take_turns_and_get_the_same_texts_in_the_same_round():
    with serving(Endpoint()) as one, serving(Endpoint()) as other:
        plan = Plan((SMALL, LARGE), rounds=2, seconds=0.01)
        runs, ticks = played(plan, {"ours": one, "bare": other})
    assert ticks == [
        ("ours", SMALL), ("bare", SMALL), ("ours", LARGE), ("bare", LARGE),
        ("bare", SMALL), ("ours", SMALL), ("bare", LARGE), ("ours", LARGE),
    ]  # fmt: skip
    assert one.bodies[0][1]["documents"] == other.bodies[0][1]["documents"]
    (small, large) = runs.compared("ours", "bare", plan.shapes)
    assert (len(small.ours), len(small.theirs), len(large.ours)) == (2, 2, 2)
    assert large.ours[0].summary.docs_per_s > 0


def test_nothing_is_sent_twice_to_a_side_unless_it_is_asked_for():
    with serving(Endpoint()) as one:
        played(Plan((SMALL, LARGE), rounds=2, seconds=0.01), {"ours": one})
    texts = [text for _, body in one.bodies for text in body["documents"]]
    assert len(texts) > 8
    assert len(set(texts)) == len(texts)


def test_plays_with_other_numbers_share_no_text():
    with serving(Endpoint()) as one:
        played(Plan((SMALL,), rounds=1, seconds=0.01), {"ours": one})
        until = len(one.bodies)
        played(Plan((SMALL,), rounds=1, seconds=0.01), {"ours": one}, first=1000)
    earlier, later = (
        {text for _, body in bodies for text in body["documents"]}
        for bodies in (one.bodies[:until], one.bodies[until:])
    )
    assert earlier
    assert later
    assert not earlier & later


def test_warm_rounds_do_not_count():
    with serving(Endpoint()) as one:
        plan = Plan((SMALL,), rounds=1, seconds=0.01, warm_rounds=2)
        runs, ticks = played(plan, {"ours": one})
    assert len(ticks) == 3
    assert len(runs.of("ours", SMALL)) == 1


def test_when_the_time_is_up_every_load_still_has_one_round():
    with serving(Endpoint()) as one:
        plan = Plan((SMALL, LARGE), rounds=5, seconds=0.01, warm_rounds=1)
        runs, ticks = played(plan, {"ours": one}, deadline=0.0)
    assert len(ticks) == 2 * 2  # warmed once, counted once
    assert [len(each.ours) for each in runs.compared("ours", "ours", plan.shapes)] == [1, 1]


def test_what_the_gateway_adds_is_the_difference_of_the_percentiles():
    found = overhead.summed_up([3.0, 4.0, 5.0, 30.0], [1.0, 2.0, 3.0, 4.0])
    assert (found.requests, found.gateway_p50, found.worker_p50) == (4, 4.5, 2.5)
    assert found.p50 == 2.0
    assert found.p99 == found.gateway_p99 - found.worker_p99
    assert found.p99 > 20
