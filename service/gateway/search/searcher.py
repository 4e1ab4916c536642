"""The two stages of a search: candidates by vectors and words, then their order by a reranker."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from service.embedding import Vector
from service.gateway.search import fusion, outcome, plan
from service.gateway.search.library import Index, Library
from service.gateway.search.model import Judged, Models
from service.gateway.search.outcome import Found, Outcome, Times
from service.gateway.search.passage import Hit, Passage
from service.gateway.search.plan import Plan, Recall, Rerank
from service.gateway.search.store import NothingIndexed


@dataclass(frozen=True, slots=True)
class Asked:
    """One search.

    Attributes:
        top: results in the answer.
        candidates: passages that the first stage finds, and the second one reranks.
        per_source: results of one source at most; 0: no limit.
        instruction: for the reranker; None: its own.
    """

    query: str
    top: int = 10
    candidates: int = 100
    recall: Recall = Recall.DENSE
    rerank: Rerank = Rerank.AUTO
    per_source: int = 1
    instruction: str | None = None


@dataclass(frozen=True, slots=True)
class _Candidates:
    """What the first stage found, best first, and each passage's place by either way."""

    passages: list[Passage]
    dense: dict[str, int]
    lexical: dict[str, int]


class Searcher:
    """Searches; belongs to one event loop."""

    def __init__(
        self, library: Library, models: Models, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._library = library
        self._models = models
        self._clock = clock

    async def search(self, asked: Asked) -> Outcome:
        """Search.

        Raises:
            StoreError: there is no index for the model, or its store failed.
            ServiceError, Unanswered: a model does not answer.
        """
        began = self._clock()
        query = await self._models.embed_query(asked.query)
        embedded = self._clock()
        [vector] = query.vectors
        async with self._library.lent(query.space, vector.dimension) as index:
            opened = self._clock()
            chosen = plan.decide(asked.recall, asked.rerank, same_model=self._models.same)
            candidates = await self._recall(index, asked, chosen.recall, vector)
        recalled = self._clock()
        judged = None
        if chosen.rerank and candidates.passages:
            texts = [passage.whole for passage in candidates.passages]
            judged = await self._models.judge(asked.query, texts, asked.instruction)
        ended = self._clock()
        times = Times(
            embed_s=embedded - began,
            open_s=opened - embedded,
            recall_s=recalled - opened,
            rerank_s=None if judged is None else ended - recalled,
            total_s=ended - began,
        )
        return _put_together(
            asked, chosen, candidates, judged, times=times, recall_model=query.model
        )

    async def _recall(
        self, index: Index, asked: Asked, recall: Recall, vector: Vector
    ) -> _Candidates:
        limit = max(asked.candidates, asked.top)
        words = index.words
        if recall is not Recall.DENSE and words is None:
            raise NothingIndexed(
                "no words are indexed on this host: run `rankguard search index` here, or search "
                "by vectors (recall: dense)"
            )
        dense: list[Hit] = []
        lexical: list[Hit] = []
        # one after the other: both are short, and the local stores take one caller at a time
        if recall is not Recall.LEXICAL:
            dense = await self._library.do(lambda: index.store.nearest(vector, limit))
        if recall is not Recall.DENSE and words is not None:
            lexical = await self._library.do(lambda: words.matching(asked.query, limit))
        return _gathered(dense, lexical, limit)


def _gathered(dense: Sequence[Hit], lexical: Sequence[Hit], limit: int) -> _Candidates:
    """Both rankings as one; where there is one only, fusion keeps its order."""
    passages = {hit.passage.id: hit.passage for hit in (*lexical, *dense)}
    orders = [[hit.passage.id for hit in hits] for hits in (dense, lexical)]
    fused = fusion.reciprocal_rank(orders)[:limit]
    return _Candidates(
        [passages[each] for each, _ in fused], outcome.ranks(orders[0]), outcome.ranks(orders[1])
    )


def _put_together(
    asked: Asked,
    chosen: Plan,
    candidates: _Candidates,
    judged: Judged | None,
    *,
    times: Times,
    recall_model: str,
) -> Outcome:
    count = len(candidates.passages)
    relevances = dict(judged.ranked) if judged is not None else {}
    places = [place for place, _ in judged.ranked] if judged is not None else range(count)

    def found(rank: int, place: int) -> Found:
        passage = candidates.passages[place]
        return Found(
            passage,
            recall_rank=place + 1,
            rank=rank,
            dense_rank=candidates.dense.get(passage.id),
            lexical_rank=candidates.lexical.get(passage.id),
            relevance=relevances.get(place),
        )

    def first(order: Sequence[int]) -> list[Found]:
        whole = [found(rank, place) for rank, place in enumerate(order, start=1)]
        return outcome.spread(whole, top=asked.top, per_source=asked.per_source)

    results = first(places)
    moved = None
    if judged is not None:
        before = first(range(count))
        moved = outcome.movement(
            [one.passage.id for one in before], [one.passage.id for one in results]
        )
    return Outcome(
        results=tuple(results),
        plan=chosen,
        times=times,
        candidates=count,
        recall_model=recall_model,
        rerank_model="" if judged is None else judged.model,
        movement=moved,
    )
