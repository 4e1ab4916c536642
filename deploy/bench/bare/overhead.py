"""What the gateway adds to a request: asked through it and past it, request by request."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from deploy.bench.text import Library, Request
from deploy.evaluate.endpoint import Client, Target


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
    """One client, half of the requests through the gateway, the others straight to the worker.

    Texts are unique, so neither cache answers. The first ten of each way do not count.

    Raises:
        EndpointError: one of them does not answer.
    """
    worker = replace(gateway, name="worker", url=worker_url)
    through: list[float] = []
    past: list[float] = []
    for number in range(requests + 10):
        if len(through) >= 20 and time.monotonic() > deadline:
            break
        first, second = (
            library.request(10**9 + 2 * number + k, documents=documents, chars=chars)
            for k in (0, 1)
        )
        began = clock()
        await client.rerank(gateway, first.query, first.documents)
        middle = clock()
        await client.post(worker, "/score", _job(second, gateway.timeout_s))
        ended = clock()
        if number >= 10:
            through.append(1000 * (middle - began))
            past.append(1000 * (ended - middle))
    return summed_up(through, past)


def summed_up(through: list[float], past: list[float]) -> Overhead:
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
