"""Two endpoints side by side: short runs in turn, since a machine drifts within minutes.

The ratio is taken within a round, where both saw the same machine, and its median and spread
over the rounds are what counts.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from deploy.bench import memory
from deploy.bench.generator import Maker, closed_loop
from deploy.bench.latency import Sample, Summary, summarize
from deploy.bench.text import Library
from deploy.evaluate.endpoint import Client, Target


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two; `pids` are its processes, where CPU is to be counted."""

    target: Target
    pids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Shape:
    """A load: closed-loop clients with this many documents of this many characters each."""

    clients: int
    documents: int
    chars: int
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """One short run of one side."""

    summary: Summary
    cpu_ms_per_doc: float | None


@dataclass(frozen=True, slots=True)
class ByLoad:
    """All rounds of one load: ours and theirs, same index, same round."""

    shape: Shape
    ours: tuple[Run, ...]
    theirs: tuple[Run, ...]

    @property
    def ratios(self) -> list[float]:
        """Documents per second, ours over theirs, round by round."""
        return [
            one.summary.docs_per_s / other.summary.docs_per_s
            for one, other in zip(self.ours, self.theirs, strict=True)
            if other.summary.docs_per_s > 0
        ]


@dataclass(frozen=True, slots=True)
class Agreement:
    """How alike the two sides score the same pairs.

    Attributes:
        largest: difference between two scores of one pair.
        same_order: share of requests that both ordered alike.
    """

    pairs: int
    largest: float
    same_order: float


async def agreement(
    client: Client, ours: Target, theirs: Target, library: Library, *, requests: int = 10
) -> Agreement:
    """Ask both sides the same known requests.

    Raises:
        EndpointError: a side does not answer.
    """
    largest, alike, pairs = 0.0, 0, 0
    for number in range(requests):
        request = library.check(-1 - number)
        one = await client.rerank_patiently(ours, request.query, request.documents)
        other = await client.rerank_patiently(theirs, request.query, request.documents)
        differences = [abs(a - b) for a, b in zip(one.scores, other.scores, strict=True)]
        largest = max(largest, *differences)
        alike += one.order == other.order
        pairs += len(differences)
    return Agreement(pairs, largest, alike / requests)


async def alternate(
    client: Client,
    ours: Side,
    theirs: Side,
    library: Library,
    shapes: Sequence[Shape],
    *,
    rounds: int,
    seconds: float,
    done: Callable[[ByLoad], None],
    tick: Callable[[], None] = lambda: None,
) -> list[ByLoad]:
    """Every load in turn: each round runs both sides, the first of the last round second."""
    found = []
    number = 0
    for shape in shapes:
        runs: dict[str, list[Run]] = {"ours": [], "theirs": []}
        for turn in range(rounds + 1):
            sides = [("ours", ours), ("theirs", theirs)]
            for name, side in sides if turn % 2 else reversed(sides):
                number += 1
                run = await run_once(client, side, library, shape, number=number, seconds=seconds)
                if turn:  # round 0 warms both up
                    runs[name].append(run)
                tick()
        result = ByLoad(shape, tuple(runs["ours"]), tuple(runs["theirs"]))
        found.append(result)
        done(result)
    return found


async def run_once(
    client: Client,
    side: Side,
    library: Library,
    shape: Shape,
    *,
    number: int,
    seconds: float,
) -> Run:
    """One short run; runs of different numbers share no text unless the shape is repeated."""
    maker = Maker(
        library,
        documents=shape.documents,
        chars=shape.chars,
        first=0 if shape.repeated else number * 1_000_000,
        repeated=shape.repeated,
        checked=False,
    )
    before = memory.cpu_s(side.pids)
    samples: list[Sample] = await closed_loop(
        client, side.target, maker, clients=shape.clients, seconds=seconds, at_least=shape.clients
    )
    spent = memory.cpu_s(side.pids) - before
    documents = sum(each.documents for each in samples if not each.error)
    cpu = 1000 * spent / documents if side.pids and documents else None
    return Run(summarize(samples), cpu)


def spread(values: Sequence[float]) -> dict[str, float]:
    """`{median, min, max}`; zeros when there is nothing."""
    if not values:
        return {"median": 0.0, "min": 0.0, "max": 0.0}
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def to_json(found: Sequence[ByLoad]) -> dict[str, object]:
    """The shape of one comparison in `build/bench.json`: totals first, then load by load."""
    return {
        **_entry([ratio for each in found for ratio in each.ratios], found),
        "by_load": [
            {
                "clients": each.shape.clients,
                "documents": each.shape.documents,
                "chars": each.shape.chars,
                **_entry(each.ratios, [each]),
            }
            for each in found
        ],
    }


def _entry(ratios: Sequence[float], found: Sequence[ByLoad]) -> dict[str, object]:
    return {
        "ratio_docs_per_s": spread(ratios),
        "ours": _side([run for each in found for run in each.ours]),
        "bare": _side([run for each in found for run in each.theirs]),
    }


def _side(runs: Sequence[Run]) -> dict[str, float | int | None]:
    cpu = [run.cpu_ms_per_doc for run in runs if run.cpu_ms_per_doc is not None]
    return {
        "docs_per_s": spread([run.summary.docs_per_s for run in runs])["median"],
        "p50_ms": spread([run.summary.p50_ms for run in runs])["median"],
        "p99_ms": spread([run.summary.p99_ms for run in runs])["median"],
        "cpu_ms_per_doc": statistics.median(cpu) if cpu else None,
        "requests": sum(run.summary.requests for run in runs),
        "failed": sum(run.summary.failed for run in runs),
    }
