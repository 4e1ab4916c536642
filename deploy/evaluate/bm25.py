"""BM25 over a pool, as a system to compare with and as a first stage (`bm25s`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import version

import bm25s
import numpy as np

from deploy.evaluate.dataset import Pair, Text, Topic
from deploy.evaluate.dialect import Ranked
from service.gateway.search.words import tokens


class Index:
    """A pool of documents that BM25 can score (k1 1.5, b 0.75, Lucene's variant)."""

    def __init__(self, documents: Sequence[Text]) -> None:
        self._ids = [document.id for document in documents]
        self._place = {each: place for place, each in enumerate(self._ids)}
        self._bm25 = bm25s.BM25(k1=1.5, b=0.75, method="lucene")
        corpus = [tokens(document.text) or [""] for document in documents]
        self._bm25.index(corpus, show_progress=False)

    def scores(self, query: str) -> np.ndarray:
        """One score per document of the pool, 0 where no word is shared."""
        known = [token for token in tokens(query) if token in self._bm25.vocab_dict]
        if not known:
            return np.zeros(len(self._ids), dtype=np.float32)
        return np.asarray(self._bm25.get_scores(known))

    def top(self, query: str, limit: int) -> list[str]:
        """Ids of the best documents, ties in the pool's order."""
        order = np.argsort(-self.scores(query), kind="stable")
        return [self._ids[place] for place in order[:limit]]

    def pick(self, query: str, documents: Sequence[Text]) -> list[float]:
        scores = self.scores(query)
        return [float(scores[self._place[document.id]]) for document in documents]


class Bm25System:
    """Orders candidates by BM25 with the statistics of the whole pool."""

    name = "bm25"

    def __init__(self, pairs: Sequence[Pair]) -> None:
        self._pools = {pair.doc_lang: pair.pool for pair in pairs}
        self._indexes: dict[str, Index] = {}

    def describe(self) -> dict[str, str]:
        return {"name": self.name, "model": f"bm25s {version('bm25s')} lucene k1=1.5 b=0.75"}

    async def rank(self, topic: Topic) -> Ranked:
        index = self.index(topic.doc_lang)
        scores = index.pick(topic.query.text, topic.documents)
        order = sorted(range(len(scores)), key=lambda place: -scores[place])
        return Ranked(tuple(scores), tuple(order))

    def best(self, limit: int) -> Callable[[Pair, Text], Sequence[Text]]:
        """A first stage: the pool's best documents for a query."""

        def choose(pair: Pair, query: Text) -> Sequence[Text]:
            pool = {document.id: document for document in pair.pool}
            return [pool[each] for each in self.index(pair.doc_lang).top(query.text, limit)]

        return choose

    def index(self, doc_lang: str) -> Index:
        """The index of one language's pool, made at its first use."""
        if doc_lang not in self._indexes:
            self._indexes[doc_lang] = Index(self._pools[doc_lang])
        return self._indexes[doc_lang]
