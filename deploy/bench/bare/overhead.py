"""What the gateway adds to a request: asked through it and past it, request by request."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from deploy.bench.text import Library, Request
from deploy.evaluate.endpoint import Client, Target

_WARM = 10
_FEWEST = 20
_FIRST = 10**12  # behind every number that the rounds use


@dataclass(frozen=True, slots=True)
class Overhead:
    """Percentiles of both ways in milliseconds, and their difference.

    Attributes:
        p50, p99: the gateway's percentile minus the worker's.
    """

    requests: int
    p50: float
    p99: float
    gateway_p50: float
    gateway_p99: float
    worker_p50: float
    worker_p99: float


async def measure(
    client: Client,
    gateway: Target,
    worker_url: str,
    library: Library,
    *,
    documents: int,
    chars: int,
    requests: int,
    deadline: float,
    clock: Callable[[], float] = time.perf_counter,
) -> Overhead:
    """One client; every second request past the gateway, straight to the worker.

    Texts are unique, so no cache answers. The first ten of each way do not count.

    Args:
        requests: of each way.
        deadline: on `time.monotonic`; what is measured by then is the result.

    Raises:
        EndpointError: one of them does not answer.
    """
    worker = replace(gateway, name="worker", url=worker_url)

    async def through(request: Request) -> float:
        began = clock()
        await client.rerank(gateway, request.query, request.documents)
        return 1000 * (clock() - began)

    async def past(request: Request) -> float:
        began = clock()
        await client.post(worker, "/score", _job(request, gateway.timeout_s))
        return 1000 * (clock() - began)

    found: dict[Callable[[Request], Awaitable[float]], list[float]] = {through: [], past: []}
    for turn in range(requests + _WARM):
        if turn > _WARM + _FEWEST and time.monotonic() > deadline:
            break
        for place, way in enumerate((through, past) if turn % 2 else (past, through)):
            request = library.request(_FIRST + 2 * turn + place, documents=documents, chars=chars)
            spent = await way(request)
            if turn >= _WARM:
                found[way].append(spent)
    return summed_up(found[through], found[past])


def summed_up(through: Sequence[float], past: Sequence[float]) -> Overhead:
    """The percentiles; milliseconds. PURE."""
    gateway_p50, gateway_p99 = (float(each) for each in np.percentile(through, (50, 99)))
    worker_p50, worker_p99 = (float(each) for each in np.percentile(past, (50, 99)))
    return Overhead(
        requests=len(through),
        p50=gateway_p50 - worker_p50,
        p99=gateway_p99 - worker_p99,
        gateway_p50=gateway_p50,
        gateway_p99=gateway_p99,
        worker_p50=worker_p50,
        worker_p99=worker_p99,
    )


def _job(request: Request, timeout_s: float) -> dict[str, object]:
    return {
        "id": "bench",
        "query": request.query,
        "documents": list(request.documents),
        "timeout_s": timeout_s,
    }
