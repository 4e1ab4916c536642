"""Several replicas on one card: whether they fill the gaps that one leaves."""

from __future__ import annotations

from deploy.bench.bare import sides
from deploy.bench.bare.server import Server
from deploy.gpu import loads
from deploy.gpu.card import watch_until
from deploy.gpu.loads import Bench
from deploy.gpu.part import Failed, Part, State, Value
from service.manifest import WorkerState, read_manifests

NAME = "replicas"
_LIMIT_S = 900.0


def run(bench: Bench) -> Part:
    """One load on one, two and four replicas, behind one gateway each.

    Raises:
        Failed: not all of them start, or a request failed.
    """
    ground = bench.ground
    ground.stop(sides.BARE)
    shape = bench.grid.middle
    rows = []
    for count in bench.grid.replicas:
        name = sides.OURS if count == 1 else f"ours_{count}_replicas"
        if count > 1:
            ground.stop(sides.OURS)
        server = ground.ours(name, replicas=count)
        _wait_all(server, count)
        runs = bench.play([name], [shape])[shape][name]
        rows.append(loads.row(name, shape, runs) | {"replicas": count})
        ground.stop(name)
    alone = float(rows[0]["docs_per_s"] or 0.0)
    numbers: dict[str, Value] = {
        f"speedup_{row['replicas']}": round(float(row["docs_per_s"] or 0.0) / alone, 3)
        for row in rows[1:]
        if alone
    }
    loads.no_failures(rows, numbers)
    return Part(NAME, State.PASSED, "", numbers, {"loads": rows})


def _wait_all(server: Server, count: int) -> None:
    assert server.state_dir is not None
    folder = server.state_dir

    def ready() -> bool:
        found = read_manifests(folder)
        return sum(one.state is WorkerState.READY for one in found) >= count

    if watch_until(ready, _LIMIT_S, 0.25) is None:
        states = {one.id: f"{one.state.value}: {one.reason}" for one in read_manifests(folder)}
        raise Failed(f"not all of {count} replicas are ready: {states}")
