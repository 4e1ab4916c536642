"""NDCG of old and new on a judged set: the parts of `rankguard eval`, on the workers themselves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from deploy.evaluate import candidates
from deploy.evaluate.bm25 import Bm25System
from deploy.evaluate.builders import source
from deploy.evaluate.dataset import Pair, Topic, pairs_of
from deploy.evaluate.folder import Answer
from deploy.evaluate.result import SystemResult, compare, summarize
from deploy.evaluate.runner import collect
from deploy.upgrade.asking import Worker
from deploy.upgrade.verdict import Quality

SEED = 20261122
_CANDIDATES = 100
"""Of a pool that is larger: what a first stage hands on."""


def measure(
    name: str,
    old: Worker | None,
    new: Worker,
    *,
    queries: int | None,
    tell: Callable[[str], None],
) -> Quality:
    """Measure both on the same topics.

    Args:
        name: `udhr`, a built set, or a folder in BEIR form.
        queries: per language pair; None: as the data set says.

    Raises:
        DataError: the data set cannot be used.
        EndpointError: a worker failed.
    """
    dataset = source.load(name)
    limit = dataset.queries_per_pair if queries is None else queries
    pairs = pairs_of(dataset, max_queries=limit)
    topics = candidates.topics_of(dataset, pairs, _chooser(pairs), seed=SEED)
    systems = [new] if old is None else [new, old]
    results = asyncio.run(_collect(dataset.name, systems, topics, tell))
    worse = None if old is None else compare(results[0], results[1], seed=SEED)
    return Quality(
        dataset=dataset.name,
        queries=len(topics),
        new=results[0].mean.ndcg_at_10,
        old=None if old is None else results[1].mean.ndcg_at_10,
        p=None if worse is None else worse.p,
    )


async def _collect(
    dataset: str, systems: Sequence[Worker], topics: Sequence[Topic], tell: Callable[[str], None]
) -> list[SystemResult]:
    wanted, done = len(systems) * len(topics), 0

    def count(_: Answer) -> None:
        nonlocal done
        done += 1
        tell(f"quality: {done} of {wanted} answers")

    answers = await collect(systems, topics, folder=None, concurrency=1, done=count)
    return [summarize(dataset, one.name, topics, answers, seed=SEED) for one in systems]


def _chooser(pairs: Sequence[Pair]) -> candidates.Chooser:
    if max(len(pair.pool) for pair in pairs) <= _CANDIDATES:
        return candidates.everything
    return Bm25System(pairs).best(_CANDIDATES)
