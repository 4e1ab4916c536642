"""The way of a request for embeddings: admission, chunks, replicas, and its vectors in order."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from service.embedding import EmbedJob, InputType, Vector
from service.errors import EngineFailed, InvalidValue
from service.gateway import chunking
from service.gateway.admission import Admission
from service.gateway.chunking import Chunk
from service.gateway.dispatch import Dispatcher, Done, renumber
from service.gateway.replicas import Replicas
from service.gateway.spread import CHUNKS_PER_REPLICA, MAX_MIXED, together
from service.gateway.transport import EmbedAnswer

_TEXT = re.compile(r"texts(?=\[\d+\])")


@dataclass(frozen=True, slots=True)
class EmbedRequest:
    """Texts of one caller; `deadline` in `time.monotonic()` seconds."""

    id: str
    texts: tuple[str, ...]
    deadline: float
    input_type: InputType = InputType.DOCUMENT


@dataclass(frozen=True, slots=True)
class Vectors:
    """A request's vectors, in the order of its texts, and how they came about; times in seconds.

    Attributes:
        space: names the vector space: vectors of equal spaces can be compared.
        model: the name of what made them.
    """

    vectors: tuple[Vector, ...]
    space: str
    model: str
    replicas: tuple[str, ...]
    queue_s: float
    score_s: float

    @property
    def tokens(self) -> int:
        return sum(one.tokens for one in self.vectors)


class Embedding:
    """Embeds whole requests."""

    def __init__(
        self,
        replicas: Replicas,
        dispatcher: Dispatcher[EmbedJob, EmbedAnswer],
        admission: Admission,
        *,
        chunk_tokens: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._replicas = replicas
        self._dispatcher = dispatcher
        self._admission = admission
        self._chunk_tokens = chunk_tokens
        self._clock = clock

    async def embed(self, request: EmbedRequest, *, key: str = "") -> Vectors:
        """Every text's vector, all of one vector space.

        Args:
            key: the name of the caller's API key; empty when there are no keys.

        Raises:
            InvalidValue: the model makes no embeddings, or refuses a text (`input[3]`).
            ServiceError: as in `Admission.admit` and `Dispatcher.answer`.
        """
        costs = [chunking.PAIR_TOKENS + chunking.estimate(text) for text in request.texts]
        permit = self._admission.admit(sum(costs), deadline=request.deadline, key=key)
        try:
            chunks = chunking.cut(
                costs,
                chunk_tokens=self._chunk_tokens,
                replicas=max(1, len(self._replicas.routable())),
            )
            for _ in range(MAX_MIXED):
                done = await self._all(request, chunks)
                if len({one.answer.space for one in done}) == 1:
                    return _put_together(done)
                # replicas were exchanged under way: vectors of two models cannot be compared
            raise EngineFailed("the model kept changing while this request was embedded")
        except InvalidValue as error:
            param = None if error.param is None else _TEXT.sub("input", error.param)
            raise error.reworded(_TEXT.sub("input", error.message), param) from error
        finally:
            permit.close()

    async def _all(self, request: EmbedRequest, chunks: Sequence[Chunk]) -> list[Done[EmbedAnswer]]:
        gate = asyncio.Semaphore(CHUNKS_PER_REPLICA * max(1, len(self._replicas.all())))

        async def in_turn(number: int, chunk: Chunk) -> Done[EmbedAnswer]:
            async with gate:
                return await self._one(request, chunk, number)

        return await together([in_turn(number, chunk) for number, chunk in enumerate(chunks)])

    async def _one(self, request: EmbedRequest, chunk: Chunk, number: int) -> Done[EmbedAnswer]:
        job = EmbedJob(
            id=f"{request.id}.{number}",
            texts=tuple(request.texts[place] for place in chunk.indexes),
            timeout_s=request.deadline - self._clock(),
            input_type=request.input_type,
        )
        try:
            return await self._dispatcher.answer(
                job, tokens=chunk.tokens, deadline=request.deadline
            )
        except InvalidValue as error:
            raise renumber(error, chunk.indexes) from error


def _put_together(done: Sequence[Done[EmbedAnswer]]) -> Vectors:
    """Chunks are of neighbouring texts, so their vectors join end to end."""
    return Vectors(
        vectors=tuple(vector for one in done for vector in one.answer.vectors),
        space=done[0].answer.space,
        model=done[0].model,
        replicas=tuple(sorted({one.replica for one in done})),
        queue_s=max(one.queue_s for one in done),
        score_s=max(one.score_s for one in done),
    )
