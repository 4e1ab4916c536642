"""Models for tests: vectors by the words of a text, scores by a list of favourites."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from service.embedding import InputType, Vector, pack
from service.gateway.search.model import EmbeddedTexts, Judged
from service.worker.engines.scripted import word_vector

SPACE = "words-1"
DIMENSION = 32


class WordModels:
    """Implements `Models`, and `Embed` for the indexer."""

    def __init__(self, *, same: bool = False, favourites: Sequence[str] = ()) -> None:
        self.same = same
        self.space = SPACE
        self.favourites = favourites
        self.embedded: list[str] = []
        self.judged: list[list[str]] = []
        self.instructions: list[str | None] = []
        self._lock = threading.Lock()

    def embed(self, texts: Sequence[str], input_type: InputType) -> EmbeddedTexts:
        with self._lock:
            self.embedded += texts
        vectors = tuple(Vector(pack(word_vector(text)), 1) for text in texts)
        return EmbeddedTexts(vectors, self.space, "embedder")

    async def embed_query(self, query: str) -> EmbeddedTexts:
        return self.embed([query], InputType.QUERY)

    async def judge(self, query: str, texts: Sequence[str], instruction: str | None) -> Judged:
        self.judged.append(list(texts))
        self.instructions.append(instruction)
        scores = [sum(word in text for word in self.favourites) for text in texts]
        order = sorted(range(len(texts)), key=lambda place: -scores[place])
        return Judged(tuple((place, scores[place] / 10) for place in order), "reranker")
