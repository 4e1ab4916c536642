"""The way of a request: cache, admission, replicas, and its scores put in order."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from service.errors import DeadlineExceeded, EngineFailed, NoCapacity
from service.gateway import chunking, ranking
from service.gateway.admission import Admission
from service.gateway.cache import Claim, Flight, ScoreCache
from service.gateway.replicas import Replicas
from service.gateway.spread import Fresh, Spread, together
from service.gateway.timelimit import TimeLimit
from service.metrics import GatewayMetrics
from service.request import RerankRequest, Score

MAX_ROUNDS = 100
"""Times that a request looks again for pairs whose scoring by another request failed."""

_Gate = contextlib.AbstractAsyncContextManager[None]


@dataclass(frozen=True, slots=True)
class Scored:
    """A request's scores, in the order of its documents, and how they came about.

    Attributes:
        tokens: as the engines counted, prompts included; a cached score counts as when computed.
        queue_s: the longest that one of its chunks waited.
        score_s: the longest that an engine took for one of them.
        replicas: the ids of those that scored it; empty when all was cached.
        model: the name of what scored it.
    """

    scores: tuple[Score, ...]
    tokens: int
    queue_s: float
    score_s: float
    replicas: tuple[str, ...]
    model: str


@dataclass(slots=True)
class _Work:
    """A request under way: which pair each document is, and what is known of the pairs.

    Attributes:
        fingerprint: of the model under which the pairs are named.
        claim: what is being done about them, and `costs` the estimated tokens of its own ones.
        sources: fingerprints of the models that gave the known scores.
    """

    request: RerankRequest
    fingerprint: str
    keys: list[bytes]
    claim: Claim = field(default_factory=Claim)
    costs: list[int] = field(default_factory=list)
    known: dict[bytes, Score] = field(default_factory=dict)
    fresh: list[Fresh] = field(default_factory=list)
    sources: set[str] = field(default_factory=set)

    def take(self, claim: Claim) -> None:
        """Go on with this claim."""
        self.claim = claim
        documents = self.request.documents
        own = [documents[place] for place in claim.own.values()]
        self.costs = chunking.costs(self.request.query, own) if own else []


class Scoring:
    """Scores whole requests."""

    def __init__(
        self,
        replicas: Replicas,
        spread: Spread,
        admission: Admission,
        cache: ScoreCache,
        metrics: GatewayMetrics,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._replicas = replicas
        self._spread = spread
        self._admission = admission
        self._cache = cache
        self._metrics = metrics
        self._clock = clock

    async def score_all(self, requests: Sequence[RerankRequest], *, key: str = "") -> list[Scored]:
        """Every document's score, of every question of one call; admitted together or not at all.

        Args:
            key: the name of the caller's API key; empty when there are no keys.

        Raises:
            ServiceError: as in `Admission.admit` and `Dispatcher.answer`.
        """
        works = [self._begin(request) for request in requests]
        try:
            tokens = sum(sum(work.costs) for work in works)
            permit = self._admission.admit(tokens, deadline=requests[0].deadline, key=key)
            try:
                if len(works) == 1:
                    return [await self._finish(works[0], contextlib.nullcontext())]
                # a thousand questions of one call must not stand before everybody else's one
                gate = asyncio.Semaphore(self._spread.at_once(tokens // len(works)))
                return await together([self._finish(work, gate) for work in works])
            finally:
                permit.close()
        finally:
            for work in works:
                # what is not scored by now will not be: let others who wait for it go on
                self._cache.settle(work.claim, {})

    def count(self, scored: Sequence[Scored]) -> None:
        """Put an answered call into the metrics."""
        metrics = self._metrics
        for one in scored:
            good = [score for score in one.scores if score.error is None]
            truncated = sum([score.truncated for score in one.scores])
            metrics.documents.inc(len(one.scores))
            metrics.request_documents.observe(len(one.scores))
            metrics.tokens.inc(one.tokens)
            if truncated:
                metrics.truncated.inc(truncated)
            if len(good) < len(one.scores):
                metrics.unscored.inc(len(one.scores) - len(good))
            metrics.relevance.observe([ranking.sigmoid(score.logit) for score in good])

    def _begin(self, request: RerankRequest) -> _Work:
        fingerprint = self._replicas.fingerprint
        scope = (
            fingerprint,
            # what a replica gave before it was found to score wrong is nobody's any more
            str(self._replicas.distrusted),
            "" if request.instruction is None else f"={request.instruction}",
            str(request.max_tokens_per_doc),
        )
        keys = self._cache.keys(scope, request.query, request.documents)
        claim = self._cache.claim(keys)
        # a counter is a lock and a call: most requests have news for one of the three
        if claim.known:
            self._metrics.cache_hits.inc(len(claim.known))
        if claim.own:
            self._metrics.cache_misses.inc(len(claim.own))
        if claim.shared:
            self._metrics.cache_shared.inc(sum(map(len, claim.shared.values())))
        work = _Work(request, fingerprint, keys)
        work.take(claim)
        return work

    async def _finish(self, work: _Work, gate: _Gate) -> Scored:
        """Score what is ours, wait for what is others', and look again for what failed there.

        Args:
            gate: held while the work is at the replicas, and never while it waits for others.
        """
        for _ in range(MAX_ROUNDS):
            if work.claim.known:
                work.known.update(work.claim.known)
                work.sources.add(work.fingerprint)
            if work.claim.own:
                async with gate:
                    await self._score_own(work)
            await self._await_shared(work)
            if len(work.sources) > 1:
                # another model took over: what the cache gave is not comparable with it
                again = self._begin(work.request)
                work.fingerprint, work.keys = again.fingerprint, again.keys
                work.take(again.claim)
                work.known, work.fresh, work.sources = {}, [], set()
                continue
            if all(key in work.known for key in work.keys):
                return self._put_together(work)
            work.take(self._cache.claim(work.keys))
        raise EngineFailed("equal requests kept failing")

    async def _score_own(self, work: _Work) -> None:
        scores: Mapping[bytes, Score] = {}
        fingerprint = ""
        try:
            places = list(work.claim.own.values())
            fresh = await self._spread.score(work.request, places, work.costs)
            scores = dict(zip(work.claim.own, fresh.scores, strict=True))
            fingerprint = fresh.fingerprint
            work.known.update(scores)
            work.fresh.append(fresh)
            work.sources.add(fingerprint)
        finally:
            keep = fingerprint == work.fingerprint
            self._cache.settle(work.claim, scores, fingerprint, keep=keep)

    async def _await_shared(self, work: _Work) -> None:
        for flight, keys in work.claim.shared.items():
            await self._await(flight, work.request.deadline)
            landed = {key: flight.scores[key] for key in keys if key in flight.scores}
            if landed:
                work.known.update(landed)
                work.sources.add(flight.fingerprint)

    async def _await(self, flight: Flight, deadline: float) -> None:
        try:
            async with TimeLimit(deadline - self._clock()):
                await flight.wait()
        except asyncio.TimeoutError:
            reason = self._replicas.not_ready_reason()
            if reason is not None:
                raise NoCapacity(f"no replica in time: {reason}", retry_after_s=1) from None
            raise DeadlineExceeded("not scored in time", retry_after_s=1) from None

    def _put_together(self, work: _Work) -> Scored:
        scores = tuple(work.known[key] for key in work.keys)
        return Scored(
            scores=scores,
            tokens=sum(score.tokens for score in scores),
            queue_s=max((one.queue_s for one in work.fresh), default=0.0),
            score_s=max((one.score_s for one in work.fresh), default=0.0),
            replicas=tuple(sorted({name for one in work.fresh for name in one.replicas})),
            model=work.fresh[0].model if work.fresh else self._replicas.model,
        )
