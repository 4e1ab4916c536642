"""Our stack beside bare vLLM: documents per second and latency over lengths and clients."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from deploy.bench import versus
from deploy.bench.bare import outcome, sides
from deploy.bench.text import Library
from deploy.bench.versus import Run
from deploy.evaluate.endpoint import Client
from deploy.gpu import loads
from deploy.gpu.loads import Bench
from deploy.gpu.part import Failed, Part, State, Value

LIMIT = "limit"
NAME = "speed"
_AGREEMENTS = 3


def limit(bench: Bench, python: str, model: Path) -> Part:
    """The arithmetic limit: matrix throughput, and what a token costs.

    Raises:
        Failed: it cannot be measured.
    """
    found = loads.peak(python)
    facts = bench.facts
    facts.flops_per_s = float(found["flops_per_s"])
    sizes = loads.counted(model)
    if sizes is not None:
        facts.parameters, facts.multiplied = sizes
    numbers: dict[str, Value] = {
        "device": found["device"],
        "matrix_size": found["size"],
        "tflops_per_s": round(facts.flops_per_s / 1e12, 3),
        "parameters": facts.parameters,
        "parameters_multiplied": facts.multiplied,
    }
    if facts.multiplied:
        numbers["limit_tokens_per_s"] = round(facts.flops_per_s / (2 * facts.multiplied))
    return Part(LIMIT, State.PASSED, "", numbers)


def run(bench: Bench) -> Part:
    """Every load on both sides in turn, after both scored the same pairs alike.

    Raises:
        Failed: a side does not start, they disagree, or a request failed.
    """
    ground = bench.ground
    ground.ours()
    ground.bare()
    names = (sides.OURS, sides.BARE)
    numbers: dict[str, Value] = {"bare_started_s": round(ground.began(sides.BARE), 1)}
    numbers["largest_difference"] = _agree(bench)
    grid = bench.grid
    shapes = [
        (tokens, documents, clients)
        for tokens, documents in grid.documents.items()
        for clients in grid.clients
    ]
    rows = [
        cells
        for shape, by_name in bench.play(names, shapes).items()
        for cells in rows_of(bench, shape, by_name)
    ]
    ratios = sorted(float(row["ratio"] or 0) for row in rows if row.get("ratio"))
    numbers |= {
        "ratio_median": ratios[len(ratios) // 2] if ratios else None,
        "ratio_min": ratios[0] if ratios else None,
        "ratio_max": ratios[-1] if ratios else None,
        "best_share_of_limit": max(
            (float(row["share_of_limit"] or 0) for row in rows if row["side"] == sides.OURS),
            default=0.0,
        ),
    }
    loads.no_failures(rows, numbers)
    return Part(NAME, State.PASSED, "", numbers, {"loads": rows})


def rows_of(
    bench: Bench, shape: loads.Load, by_name: Mapping[str, tuple[Run, ...]]
) -> list[dict[str, Value]]:
    """One load: a row for each side, and the ratio of documents per second in ours."""
    each = {name: loads.row(name, shape, runs) for name, runs in by_name.items()}
    ratios = sorted(
        one.summary.docs_per_s / other.summary.docs_per_s
        for one, other in zip(by_name[sides.OURS], by_name[sides.BARE], strict=True)
        if other.summary.docs_per_s
    )
    each[sides.OURS]["ratio"] = round(ratios[len(ratios) // 2], 3) if ratios else None
    for cells in each.values():
        cells["share_of_limit"] = _share(bench, cells["tokens_per_s"])
    return list(each.values())


def _share(bench: Bench, tokens_per_s: Value) -> float | None:
    """Of the arithmetic limit; tokens found in the prefix cache count, so it may flatter."""
    facts = bench.facts
    if not facts.flops_per_s or not facts.multiplied or not isinstance(tokens_per_s, float):
        return None
    return round(2 * facts.multiplied * tokens_per_s / facts.flops_per_s, 4)


def _agree(bench: Bench) -> float:
    async def ask() -> versus.Agreement:
        async with Client() as client:
            ours, bare = (bench.ground.target(name) for name in (sides.OURS, sides.BARE))
            library = Library(seed=1)
            return await versus.agreement(client, ours, bare, library, requests=_AGREEMENTS)

    found = asyncio.run(ask())
    if not outcome.agrees(found):
        raise Failed(f"the two sides' scores of one pair differ by {found.largest:.3f}")
    return round(found.largest, 5)
