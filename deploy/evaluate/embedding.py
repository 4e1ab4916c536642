"""Cosine of embeddings as a system to compare with and as a first stage."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from deploy.evaluate.dataset import Pair, Text, Topic
from deploy.evaluate.dialect import BadAnswer, Dialect, Ranked
from deploy.evaluate.endpoint import Client, EndpointError, Target
from deploy.evaluate.system import cut

Told = Callable[[int], None]


def _body(model: str, query: str, documents: Sequence[str], instruction: str) -> dict[str, Any]:
    raise NotImplementedError("vectors are asked for one kind of text at a time")


EMBEDDING = Dialect("embedding", "/v1/embeddings", "data", "embedding", _body)
"""OpenAI's shape; `input_type` is sent as well, which servers without it leave alone."""


class EmbeddingSystem:
    """Orders candidates by the cosine of their vectors; each document is embedded once."""

    def __init__(self, client: Client, target: Target) -> None:
        self._client = client
        self._target = target
        self._vectors: dict[str, np.ndarray] = {}
        self._lock = asyncio.Lock()

    @property
    def name(self) -> str:
        return self._target.name

    def describe(self) -> dict[str, str]:
        target = self._target
        return {"name": target.name, "url": target.url, "model": f"{target.model}, cosine"}

    async def rank(self, topic: Topic) -> Ranked:
        """As `System.rank`."""
        await self.embed(topic.documents)
        (query,) = await self._ask([topic.query.text], "query")
        documents = np.stack([self._vectors[document.id] for document in topic.documents])
        scores = documents @ query
        order = np.argsort(-scores, kind="stable")
        return Ranked(tuple(map(float, scores)), tuple(map(int, order)))

    async def embed(self, documents: Sequence[Text], told: Told = lambda _: None) -> None:
        """Get the vectors of documents that have none yet.

        Args:
            told: called with the number of documents after each request.

        Raises:
            EndpointError: the endpoint cannot embed.
        """
        async with self._lock:  # two topics share most of their documents
            missing = [each for each in documents if each.id not in self._vectors]
            place = 0
            for texts in cut([document.text for document in missing]):
                for vector in await self._ask(texts, "document"):
                    self._vectors[missing[place].id] = vector
                    place += 1
                told(len(texts))

    async def best(
        self, pairs: Sequence[Pair], limit: int, told: Told = lambda _: None
    ) -> Callable[[Pair, Text], Sequence[Text]]:
        """A first stage over whole pools: the nearest documents of each query."""
        for pair in pairs:
            await self.embed(pair.pool, told)
        chosen: dict[tuple[str, str], list[Text]] = {}
        for pair in pairs:
            pool = np.stack([self._vectors[document.id] for document in pair.pool])
            for query in pair.queries:
                (vector,) = await self._ask([query.text], "query")
                nearest = np.argsort(-(pool @ vector), kind="stable")[:limit]
                chosen[query.id, pair.doc_lang] = [pair.pool[place] for place in nearest]
        return lambda pair, query: chosen[query.id, pair.doc_lang]

    async def _ask(self, texts: Sequence[str], input_type: str) -> list[np.ndarray]:
        body = {"input": list(texts), "input_type": input_type, "encoding_format": "float"}
        if self._target.model:
            body["model"] = self._target.model
        answer = await self._client.patiently(
            lambda: self._client.post(self._target, EMBEDDING.path, body)
        )
        try:
            return vectors(answer, len(texts))
        except BadAnswer as error:
            raise EndpointError(f"{self.name}: {error}") from None


def vectors(answer: object, count: int) -> list[np.ndarray]:
    """The vectors of an answer in the order of the texts, scaled to length 1.

    Raises:
        BadAnswer: one is missing, or is no list of finite numbers.
    """
    items = answer.get("data") if isinstance(answer, Mapping) else None
    if not isinstance(items, list) or len(items) != count:
        raise BadAnswer(f"the answer has no list of {count} vectors")
    found: dict[int, np.ndarray] = {}
    for item in items:
        try:
            vector = np.asarray(item["embedding"], dtype=np.float32)
            index = int(item["index"])
        except (LookupError, TypeError, ValueError):
            raise BadAnswer("a vector has no index, or is no list of numbers") from None
        length = float(np.linalg.norm(vector))
        if vector.ndim != 1 or not np.isfinite(length) or length == 0:
            raise BadAnswer(f"vector {index} is empty or not finite")
        found[index] = vector / length
    if sorted(found) != list(range(count)):
        raise BadAnswer("an index is missing or comes twice")
    return [found[index] for index in range(count)]
