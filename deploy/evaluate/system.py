"""What is compared: anything that orders a topic's documents."""

from __future__ import annotations

from collections.abc import Sequence
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


MOST_DOCUMENTS = 100
MOST_CHARS = 40_000
"""Of one request, about 10,000 tokens: a CPU scores them well within a gateway's deadline."""


class HttpSystem:
    """A rerank endpoint; long lists are cut into several requests."""

    def __init__(self, client: Client, target: Target) -> None:
        self._client = client
        self._target = target

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
        parts = [
            await self._client.rerank_patiently(self._target, topic.query.text, texts)
            for texts in cut([document.text for document in topic.documents])
        ]
        return parts[0] if len(parts) == 1 else _merge(parts)


def cut(texts: Sequence[str]) -> list[list[str]]:
    """The texts in order, in lists of at most 100 texts and 40,000 characters (or one text)."""
    parts: list[list[str]] = []
    room = 0
    for text in texts:
        if not parts or len(text) > room or len(parts[-1]) == MOST_DOCUMENTS:
            parts.append([])
            room = MOST_CHARS
        parts[-1].append(text)
        room -= len(text)
    return parts


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
