"""What the two caches give: the engine's for prefixes, the gateway's for scores."""

from __future__ import annotations

from deploy.bench.bare import sides
from deploy.gpu import loads
from deploy.gpu.loads import Bench
from deploy.gpu.part import Part, State, Value

NAME = "caches"
NO_PREFIX = "ours_no_prefix_cache"
WITHOUT = {"enable_prefix_caching": False}


def run(bench: Bench) -> Part:
    """New documents with the prefix cache and without it, and known documents.

    Raises:
        Failed: a side does not start, or a request failed.
    """
    ground = bench.ground
    ground.stop(sides.BARE)
    ground.ours()
    ground.ours(NO_PREFIX, more=WITHOUT)
    shape = bench.grid.middle
    found = bench.play([sides.OURS, NO_PREFIX], [shape])[shape]
    again = bench.play([sides.OURS], [shape], repeated=True)[shape][sides.OURS]
    ground.stop(NO_PREFIX)
    rows = [loads.row(name, shape, runs) for name, runs in found.items()]
    rows.append(loads.row("ours_known_documents", shape, again))
    speed = {str(row["side"]): float(row["docs_per_s"] or 0.0) for row in rows}
    numbers: dict[str, Value] = {
        "prefix_cache_speedup": _ratio(speed[sides.OURS], speed[NO_PREFIX]),
        "score_cache_speedup": _ratio(speed["ours_known_documents"], speed[sides.OURS]),
    }
    loads.no_failures(rows, numbers)
    return Part(NAME, State.PASSED, "", numbers, {"loads": rows})


def _ratio(one: float, other: float) -> float | None:
    return round(one / other, 3) if other else None
