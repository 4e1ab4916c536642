"""`POST /v1/search` from bytes to bytes: the gateway's own models, and an index beside it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from service.embedding import InputType
from service.errors import NoCapacity, NotFound, ServiceError
from service.gateway import ranking
from service.gateway.embed import Embedding, EmbedRequest
from service.gateway.endpoint import Caller, Endpoint
from service.gateway.schema import search as schema
from service.gateway.schema.body import Body
from service.gateway.scoring import Scoring
from service.gateway.search.library import Library
from service.gateway.search.model import EmbeddedTexts, Judged
from service.gateway.search.outcome import Outcome
from service.gateway.search.remote import HttpModels, Unanswered
from service.gateway.search.searcher import Asked, Searcher
from service.gateway.search.store import NothingIndexed, StoreError
from service.request import RerankRequest
from service.settings import SearchSettings

logger = logging.getLogger(__name__)

BUSY_RETRY_S = 5.0

Elsewhere = Callable[[], HttpModels]
"""Makes what asks another server for embeddings."""


class Search:
    """Answers searches."""

    def __init__(
        self,
        endpoint: Endpoint,
        embedding: Embedding,
        scoring: Scoring,
        library: Library,
        settings: SearchSettings,
        *,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        """Make one.

        Args:
            elsewhere: None: the gateway's own model embeds.
        """
        self._endpoint = endpoint
        self._embedding = embedding
        self._scoring = scoring
        self._library = library
        self._settings = settings
        self._elsewhere = elsewhere

    async def handle(self, request: Request) -> Response:
        """Answer a request.

        Raises:
            ServiceError, ClientDisconnect: as in `Endpoint.handle`.
        """
        return await self._endpoint.serve(request, self._answer)

    async def close(self) -> None:
        """Give the index back."""
        await self._library.close()

    async def _answer(self, caller: Caller, body: Body) -> Response:
        asked = schema.read(body.fields, self._settings)
        asked = replace(asked, instruction=self._endpoint.instruction(asked.instruction))
        found = await self._endpoint.within(caller, self._search(caller, asked))
        _note(caller, found)
        return Response(to_json(schema.answer_of(found)), media_type="application/json")

    async def _search(self, caller: Caller, asked: Asked) -> Outcome:
        try:
            elsewhere = None if self._elsewhere is None else self._elsewhere()
            models = _Models(caller, self._embedding, self._scoring, elsewhere)
            return await Searcher(self._library, models).search(asked)
        except (StoreError, Unanswered) as error:
            raise _in_public(error) from error


@dataclass(frozen=True, slots=True)
class _Models:
    """Implements `Models` for one caller."""

    caller: Caller
    embedding: Embedding
    scoring: Scoring
    elsewhere: HttpModels | None

    @property
    def same(self) -> bool:
        return self.elsewhere is None

    async def embed_query(self, query: str) -> EmbeddedTexts:
        if self.elsewhere is not None:
            return await asyncio.to_thread(self.elsewhere.embed, [query], InputType.QUERY)
        request = EmbedRequest(
            f"{self.caller.note.request_id}.q", (query,), self.caller.deadline, InputType.QUERY
        )
        found = await self.embedding.embed(request, key=self.caller.key)
        return EmbeddedTexts(found.vectors, found.space, found.model)

    async def judge(self, query: str, texts: Sequence[str], instruction: str | None) -> Judged:
        request = RerankRequest(
            id=self.caller.note.request_id,
            query=query,
            documents=tuple(texts),
            deadline=self.caller.deadline,
            instruction=instruction,
        )
        [scored] = await self.scoring.score_all([request], key=self.caller.key)
        self.scoring.count([scored])
        ranked = ranking.order(scored.scores, None)
        return Judged(tuple((one.place, one.relevance) for one in ranked), scored.model)


def _in_public(error: StoreError | Unanswered) -> ServiceError:
    """What a caller is told: no path and no address of this host; the log has the whole."""
    logger.warning("search failed", extra={"error": str(error)})
    if isinstance(error, NothingIndexed):
        return NotFound("nothing is indexed here for the model that is served now")
    if isinstance(error, Unanswered):
        return NoCapacity("the embedding server does not answer", retry_after_s=BUSY_RETRY_S)
    if error.busy:
        return NoCapacity("the index is being written", retry_after_s=BUSY_RETRY_S)
    return NoCapacity("the index cannot be searched", retry_after_s=BUSY_RETRY_S)


def _note(caller: Caller, found: Outcome) -> None:
    times = found.times
    parts = {
        "embed": times.embed_s,
        "open": times.open_s,
        "recall": times.recall_s,
        "rerank": times.rerank_s,
        "total": times.total_s,
    }
    shown = [f"{name};dur={s * 1000:.2f}" for name, s in parts.items() if s is not None]
    caller.note.header("server-timing", ", ".join(shown))
    caller.note.fields["documents"] = found.candidates
    caller.note.fields["recall"] = found.plan.recall.value
