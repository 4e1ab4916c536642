"""What is compared: anything that orders a topic's documents."""

from __future__ import annotations

from typing import Protocol

from deploy.evaluate.dataset import Topic
from deploy.evaluate.dialect import Ranked
from deploy.evaluate.endpoint import Client, Target


class System(Protocol):
    """A ranker. `describe` names what it is exactly, for the result file."""

    @property
    def name(self) -> str: ...

    async def rank(self, topic: Topic) -> Ranked:
        """Order the topic's documents.

        Raises:
            EndpointError: it cannot.
        """
        ...

    def describe(self) -> dict[str, str]: ...


class HttpSystem:
    """A rerank endpoint; long lists are cut into requests of at most `batch` documents."""

    def __init__(self, client: Client, target: Target, *, batch: int = 100) -> None:
        self._client = client
        self._target = target
        self._batch = batch

    @property
    def name(self) -> str:
        return self._target.name

    def describe(self) -> dict[str, str]:
        target = self._target
        return {
            "name": target.name,
            "url": target.url,
            "dialect": target.dialect.name,
            "model": target.model,
            "instruction": target.instruction,
        }

    async def rank(self, topic: Topic) -> Ranked:
        texts = [document.text for document in topic.documents]
        if len(texts) <= self._batch:
            return await self._client.rerank_patiently(self._target, topic.query.text, texts)
        parts = [
            await self._client.rerank_patiently(
                self._target, topic.query.text, texts[start : start + self._batch]
            )
            for start in range(0, len(texts), self._batch)
        ]
        return _merge(parts)


def _merge(parts: list[Ranked]) -> Ranked:
    """Several requests as one: ordered by score, equal ones by their place in their part."""
    scores: list[float] = []
    places: list[int] = []
    for part in parts:
        place = {index: rank for rank, index in enumerate(part.order)}
        places += [place[index] for index in range(len(part.scores))]
        scores += part.scores
    order = sorted(range(len(scores)), key=lambda index: (-scores[index], places[index]))
    counts = [part.tokens for part in parts]
    return Ranked(
        scores=tuple(scores),
        order=tuple(order),
        tokens=None if None in counts else sum(count or 0 for count in counts),
        truncated=sum(part.truncated for part in parts),
    )
