"""The whole run, from starting the sides to the outcome; says what it does as it goes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.bench import length, versus
from deploy.bench.bare import outcome, overhead, server, sides
from deploy.bench.bare.client import LoopbackClient
from deploy.bench.bare.outcome import Outcome
from deploy.bench.bare.overhead import Overhead
from deploy.bench.bare.plan import FIRST_UNIQUE, Plan, expected_runs, warming
from deploy.bench.bare.rounds import Runs, play
from deploy.bench.bare.server import Server
from deploy.bench.text import Library
from deploy.bench.versus import Agreement, ByLoad, Shape, Side
from deploy.evaluate.dialect import DIALECTS
from deploy.evaluate.endpoint import Client, Target

INSTANT = "instant"
"""A stack of ours whose engine answers at once: what is left is the gateway."""

_REPEATED_S = 90.0  # of the whole, left for the repeated pairs
_OVERHEAD_S = 40.0  # of the whole, left for the two overheads
_OVERHEAD_DOCUMENTS = 10
_PAIRS_INSTANT = 2000
_PAIRS_VLLM = 300


class Disagree(Exception):
    """Two sides score the same pairs differently: their speeds do not compare."""


@dataclass(frozen=True, slots=True)
class Options:
    """What to run.

    Attributes:
        python: interpreter that has vLLM, for all sides.
        folder: for logs, configuration and state of the sides.
        doc_tokens: tokens in a document.
        plans: of the unique and of the repeated documents, for this many characters in each.
        share: of the overhead's requests to send: 1 is all.
        limit_s: the whole run ends within this, starting included.
    """

    python: str
    engine: sides.Engine
    folder: Path
    doc_tokens: int
    seed: int
    plans: Callable[[int], tuple[Plan, Plan]]
    share: float
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
    servers: dict[str, Server] = {}
    try:
        # one after the other: they compile on the same cores, and the second takes over much of
        # what the first has put into vLLM's cache
        for name in (INSTANT, sides.OURS, sides.BARE, sides.BARE_SAME):
            began = time.monotonic()
            servers[name] = _start(name, options)
            servers[name].wait_ready(server.START_S)
            watch.say(f"{name} is ready after {time.monotonic() - began:.0f} s")
        yield servers
    finally:
        for each in servers.values():
            each.stop()


def _start(name: str, options: Options) -> Server:
    python, engine, folder = options.python, options.engine, options.folder
    if name in {INSTANT, sides.OURS}:
        return server.start_ours(name, python, None if name == INSTANT else engine, folder)
    same = name == sides.BARE_SAME
    return server.start_bare(name, python, engine, folder, same_settings=same)


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
    async with LoopbackClient() as client:
        course = Course(client, library, servers, options, watch)
        agreements = await course.agree()
        found = await length.measure(client, course.target(sides.OURS), library)
        chars = found.chars(options.doc_tokens)
        comparisons = await course.compare(chars, ends=began + options.limit_s)
        watch.say("gateway against worker, request by request")
        instant = await course.overhead(INSTANT, chars, _PAIRS_INSTANT)
        vllm = await course.overhead(sides.OURS, chars, _PAIRS_VLLM)
    return Outcome(comparisons, agreements, instant, vllm)


@dataclass(frozen=True, slots=True)
class Course:
    """The parts of one run, on sides that are ready."""

    client: Client
    library: Library
    servers: Mapping[str, Server]
    options: Options
    watch: Watch

    def target(self, name: str) -> Target:
        # without a model's name: every side serves one
        return Target(name, self.servers[name].url, DIALECTS["vllm"], timeout_s=sides.REQUEST_S)

    def side(self, name: str) -> Side:
        return Side(self.target(name), self.servers[name].pids)

    async def agree(self) -> dict[str, Agreement]:
        found = {}
        for name in (sides.BARE, sides.BARE_SAME):
            ours, theirs = self.target(sides.OURS), self.target(name)
            one = await versus.agreement(self.client, ours, theirs, self.library)
            self.watch.say(
                f"{one.pairs} pairs on ours and {name}: scores differ by at most "
                f"{one.largest:.4f}, {one.same_order:.0%} of requests in the same order"
            )
            if not outcome.agrees(one):
                raise Disagree(
                    f"{name} scores a pair {one.largest:.3f} away from ours; "
                    f"at most {outcome.LARGEST_DIFFERENCE:g} is rounding"
                )
            found[name] = one
        return found

    async def compare(self, chars: int, *, ends: float) -> dict[str, list[ByLoad]]:
        """All three comparisons; our side's unique runs are the same in two of them."""
        known = {name: self.side(name) for name in (sides.OURS, sides.BARE, sides.BARE_SAME)}
        two = {name: known[name] for name in (sides.OURS, sides.BARE)}
        unique, repeated = self.options.plans(chars)
        warm = warming(unique)
        self.watch.expect(
            sum(expected_runs(each, known) for each in (warm, unique))
            + expected_runs(repeated, two)
        )
        late = ends - _OVERHEAD_S - _REPEATED_S
        await self._play(known, warm, late)
        runs = await self._play(known, unique, late, first=FIRST_UNIQUE)
        comparisons = {
            "unique_defaults": runs.compared(sides.OURS, sides.BARE, unique.shapes),
            "unique_same_settings": runs.compared(sides.OURS, sides.BARE_SAME, unique.shapes),
        }
        again = await self._play(two, repeated, ends - _OVERHEAD_S)
        comparisons["repeated"] = again.compared(sides.OURS, sides.BARE, repeated.shapes)
        for name, found in comparisons.items():
            self.watch.table(name, found)
        return comparisons

    async def _play(
        self, known: Mapping[str, Side], chosen: Plan, deadline: float, *, first: int = 1
    ) -> Runs:
        return await play(
            self.client,
            known,
            self.library,
            chosen,
            deadline=deadline,
            tick=self.watch.tick,
            first=first,
        )

    async def overhead(self, name: str, chars: int, requests: int) -> Overhead:
        return await overhead.measure(
            self.client,
            self.target(name),
            self.servers[name].manifest().url,
            self.library,
            documents=_OVERHEAD_DOCUMENTS,
            chars=chars,
            requests=round(requests * self.options.share),
            deadline=time.monotonic() + _OVERHEAD_S / 2,
        )
