"""The whole run, from starting the sides to the outcome; says what it does as it goes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.bench import length, versus
from deploy.bench.bare import outcome, overhead, plan, server, sides
from deploy.bench.bare.outcome import Outcome
from deploy.bench.bare.overhead import Overhead
from deploy.bench.bare.rounds import play
from deploy.bench.bare.server import Server
from deploy.bench.text import Library
from deploy.bench.versus import Agreement, ByLoad, Shape, Side
from deploy.evaluate.dialect import DIALECTS
from deploy.evaluate.endpoint import Client, Target

INSTANT = "instant"
"""A stack of ours whose engine answers at once: what is left is the gateway."""

_REPEATED_SHARE = 90.0  # seconds of the whole that the repeated pairs and the overhead are left
_OVERHEAD_SHARE = 40.0
_OVERHEAD_DOCUMENTS = 10


class Disagree(Exception):
    """Two sides score the same pairs differently: their speeds do not compare."""


@dataclass(frozen=True, slots=True)
class Options:
    """What to run.

    Attributes:
        python: interpreter that has vLLM, for all sides.
        folder: for logs, configuration and state of the sides.
        doc_tokens: tokens in a document.
        limit_s: the whole run ends within this, starting included.
    """

    python: str
    engine: sides.Engine
    folder: Path
    doc_tokens: int
    seed: int
    quick: bool
    limit_s: float


@dataclass(frozen=True, slots=True)
class Watch:
    """Who is told how it goes: a line for people, and every run before it begins."""

    say: Callable[[str], None]
    expect: Callable[[int], None]
    tick: Callable[[str, Shape], None]
    table: Callable[[str, list[ByLoad]], None]


@contextlib.contextmanager
def started(options: Options, watch: Watch) -> Iterator[dict[str, Server]]:
    """All sides, ready; ended again whatever happens.

    Raises:
        StartFailed: one of them did not come up; holds the end of its log.
    """
    python, engine, folder = options.python, options.engine, options.folder
    servers: dict[str, Server] = {}
    try:
        servers[INSTANT] = server.start_ours(INSTANT, python, None, folder)
        servers[sides.OURS] = server.start_ours(sides.OURS, python, engine, folder)
        for name in (sides.BARE, sides.BARE_SAME):
            servers[name] = server.start_bare(
                name, python, engine, folder, same_settings=name == sides.BARE_SAME
            )
        for name, each in servers.items():
            began = time.monotonic()
            each.wait_ready(server.START_S)
            watch.say(f"{name} is ready ({time.monotonic() - began:.0f} s more)")
        yield servers
    finally:
        for each in servers.values():
            each.stop()


async def run(
    servers: Mapping[str, Server], options: Options, watch: Watch, began: float
) -> Outcome:
    """Check, measure, sum up.

    Args:
        began: when the whole run began, on `time.monotonic`.

    Raises:
        Disagree: the sides' scores differ by more than rounding.
        EndpointError: a side does not answer.
    """
    library = Library(seed=options.seed)
    ends = began + options.limit_s
    targets = {name: _target(each) for name, each in servers.items()}
    async with Client() as client:
        agreements = await _agree(client, targets, library, watch)
        found = await length.measure(client, targets[sides.OURS], library)
        chars = found.chars(options.doc_tokens)
        comparisons = await _compare(client, servers, library, options, chars, ends, watch)
        watch.say("gateway against worker, request by request")
        added = {
            name: await _overhead(client, servers[name], library, options, chars)
            for name in (INSTANT, sides.OURS)
        }
    return Outcome(comparisons, agreements, added[INSTANT], added[sides.OURS])


async def _agree(
    client: Client, targets: Mapping[str, Target], library: Library, watch: Watch
) -> dict[str, Agreement]:
    found = {}
    for name in (sides.BARE, sides.BARE_SAME):
        one = await versus.agreement(client, targets[sides.OURS], targets[name], library)
        watch.say(
            f"{one.pairs} pairs on ours and {name}: scores differ by at most {one.largest:.4f}, "
            f"{one.same_order:.0%} of requests in the same order"
        )
        if not outcome.agrees(one):
            raise Disagree(
                f"{name} scores a pair {one.largest:.3f} away from ours; "
                f"at most {outcome.LARGEST_DIFFERENCE:g} is rounding"
            )
        found[name] = one
    return found


async def _compare(
    client: Client,
    servers: Mapping[str, Server],
    library: Library,
    options: Options,
    chars: int,
    ends: float,
    watch: Watch,
) -> dict[str, list[ByLoad]]:
    known = {
        name: Side(_target(servers[name]), servers[name].pids)
        for name in (sides.OURS, sides.BARE, sides.BARE_SAME)
    }
    two = {name: known[name] for name in (sides.OURS, sides.BARE)}
    unique = plan.unique(chars, quick=options.quick)
    repeated = plan.repeated(chars, quick=options.quick)
    watch.expect(plan.expected_runs(unique, known) + plan.expected_runs(repeated, two))
    late = ends - _OVERHEAD_SHARE
    runs = await play(
        client, known, library, unique, deadline=late - _REPEATED_SHARE, tick=watch.tick
    )
    again = await play(client, two, library, repeated, deadline=late, tick=watch.tick)
    comparisons = {
        "unique_defaults": runs.compared(sides.OURS, sides.BARE, unique.shapes),
        "unique_same_settings": runs.compared(sides.OURS, sides.BARE_SAME, unique.shapes),
        "repeated": again.compared(sides.OURS, sides.BARE, repeated.shapes),
    }
    for name, found in comparisons.items():
        watch.table(name, found)
    return comparisons


async def _overhead(
    client: Client, stack: Server, library: Library, options: Options, chars: int
) -> Overhead:
    requests = 2000 if stack.name == INSTANT else 300
    return await overhead.measure(
        client,
        _target(stack),
        stack.manifest().url,
        library,
        documents=_OVERHEAD_DOCUMENTS,
        chars=chars,
        requests=requests // 10 if options.quick else requests,
        deadline=time.monotonic() + _OVERHEAD_SHARE / 2,
    )


def _target(each: Server) -> Target:
    """Both speak vLLM's dialect; only the vLLM ones are asked by the model's name."""
    return Target(each.name, each.url, DIALECTS["vllm"], timeout_s=sides.REQUEST_S)
