"""`POST /v1/embeddings` from bytes to bytes."""

from __future__ import annotations

import time
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

from service.gateway.embed import Embedding, EmbedRequest
from service.gateway.endpoint import Caller, Endpoint
from service.gateway.schema import embeddings as schema
from service.gateway.schema.body import Body
from service.gateway.schema.call import Limits


class Embeddings:
    """Answers requests for embeddings."""

    def __init__(
        self,
        endpoint: Endpoint,
        embedding: Embedding,
        limits: Limits,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._endpoint = endpoint
        self._embedding = embedding
        self._limits = limits
        self._clock = clock

    async def handle(self, request: Request) -> Response:
        """Answer a request.

        Raises:
            ServiceError, ClientDisconnect: as in `Endpoint.handle`.
        """
        return await self._endpoint.serve(request, self._answer)

    async def _answer(self, caller: Caller, body: Body) -> Response:
        call = schema.read(body.fields, self._limits)
        note = caller.note
        note.fields["documents"] = len(call.texts)
        asked = EmbedRequest(note.request_id, call.texts, caller.deadline, call.input_type)
        found = await self._endpoint.within(caller, self._embedding.embed(asked, key=caller.key))
        warnings = (*body.warnings, *call.warnings, *call.notes_after(found))
        if warnings:
            note.header("x-rankguard-warnings", str(len(warnings)))
        total_s = self._clock() - caller.began
        note.header(
            "server-timing",
            f"queue;dur={found.queue_s * 1000:.2f}, embed;dur={found.score_s * 1000:.2f}, "
            f'total;dur={total_s * 1000:.2f}, replicas;desc="{" ".join(found.replicas)}"',
        )
        note.fields.update(tokens=found.tokens, replicas=list(found.replicas))
        return Response(call.answer(found, warnings), media_type="application/json")
