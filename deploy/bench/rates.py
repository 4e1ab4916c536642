"""Open-loop runs: one at a given rate, or a search for the highest that meets an objective."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from deploy.bench import arrival, slo
from deploy.bench.generator import GRACE_S, Maker, open_loop
from deploy.bench.latency import Summary, summarize
from deploy.bench.slo import Objective, Trial
from deploy.bench.text import Library
from deploy.evaluate.endpoint import Client, Target

FEWEST_REQUESTS = 20
"""That a run is stretched for, at a low rate: percentiles of fewer mean nothing."""
_SHORTEST_GRACE_S = 2.0
LONGEST = 5
"""A run is stretched to at most so many times its length."""


@dataclass(frozen=True, slots=True)
class Load:
    """The shape of the requests and of their arrival.

    Attributes:
        burst: requests that arrive together; 1 is a Poisson process.
        times: replayed arrivals, in place of drawn ones.
    """

    documents: int
    chars: int
    seconds: float
    burst: int = 1
    seed: int = 1
    repeated: bool = False
    checked: bool = True
    times: tuple[float, ...] = ()
    grace_s: float = GRACE_S


async def run_at(
    client: Client,
    target: Target,
    library: Library,
    load: Load,
    rate: float,
    *,
    number: int,
    begin: Callable[[int], None] = lambda _: None,
    tick: Callable[[], None] = lambda: None,
) -> Summary:
    """One run.

    Args:
        number: of the run: no request of one run comes again in another.
        begin: called with the number of requests.
        tick: called after each answer.
    """
    seconds = min(max(load.seconds, FEWEST_REQUESTS / rate), LONGEST * load.seconds)
    times = load.times or tuple(
        arrival.bursts(rate, seconds, size=load.burst, seed=load.seed + number)
    )
    maker = Maker(
        library,
        documents=load.documents,
        chars=load.chars,
        first=number * 1_000_000,
        repeated=load.repeated,
        checked=load.checked,
    )
    begin(len(times))
    return summarize(await open_loop(client, target, maker, times, grace_s=load.grace_s, tick=tick))


async def search(
    client: Client,
    target: Target,
    library: Library,
    load: Load,
    objective: Objective,
    *,
    first: float,
    done: Callable[[Trial], None],
) -> list[Trial]:
    """Runs at rising and falling rates until the highest that meets the objective is known."""
    trials: list[Trial] = []
    # a request this late has missed the objective already; the next rate need not wait for it
    hurried = replace(load, grace_s=max(_SHORTEST_GRACE_S, 5 * objective.limit_ms / 1000))
    while (rate := slo.next_rate(trials, first=first)) is not None:
        summary = await run_at(client, target, library, hurried, rate, number=len(trials) + 1)
        trial = Trial(rate, slo.judge(objective, summary), summary)
        trials.append(trial)
        done(trial)
    return trials
