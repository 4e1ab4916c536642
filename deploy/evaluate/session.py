"""One evaluation from its options to its result: the composition of this folder's parts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from deploy.evaluate import candidates, measure, provenance
from deploy.evaluate.bm25 import Bm25System
from deploy.evaluate.dataset import DataError, Dataset, Pair, Topic, pairs_of
from deploy.evaluate.endpoint import Client, Target, describe
from deploy.evaluate.folder import Answer, RunFolder
from deploy.evaluate.result import Comparison, SystemResult, compare, summarize, to_json
from deploy.evaluate.runner import Answers, collect
from deploy.evaluate.system import HttpSystem, System

BM25 = "bm25"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be measured.

    Attributes:
        targets: endpoints, and the word `bm25`, in the order of the tables; the first is ours.
        pairs: empty: those of the data set.
        queries: per pair; None: as the data set says; 0: all.
        candidates: `all` or `bm25:K`.
    """

    dataset: Dataset
    targets: tuple[Target | str, ...]
    pairs: tuple[tuple[str, str], ...] = ()
    queries: int | None = None
    candidates: str = "all"
    run: dict[str, list[str]] | None = None
    seed: int = 20261122
    concurrency: int = 2
    folder: Path | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything that a report is made of."""

    results: tuple[SystemResult, ...]
    comparisons: tuple[Comparison, ...]
    topics: tuple[Topic, ...]
    answers: Answers = field(repr=False)
    run: dict[str, Any] = field(repr=False)

    def to_json(self) -> dict[str, Any]:
        return to_json(self.results, self.comparisons, self.run)


def evaluate(
    plan: Plan, *, begin: Callable[[int], None], done: Callable[[Answer], None]
) -> Outcome:
    """Run a plan to its end.

    Args:
        begin: called once with the number of answers that are needed.
        done: called with each answer.

    Raises:
        DataError: data set, pairs or folder do not fit.
        EndpointError: an endpoint failed for good.
    """
    return asyncio.run(_evaluate(plan, begin, done))


async def _evaluate(
    plan: Plan, begin: Callable[[int], None], done: Callable[[Answer], None]
) -> Outcome:
    made_by = provenance.observe("ir-measures", "pytrec_eval-terrier", "bm25s", "numpy")
    limit = plan.dataset.queries_per_pair if plan.queries is None else plan.queries or None
    pairs = pairs_of(plan.dataset, only=plan.pairs, max_queries=limit)
    bm25 = Bm25System(pairs)
    topics = candidates.topics_of(plan.dataset, pairs, _chooser(plan, bm25), seed=plan.seed)
    async with Client() as client:
        targets = [await _named(client, target) for target in plan.targets]
        systems = [_system(client, target, bm25) for target in targets]
        names = [system.name for system in systems]
        if len(set(names)) != len(names):
            raise DataError(f"two systems have one name ({', '.join(names)}): name them NAME=URL")
        about = _about(plan, pairs, topics, systems)
        folder = None if plan.folder is None else RunFolder(plan.folder, about)
        begin(len(systems) * len(topics))
        answers = await collect(
            systems, topics, folder=folder, concurrency=plan.concurrency, done=done
        )
    results = tuple(
        summarize(plan.dataset.name, name, topics, answers, seed=plan.seed) for name in names
    )
    comparisons = tuple(compare(results[0], other, seed=plan.seed) for other in results[1:])
    run = made_by.to_json() | about
    return Outcome(results, comparisons, tuple(topics), answers, run)


async def _named(client: Client, target: Target | str) -> Target | str:
    """The target with the model that the endpoint says it serves, where none was given."""
    if isinstance(target, str) or target.model:
        return target
    return replace(target, model=await describe(client, target))


def _system(client: Client, target: Target | str, bm25: Bm25System) -> System:
    if isinstance(target, Target):
        return HttpSystem(client, target)
    if target != BM25:
        raise DataError(f"{target!r} is no system")
    return bm25


def _chooser(plan: Plan, bm25: Bm25System) -> candidates.Chooser:
    kind, _, count = plan.candidates.partition(":")
    if plan.run is not None:
        return candidates.from_run(plan.run, limit=candidates.MOST_DOCUMENTS)
    if kind == "all" and not count:
        return candidates.everything
    if kind == BM25 and count.isdigit() and int(count) > 0:
        return bm25.best(int(count))
    raise DataError(f"--candidates is all or bm25:COUNT, not {plan.candidates!r}")


def _about(
    plan: Plan, pairs: Sequence[Pair], topics: Sequence[Topic], systems: Sequence[System]
) -> dict[str, Any]:
    """What has to be equal for a run to be the same run."""
    return {
        "dataset": plan.dataset.name,
        "dataset_sha256": plan.dataset.digest(),
        "licence": plan.dataset.licence,
        "pairs": [f"{pair.query_lang}>{pair.doc_lang}" for pair in pairs],
        "topics": len(topics),
        "documents": sum(len(topic.documents) for topic in topics),
        "candidates": "run" if plan.run is not None else plan.candidates,
        "seed": plan.seed,
        "systems": [system.describe() for system in systems],
        "measures": measure.versions(),
    }
