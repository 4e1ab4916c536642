"""Documents cut into chunks, spread over the replicas, and their scores put back in order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import TypeVar

from service.errors import EngineFailed, InvalidValue
from service.gateway import chunking
from service.gateway.admission import DrainRate
from service.gateway.chunking import Chunk
from service.gateway.dispatch import Dispatcher, Done, renumber
from service.gateway.replicas import Replicas
from service.gateway.transport import Answer
from service.request import RerankRequest, Score, ScoreJob

MAX_MIXED = 3
"""Times that documents are scored anew because replicas of another model came in between."""

CHUNKS_PER_REPLICA = 3
"""Chunks of one request under way at once: enough to keep a replica busy, few enough that a small
request does not wait behind all chunks of a large one.
"""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Fresh:
    """Scores of one model, in the order asked for; times in seconds, the longest of any chunk."""

    scores: tuple[Score, ...]
    fingerprint: str
    model: str
    replicas: tuple[str, ...]
    queue_s: float
    score_s: float


class Spread:
    """Scores documents of one request on as many replicas as pay off."""

    def __init__(
        self,
        replicas: Replicas,
        dispatcher: Dispatcher[ScoreJob, Answer],
        rate: DrainRate,
        *,
        chunk_tokens: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._replicas = replicas
        self._dispatcher = dispatcher
        self._rate = rate
        self._chunk_tokens = chunk_tokens
        self._clock = clock

    async def score(
        self, request: RerankRequest, places: Sequence[int], pair_costs: Sequence[int]
    ) -> Fresh:
        """Score the documents at these places of the request.

        Args:
            pair_costs: estimated tokens of each of them.

        Raises:
            ServiceError: as in `Dispatcher.answer`; the first chunk that fails ends the others.
        """
        chunks = [
            Chunk(tuple(places[index] for index in chunk.indexes), chunk.tokens)
            for chunk in chunking.cut(
                pair_costs,
                chunk_tokens=self._chunk_tokens,
                replicas=max(1, len(self._replicas.routable())),
            )
        ]
        for _ in range(MAX_MIXED):
            done = await self._all(request, chunks)
            if len({one.fingerprint for one in done}) == 1:
                return _put_together(done)
            # replicas were exchanged under way: logits of two models do not rank together
        raise EngineFailed("the model kept changing while this request was scored")

    def at_once(self, tokens: int) -> int:
        """How many pieces of so many tokens a call may have under way: as much as its chunks."""
        replicas = max(1, len(self._replicas.all()))
        return max(1, CHUNKS_PER_REPLICA * replicas * self._chunk_tokens // max(1, tokens))

    async def _all(self, request: RerankRequest, chunks: Sequence[Chunk]) -> list[Done[Answer]]:
        if len(chunks) == 1:
            return [await self._one(request, chunks[0], 0)]
        gate = asyncio.Semaphore(CHUNKS_PER_REPLICA * max(1, len(self._replicas.all())))

        async def in_turn(number: int, chunk: Chunk) -> Done[Answer]:
            async with gate:
                return await self._one(request, chunk, number)

        return await together([in_turn(number, chunk) for number, chunk in enumerate(chunks)])

    async def _one(self, request: RerankRequest, chunk: Chunk, number: int) -> Done[Answer]:
        job = ScoreJob(
            id=f"{request.id}.{number}",
            query=request.query,
            documents=tuple(request.documents[place] for place in chunk.indexes),
            timeout_s=request.deadline - self._clock(),
            instruction=request.instruction,
            max_tokens_per_doc=request.max_tokens_per_doc,
        )
        try:
            done = await self._dispatcher.answer(
                job, tokens=chunk.tokens, deadline=request.deadline
            )
        except InvalidValue as error:
            raise renumber(error, chunk.indexes) from error
        self._rate.done(
            chunk.tokens,
            saturated=self._replicas.waiting > 0,
            now=self._clock(),
            outages=self._replicas.outages,
        )
        return done


def _put_together(done: Sequence[Done[Answer]]) -> Fresh:
    """Chunks are of neighbouring documents, so their scores join end to end."""
    return Fresh(
        scores=tuple(score for one in done for score in one.answer.scores),
        fingerprint=done[0].fingerprint,
        model=done[0].model,
        replicas=tuple(sorted({one.replica for one in done})),
        queue_s=max(one.queue_s for one in done),
        score_s=max(one.score_s for one in done),
    )


async def together(works: Sequence[Coroutine[object, object, _T]]) -> list[_T]:
    """All results, in order; the first failure ends the other works, and so does cancelling."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
