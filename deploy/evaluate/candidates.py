"""Which documents each query's ranking starts from: the whole pool, BM25's best, or a run's."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence

from deploy.evaluate.dataset import DataError, Dataset, Pair, Text, Topic, judged_within

MOST_DOCUMENTS = 1000
"""Of one topic; a larger pool needs a first stage."""

Chooser = Callable[[Pair, Text], Sequence[Text]]
"""From a pair and one of its queries to the documents to order."""


def everything(pair: Pair, query: Text) -> Sequence[Text]:
    """The whole pool.

    Raises:
        DataError: the pool is too large for that.
    """
    del query
    if len(pair.pool) > MOST_DOCUMENTS:
        raise DataError(
            f"{len(pair.pool)} documents in {pair.doc_lang}: choose candidates with "
            "--candidates bm25:100 or --run FILE"
        )
    return pair.pool


def from_run(run: Mapping[str, Sequence[str]], *, limit: int) -> Chooser:
    """The first `limit` documents of a TREC run, query id -> document ids, best first."""

    def choose(pair: Pair, query: Text) -> Sequence[Text]:
        pool = {document.id: document for document in pair.pool}
        return [pool[each] for each in run.get(query.id, ()) if each in pool][:limit]

    return choose


def topics_of(
    dataset: Dataset, pairs: Sequence[Pair], choose: Chooser, *, seed: int
) -> list[Topic]:
    """One topic per query and pair.

    The candidates are shuffled, the same way for the same seed: an endpoint that gives all
    documents one score must not profit from the order in which it got them.

    Raises:
        DataError: no query has a candidate.
    """
    topics = []
    for pair in pairs:
        for query in pair.queries:
            documents = list(choose(pair, query))
            if not documents:
                continue
            random.Random(f"{seed}:{query.id}>{pair.doc_lang}").shuffle(documents)
            topics.append(
                Topic(
                    query=query,
                    doc_lang=pair.doc_lang,
                    documents=tuple(documents),
                    judged=judged_within(dataset, query, pair.doc_lang),
                )
            )
    if not topics:
        raise DataError("no query has a candidate: does the run belong to this data set?")
    return topics
