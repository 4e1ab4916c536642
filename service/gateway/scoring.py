"""The way of a request: admission, chunks, replicas, and the scores put back in order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import TypeVar

from service.errors import EngineFailed, InvalidValue
from service.gateway import chunking, ranking
from service.gateway.admission import Admission
from service.gateway.chunking import Chunk
from service.gateway.dispatch import Dispatcher, Done, renumber
from service.gateway.replicas import Replicas
from service.metrics import GatewayMetrics
from service.request import RerankRequest, Score, ScoreJob

MAX_MIXED = 3
"""Times that a request is scored anew because replicas of another model came in between."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Scored:
    """A request's scores, in the order of its documents, and how they came about.

    Attributes:
        tokens: as the engines counted, prompts included; a cached score counts as when computed.
        queue_s: the longest that one of its chunks waited.
        score_s: the longest that an engine took for one of them.
        replicas: the ids of those that scored it.
        model: the name of what scored it.
    """

    scores: tuple[Score, ...]
    tokens: int
    queue_s: float
    score_s: float
    replicas: tuple[str, ...]
    model: str


class Scoring:
    """Scores whole requests."""

    def __init__(
        self,
        replicas: Replicas,
        dispatcher: Dispatcher,
        admission: Admission,
        metrics: GatewayMetrics,
        *,
        chunk_tokens: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._replicas = replicas
        self._dispatcher = dispatcher
        self._admission = admission
        self._metrics = metrics
        self._chunk_tokens = chunk_tokens
        self._clock = clock

    async def score_all(self, requests: Sequence[RerankRequest], *, key: str = "") -> list[Scored]:
        """Every document's score, of every question of one call; admitted together or not at all.

        Args:
            key: the name of the caller's API key; empty when there are no keys.

        Raises:
            ServiceError: as in `Admission.admit` and `Dispatcher.score`.
        """
        pair_costs = [chunking.costs(one.query, one.documents) for one in requests]
        permit = self._admission.admit(
            sum(map(sum, pair_costs)), deadline=requests[0].deadline, key=key
        )
        try:
            if len(requests) == 1:
                return [await self._score(requests[0], pair_costs[0])]
            return await together(
                [self._score(*one) for one in zip(requests, pair_costs, strict=True)]
            )
        finally:
            permit.close()

    def count(self, scored: Sequence[Scored]) -> None:
        """Put an answered call into the metrics."""
        for one in scored:
            metrics = self._metrics
            metrics.documents.inc(len(one.scores))
            metrics.request_documents.observe(len(one.scores))
            metrics.tokens.inc(one.tokens)
            metrics.truncated.inc(sum(score.truncated for score in one.scores))
            metrics.unscored.inc(sum(score.error is not None for score in one.scores))
            metrics.relevance.observe(
                ranking.sigmoid(score.logit) for score in one.scores if score.error is None
            )

    async def _score(self, request: RerankRequest, pair_costs: Sequence[int]) -> Scored:
        return self._put_together(request, await self._fresh(request, pair_costs))

    async def _fresh(
        self, request: RerankRequest, pair_costs: Sequence[int]
    ) -> list[tuple[Chunk, Done]]:
        chunks = chunking.cut(
            pair_costs,
            chunk_tokens=self._chunk_tokens,
            replicas=max(1, len(self._replicas.routable())),
        )
        for _ in range(MAX_MIXED):
            done = await self._all(request, chunks)
            if len({one.fingerprint for _, one in done}) == 1:
                return done
            # replicas were exchanged under way: logits of two models do not rank together
        raise EngineFailed("the model kept changing while this request was scored")

    async def _all(
        self, request: RerankRequest, chunks: Sequence[Chunk]
    ) -> list[tuple[Chunk, Done]]:
        if len(chunks) == 1:
            return [(chunks[0], await self._one(request, chunks[0], 0))]
        done = await together(
            [self._one(request, chunk, number) for number, chunk in enumerate(chunks)]
        )
        return list(zip(chunks, done, strict=True))

    async def _one(self, request: RerankRequest, chunk: Chunk, number: int) -> Done:
        documents = request.documents
        job = ScoreJob(
            id=f"{request.id}.{number}",
            query=request.query,
            documents=tuple(documents[index] for index in chunk.indexes),
            timeout_s=request.deadline - self._clock(),
            instruction=request.instruction,
            max_tokens_per_doc=request.max_tokens_per_doc,
        )
        try:
            done = await self._dispatcher.score(job, tokens=chunk.tokens, deadline=request.deadline)
        except InvalidValue as error:
            raise renumber(error, chunk.indexes) from error
        saturated = self._replicas.waiting > 0
        self._admission.rate.done(chunk.tokens, saturated=saturated, now=self._clock())
        return done

    @staticmethod
    def _put_together(request: RerankRequest, done: Sequence[tuple[Chunk, Done]]) -> Scored:
        scores: list[Score | None] = [None] * len(request.documents)
        for chunk, one in done:
            for index, score in zip(chunk.indexes, one.scores, strict=True):
                scores[index] = score
        whole = tuple(score for score in scores if score is not None)
        assert len(whole) == len(scores)
        return Scored(
            scores=whole,
            tokens=sum(score.tokens for score in whole),
            queue_s=max(one.queue_s for _, one in done),
            score_s=max(one.score_s for _, one in done),
            replicas=tuple(sorted({one.replica for _, one in done})),
            model=done[0][1].model,
        )


async def together(works: Sequence[Coroutine[object, object, _T]]) -> list[_T]:
    """All results, in order; the first failure ends the other works, and so does cancelling."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
