"""What a search asks of its two models: Protocols and value types. Knows no HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from service.embedding import Vector


@dataclass(frozen=True, slots=True)
class EmbeddedTexts:
    """Vectors in the order of the texts, the space that they are in, and the model's name."""

    vectors: tuple[Vector, ...]
    space: str
    model: str


@dataclass(frozen=True, slots=True)
class Judged:
    """Every text's place in the list and its relevance from 0 to 1, best first; the model."""

    ranked: tuple[tuple[int, float], ...]
    model: str


class Models(Protocol):
    """The embedding model and the reranker of one search; may be the same model."""

    @property
    def same(self) -> bool:
        """Whether vectors and scores come from one model."""
        ...

    async def embed_query(self, query: str) -> EmbeddedTexts:
        """The query's vector, alone."""
        ...

    async def judge(self, query: str, texts: Sequence[str], instruction: str | None) -> Judged:
        """The texts in the order of their relevance to the query."""
        ...
