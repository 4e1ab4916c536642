"""What the stages of a search are worth on a judged data set: quality and latency of each.

Every system searches the same index through the same `Searcher` as users do. A document is where
its best passage is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from deploy.evaluate.dataset import Dataset, Pair, judged_within, pairs_of
from deploy.evaluate.measure import measure
from service.embedding import InputType
from service.gateway.search.cut import Cutter, Source
from service.gateway.search.indexer import Indexer
from service.gateway.search.library import Library
from service.gateway.search.model import Models
from service.gateway.search.opening import open_index
from service.gateway.search.outcome import Outcome
from service.gateway.search.plan import Recall, Rerank
from service.gateway.search.remote import HttpModels
from service.gateway.search.searcher import Asked, Searcher
from service.settings import SearchSettings

SYSTEMS: Mapping[str, tuple[Recall, Rerank]] = {
    "words": (Recall.LEXICAL, Rerank.NEVER),
    "vectors": (Recall.DENSE, Rerank.NEVER),
    "fusion": (Recall.FUSION, Rerank.NEVER),
    "words, reranked": (Recall.LEXICAL, Rerank.ALWAYS),
    "vectors, reranked": (Recall.DENSE, Rerank.ALWAYS),
    "fusion, reranked": (Recall.FUSION, Rerank.ALWAYS),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One system on one language pair; quality from 0 to 1, latencies in milliseconds.

    Attributes:
        recall: share of the relevant documents among all that the answer has.
    """

    pair: str
    system: str
    queries: int
    ndcg_at_10: float
    recall: float
    p50_ms: float
    p95_ms: float


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured.

    Attributes:
        folder: where the indexes are kept, so that a second run need not embed again.
        queries: per pair; None: all.
    """

    dataset: Dataset
    folder: Path
    pairs: tuple[tuple[str, str], ...]
    queries: int | None
    candidates: int
    settings: SearchSettings


def run(plan: Plan, models: HttpModels, search: Models, tell: Callable[[str], None]) -> list[Row]:
    """Index each document language, then ask every query of every pair of each system.

    Args:
        models: embeds the passages.
        search: the models of the searches.

    Raises:
        StoreError, Unanswered, DataError: a sentence for the terminal.
    """
    rows = []
    pairs = pairs_of(plan.dataset, only=plan.pairs, max_queries=plan.queries)
    for pair in pairs:
        settings = _settings(plan, pair.doc_lang)
        tell(f"indexing {pair.doc_lang}")
        _index(plan, pair, settings, models)
        for name, (recall, rerank) in SYSTEMS.items():
            tell(f"{pair.query_lang}>{pair.doc_lang}: {name}")
            found = asyncio.run(_ask(plan, pair, settings, search, recall, rerank=rerank))
            rows.append(_row(plan, pair, name, found))
    return rows


def _settings(plan: Plan, lang: str) -> SearchSettings:
    """The settings with an index and a folder of their own for the documents of one language."""
    name = "m_" + "".join(letter if letter.isalnum() else "_" for letter in lang.lower())
    return plan.settings.model_copy(
        update={"index": name, "uri": str(plan.folder), "store": "milvus"}
    )


def _index(plan: Plan, pair: Pair, settings: SearchSettings, models: HttpModels) -> None:
    probe = models.embed(["rankguard"], InputType.DOCUMENT)
    index = open_index(settings, plan.folder, probe.space, probe.vectors[0].dimension, create=True)
    try:
        indexer = Indexer(
            index.store, index.writer, models, Cutter(settings.passage_tokens), space=probe.space
        )
        sources = (
            Source(plan.dataset.name, document.id, "", document.text, is_markdown=False)
            for document in pair.pool
        )
        indexer.run(plan.dataset.name, sources)
    finally:
        index.close()


async def _ask(
    plan: Plan,
    pair: Pair,
    settings: SearchSettings,
    models: Models,
    recall: Recall,
    *,
    rerank: Rerank,
) -> dict[str, Outcome]:
    library = Library(
        lambda space, dimension: open_index(settings, plan.folder, space, dimension, create=False),
        idle_s=3600.0,
    )
    searcher = Searcher(library, models)
    asked = Asked("", plan.candidates, plan.candidates, recall, rerank, per_source=1)
    found = {}
    try:
        # once for nothing: the first search opens the index
        await searcher.search(replace(asked, query=pair.queries[0].text))
        for query in pair.queries:
            found[query.id] = await searcher.search(replace(asked, query=query.text))
    finally:
        await library.close()
    return found


def _row(plan: Plan, pair: Pair, name: str, found: Mapping[str, Outcome]) -> Row:
    judged = {query.id: judged_within(plan.dataset, query, pair.doc_lang) for query in pair.queries}
    orders = {
        key: [one.passage.source for one in outcome.results] for key, outcome in found.items()
    }
    measured = measure(judged, orders)
    seconds = [outcome.times.total_s for outcome in found.values()]
    return Row(
        pair=f"{pair.query_lang}>{pair.doc_lang}",
        system=name,
        queries=len(found),
        ndcg_at_10=_mean([one.ndcg_at_10 for one in measured]),
        recall=_mean([one.recall_at_100 for one in measured]),
        p50_ms=float(np.percentile(seconds, 50)) * 1000,
        p95_ms=float(np.percentile(seconds, 95)) * 1000,
    )


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))
