"""What is compared: anything that orders a topic's documents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from deploy.evaluate.dataset import Topic
from deploy.evaluate.dialect import Ranked
from deploy.evaluate.endpoint import Client, EndpointError, Target


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
TOO_MUCH = frozenset({413, 504})
"""Statuses by which an endpoint says that half of it might go: too large, or too slow."""


class HttpSystem:
    """A rerank endpoint; long lists are cut into several requests.

    Where the endpoint does not get through one in its time, that one is asked in halves, and all
    further ones are no larger: a slow host takes longer, and the run does not end.
    """

    def __init__(self, client: Client, target: Target) -> None:
        self._client = client
        self._target = target
        self._most_chars = MOST_CHARS

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
        parts: list[Ranked] = []
        while texts:
            # cut anew each time: the size may have come down
            part = cut(texts, self._most_chars)[0]
            parts += await self._rank(topic.query.text, part)
            texts = texts[len(part) :]
        return parts[0] if len(parts) == 1 else _merge(parts)

    async def _rank(self, query: str, texts: Sequence[str]) -> list[Ranked]:
        """The texts in one request, or in as many as the endpoint needs, in order."""
        divisible = len(texts) > 1
        try:
            return [
                await self._client.rerank_patiently(
                    self._target, query, texts, final=TOO_MUCH if divisible else frozenset()
                )
            ]
        except EndpointError as error:
            if not divisible or error.status not in TOO_MUCH:
                raise
        self._most_chars = min(self._most_chars, sum(len(text) for text in texts) // 2)
        middle = len(texts) // 2
        return [
            ranked
            for half in (texts[:middle], texts[middle:])
            for ranked in await self._rank(query, half)
        ]


def cut(texts: Sequence[str], most_chars: int = MOST_CHARS) -> list[list[str]]:
    """The texts in order, in lists of at most 100 texts and so many characters (or one text)."""
    parts: list[list[str]] = []
    room = 0
    for text in texts:
        if not parts or len(text) > room or len(parts[-1]) == MOST_DOCUMENTS:
            parts.append([])
            room = most_chars
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
