"""A bench run from its options to its result file: the composition of this folder's parts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar

from deploy.bench import batches, length, rates, report, slo, versus
from deploy.bench.generator import ask
from deploy.bench.length import Length
from deploy.bench.slo import Objective, Trial
from deploy.bench.text import Library
from deploy.evaluate import provenance
from deploy.evaluate.endpoint import Client, Target, describe

T = TypeVar("T")
_CHECKS = 20


@dataclass(frozen=True, slots=True)
class Setting:
    """What was found out before the run.

    Attributes:
        first_ms: latency of the very first request, one short document: connection, cold caches.
    """

    target: Target
    length: Length
    first_ms: float
    run: dict[str, Any]


def with_endpoint(
    target: Target, seed: int, work: Callable[[Client, Library, Setting], Awaitable[T]]
) -> T:
    """Run `work` with a client, texts, and what the endpoint says about itself.

    Raises:
        EndpointError: it does not answer.
    """

    async def main() -> T:
        made_by = provenance.observe("aiohttp", "numpy")
        library = Library(seed=seed)
        async with Client() as client:
            model = target.model or await describe(client, target)
            named = replace(target, model=model)
            request = library.request(-1, documents=1, chars=64)
            start = time.perf_counter()
            await client.rerank_patiently(named, request.query, request.documents)
            first_ms = (time.perf_counter() - start) * 1000
            found = await length.measure(client, named, library)
            about = {
                "url": named.url,
                "dialect": named.dialect.name,
                "model": named.model,
                "seed": seed,
                "chars_per_token": round(found.chars_per_token, 3),
                "tokens_measured": found.measured,
                "text": "sentences of the declaration of human rights, English, mixed anew",
            }
            setting = Setting(named, found, first_ms, made_by.to_json() | about)
            return await work(client, library, setting)

    return asyncio.run(main())


def batch_table(
    target: Target, grid: batches.Grid, *, seed: int, done: Callable[[batches.Row], None]
) -> tuple[list[batches.Row], dict[str, Any]]:
    """The batch table and its JSON."""

    async def work(client: Client, library: Library, setting: Setting) -> Any:
        rows = await batches.measure(
            client, setting.target, library, grid, setting.length, done=done
        )
        checks = await _checks(client, setting.target, library)
        loop = {"clients": grid.clients, "seconds": grid.seconds, "repeated": grid.repeated}
        run = setting.run | loop
        body = {
            "rows": report.batch_json(rows),
            "first_request_ms": round(setting.first_ms, 3),
            "checks": checks,
            "run": run,
        }
        return rows, body

    found: tuple[list[batches.Row], dict[str, Any]] = with_endpoint(target, seed, work)
    return found


async def _checks(client: Client, target: Target, library: Library) -> dict[str, int]:
    """Requests whose best document is known; one of four documents would be right by chance."""
    samples = [
        await ask(client, target, library.check(number), 0.0) for number in range(1, _CHECKS + 1)
    ]
    return {"asked": len(samples), "right_first": sum(each.right is True for each in samples)}


@dataclass(frozen=True, slots=True)
class Offered:
    """An open-loop run: at `rate`, at replayed `times`, or a search from `rate` on."""

    documents: int
    doc_tokens: int
    seconds: float
    rate: float
    burst: int
    repeated: bool
    objective: Objective | None
    times: tuple[float, ...] = ()


def offered_load(
    target: Target, offered: Offered, *, seed: int, done: Callable[[Trial], None]
) -> tuple[list[Trial], dict[str, Any]]:
    """The runs and their JSON; the best is under `best`, null when no rate met the objective."""

    async def work(client: Client, library: Library, setting: Setting) -> Any:
        load = rates.Load(
            documents=offered.documents,
            chars=setting.length.chars(offered.doc_tokens),
            seconds=offered.seconds,
            burst=offered.burst,
            seed=seed,
            repeated=offered.repeated,
            times=offered.times,
        )
        if offered.objective is None or offered.times:
            summary = await rates.run_at(
                client, setting.target, library, load, offered.rate, number=1
            )
            met = slo.Met.FAILURES if summary.failed else slo.Met.NOT_ASKED
            if offered.objective is not None:
                met = slo.judge(offered.objective, summary)
            trials = [Trial(summary.sent_per_s, met, summary)]
            done(trials[0])
        else:
            trials = await rates.search(
                client,
                setting.target,
                library,
                load,
                offered.objective,
                first=offered.rate,
                done=done,
            )
        best = slo.best(trials)
        body = {
            "rows": report.load_json(trials),
            "objective": None if offered.objective is None else asdict(offered.objective),
            "best": None if best is None else report.load_json([best])[0],
            "run": setting.run
            | {
                "documents": offered.documents,
                "doc_tokens": offered.doc_tokens,
                "seconds": offered.seconds,
                "burst": offered.burst,
                "repeated": offered.repeated,
            },
        }
        return trials, body

    found: tuple[list[Trial], dict[str, Any]] = with_endpoint(target, seed, work)
    return found


def side_by_side(
    ours: versus.Side,
    theirs: versus.Side,
    shapes: Sequence[versus.Shape],
    *,
    rounds: int,
    seconds: float,
    seed: int,
    done: Callable[[versus.ByLoad], None],
    tick: Callable[[], None],
) -> tuple[list[versus.ByLoad], dict[str, Any]]:
    """The comparison and its JSON; the shapes' `chars` are tokens here, made characters first."""

    async def work(client: Client, library: Library, setting: Setting) -> Any:
        other = replace(
            theirs.target, model=theirs.target.model or await describe(client, theirs.target)
        )
        agreed = await versus.agreement(client, setting.target, other, library)
        found = await versus.alternate(
            client,
            replace(ours, target=setting.target),
            replace(theirs, target=other),
            library,
            [replace(each, chars=setting.length.chars(each.chars)) for each in shapes],
            rounds=rounds,
            seconds=seconds,
            done=done,
            tick=tick,
        )
        body = {
            **versus.to_json(found),
            "agreement": asdict(agreed),
            "run": setting.run | {"against": other.url, "rounds": rounds, "seconds": seconds},
        }
        return found, body

    result: tuple[list[versus.ByLoad], dict[str, Any]] = with_endpoint(ours.target, seed, work)
    return result
