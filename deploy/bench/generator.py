"""Sending: a closed loop of clients, or an open loop at set times; every answer is checked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence

from deploy.bench.latency import Sample
from deploy.bench.text import Library, Request
from deploy.evaluate.endpoint import Client, EndpointError, Target

MOST_IN_FLIGHT = 2000
"""Of an open loop; past that the endpoint has lost, and what would be sent counts as failed."""
GRACE_S = 30.0
"""For answers after the last request of an open loop."""
CHECK_EVERY = 20
"""Every 20th request of a load is one whose best document is known."""


class Maker:
    """Numbers requests and makes them, so that no two of a run are alike.

    Attributes of the run: `documents` a request, `chars` a document, `repeated` for the same
    request again and again (caches), `checked` for the known requests in between.
    """

    def __init__(
        self,
        library: Library,
        *,
        documents: int,
        chars: int,
        first: int = 0,
        repeated: bool = False,
        checked: bool = True,
    ) -> None:
        self._library = library
        self._documents = documents
        self._chars = chars
        self._number = first
        self._checked = checked
        self._same = self._make(first) if repeated else None

    def __next__(self) -> Request:
        self._number += 1
        if self._checked and self._number % CHECK_EVERY == 0:
            return self._library.check(self._number)
        return self._same or self._make(self._number)

    def __iter__(self) -> Iterator[Request]:
        return self

    def _make(self, number: int) -> Request:
        return self._library.request(number, documents=self._documents, chars=self._chars)


async def closed_loop(
    client: Client,
    target: Target,
    requests: Iterator[Request],
    *,
    clients: int,
    seconds: float,
    at_least: int = 1,
) -> list[Sample]:
    """`clients` that each wait for their answer before they send again.

    Ends after `seconds`, but not before `at_least` requests; never after ten times `seconds`.
    """
    samples: list[Sample] = []
    start = time.perf_counter()

    def more() -> bool:
        spent = time.perf_counter() - start
        return spent < seconds or (len(samples) < at_least and spent < 10 * seconds)

    async def one() -> None:
        while more():
            request = next(requests)
            samples.append(await ask(client, target, request, time.perf_counter()))

    await asyncio.gather(*(one() for _ in range(clients)))
    return samples


async def open_loop(
    client: Client,
    target: Target,
    requests: Iterator[Request],
    times: Sequence[float],
    *,
    grace_s: float = GRACE_S,
    tick: Callable[[], None] = lambda: None,
) -> list[Sample]:
    """Requests at `times`, seconds from now, whether or not the earlier ones were answered.

    Args:
        grace_s: how long to wait for answers after the last request; what is unanswered then is
            given up and counts as failed.
    """
    made = [next(requests) for _ in times]  # before the clock runs: making costs milliseconds
    samples: list[Sample] = []
    under_way: set[asyncio.Task[None]] = set()
    start = time.perf_counter()

    async def one(request: Request, intended: float) -> None:
        sent = time.perf_counter()
        try:
            samples.append(await ask(client, target, request, intended))
        except asyncio.CancelledError:
            ended = time.perf_counter()
            error = f"no answer {grace_s:g} s after the end"
            samples.append(Sample(intended, sent, ended, len(request.documents), error=error))
            raise
        tick()

    for request, at in zip(made, times, strict=True):
        intended = start + at
        await asyncio.sleep(max(0.0, intended - time.perf_counter()))
        if len(under_way) >= MOST_IN_FLIGHT:
            now = time.perf_counter()
            error = f"{MOST_IN_FLIGHT} requests were unanswered"
            samples.append(Sample(intended, now, now, len(request.documents), error=error))
            continue
        task = asyncio.create_task(one(request, intended))
        under_way.add(task)
        task.add_done_callback(under_way.discard)
    if under_way:
        await asyncio.wait(under_way, timeout=grace_s)
    late = set(under_way)
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    return samples


async def ask(client: Client, target: Target, request: Request, intended: float) -> Sample:
    """One request as a sample; an error is a sample too."""
    sent = time.perf_counter()
    try:
        ranked = await client.rerank(target, request.query, request.documents)
    except EndpointError as error:
        ended = time.perf_counter()
        return Sample(intended, sent, ended, len(request.documents), error=str(error))
    return Sample(
        intended=intended,
        sent=sent,
        ended=time.perf_counter(),
        documents=len(request.documents),
        tokens=ranked.tokens,
        right=None if request.right is None else ranked.order[0] == request.right,
    )
