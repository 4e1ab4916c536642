"""One evaluation from its options to its result: the composition of this folder's parts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from deploy.evaluate import candidates, measure, needle, provenance, variant
from deploy.evaluate.bm25 import Bm25System
from deploy.evaluate.crossencoder import PREFIX, FolderSystem
from deploy.evaluate.dataset import DataError, Dataset, Pair, Topic, pairs_of
from deploy.evaluate.embedding import EMBEDDING, EmbeddingSystem
from deploy.evaluate.endpoint import Client, Target, describe
from deploy.evaluate.folder import Answer, RunFolder
from deploy.evaluate.needle import Haystack
from deploy.evaluate.result import Comparison, SystemResult, compare, summarize, to_json
from deploy.evaluate.runner import Answers, collect
from deploy.evaluate.system import HttpSystem, System
from deploy.evaluate.threshold import Threshold, recommend

BM25 = "bm25"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be measured, with what.

    Attributes:
        targets: endpoints, the word `bm25`, and `folder:PATH` for a cross-encoder, in the order
            of the tables; the first is ours.
        pairs: empty: those of the data set.
        queries: per pair; None: as the data set says; 0: all.
        candidates: `all`, `bm25:K` or `embedding:K`; a `run` goes before it.
    """

    dataset: Dataset
    targets: tuple[Target | str, ...]
    pairs: tuple[tuple[str, str], ...] = ()
    queries: int | None = None
    candidates: str = "all"
    run: Mapping[str, Sequence[str]] | None = None
    seed: int = 20261122
    concurrency: int = 2
    folder: Path | None = None


@dataclass(frozen=True, slots=True)
class Watch:
    """Who is told.

    Attributes:
        begin: once, with the number of answers needed.
        done: with each answer.
        embedded: with a number of documents, while a first stage embeds its pools.
    """

    begin: Callable[[int], None]
    done: Callable[[Answer], None]
    embedded: Callable[[int], None] = lambda _: None


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything that a report is made of."""

    results: tuple[SystemResult, ...]
    comparisons: tuple[Comparison, ...]
    thresholds: Mapping[str, Threshold | None]
    topics: tuple[Topic, ...]
    answers: Answers = field(repr=False)
    run: dict[str, Any] = field(repr=False)

    def to_json(self) -> dict[str, Any]:
        """The shape of `rankguard eval --json`."""
        body = to_json(self.results, self.comparisons, self.run)
        thresholds = {
            name: None if each is None else asdict(each) for name, each in self.thresholds.items()
        }
        return body | {"thresholds": thresholds}


def evaluate(plan: Plan, watch: Watch) -> Outcome:
    """Language pair by language pair.

    Raises:
        DataError: data set, pairs or folder do not fit.
        EndpointError: an endpoint failed for good.
    """
    limit = plan.dataset.queries_per_pair if plan.queries is None else plan.queries or None
    pairs = pairs_of(plan.dataset, only=plan.pairs, max_queries=limit)
    bm25 = Bm25System(pairs)
    chooser = _chooser(plan, pairs, bm25, watch)
    topics = candidates.topics_of(plan.dataset, pairs, chooser, seed=plan.seed)
    kind = {"candidates": "run" if plan.run is not None else plan.candidates}
    return asyncio.run(_answer(plan, plan.dataset.name, topics, kind=kind, watch=watch, bm25=bm25))


def find_needles(plan: Plan, haystack: Haystack, watch: Watch) -> Outcome:
    """Length by depth; raises as `evaluate`."""
    topics = needle.topics(plan.dataset, haystack)
    kind = {"chars": {str(key): value for key, value in haystack.chars.items()}}
    return asyncio.run(_answer(plan, "needle", topics, kind=kind, watch=watch))


def vary(plan: Plan, watch: Watch) -> Outcome:
    """The same questions, written otherwise; raises as `evaluate`."""
    limit = plan.dataset.queries_per_pair if plan.queries is None else plan.queries or None
    pairs = pairs_of(plan.dataset, only=plan.pairs, max_queries=limit)
    topics = candidates.topics_of(plan.dataset, pairs, candidates.everything, seed=plan.seed)
    kind = {"variants": list(variant.VARIANTS)}
    return asyncio.run(
        _answer(
            plan, f"{plan.dataset.name}, variants", variant.topics(topics), kind=kind, watch=watch
        )
    )


async def _answer(
    plan: Plan,
    name: str,
    topics: Sequence[Topic],
    *,
    kind: Mapping[str, Any],
    watch: Watch,
    bm25: Bm25System | None = None,
) -> Outcome:
    made_by = provenance.observe("ir-measures", "pytrec_eval-terrier", "bm25s", "numpy")
    async with Client() as client:
        targets = [await _named(client, target) for target in plan.targets]
        systems = [_system(client, target, bm25) for target in targets]
        names = [system.name for system in systems]
        if len(set(names)) != len(names):
            raise DataError(f"two systems have one name ({', '.join(names)}): name them NAME=URL")
        about = _about(plan, name, topics, systems) | dict(kind)
        folder = None if plan.folder is None else RunFolder(plan.folder, about)
        watch.begin(len(systems) * len(topics))
        answers = await collect(
            systems, topics, folder=folder, concurrency=plan.concurrency, done=watch.done
        )
    results = tuple(summarize(name, each, topics, answers, seed=plan.seed) for each in names)
    return Outcome(
        results=results,
        comparisons=tuple(compare(results[0], other, seed=plan.seed) for other in results[1:]),
        thresholds={each: _threshold(each, topics, answers) for each in names},
        topics=tuple(topics),
        answers=answers,
        run=made_by.to_json() | about,
    )


def _threshold(system: str, topics: Sequence[Topic], answers: Answers) -> Threshold | None:
    """From all judged and unjudged candidates: what nobody judged counts as not relevant."""
    scores: list[float] = []
    relevant: list[bool] = []
    for topic in topics:
        answer = answers[system, topic.key]
        scores += answer.scores
        relevant += [topic.judged.get(each, 0) > 0 for each in answer.documents]
    return recommend(scores, relevant)


async def _named(client: Client, target: Target | str) -> Target | str:
    """The target with the model that the endpoint says it serves, where none was given."""
    if isinstance(target, str) or target.model:
        return target
    return replace(target, model=await describe(client, target))


def _system(client: Client, target: Target | str, bm25: Bm25System | None) -> System:
    if isinstance(target, Target):
        embeds = target.dialect is EMBEDDING
        return EmbeddingSystem(client, target) if embeds else HttpSystem(client, target)
    if target.startswith(PREFIX):
        return FolderSystem(Path(target.removeprefix(PREFIX)).expanduser())
    if target != BM25 or bm25 is None:
        raise DataError(f"{target!r} is no system for this")
    return bm25


def _chooser(
    plan: Plan, pairs: Sequence[Pair], bm25: Bm25System, watch: Watch
) -> candidates.Chooser:
    kind, _, count = plan.candidates.partition(":")
    run = plan.dataset.candidates if plan.run is None else plan.run
    if run is not None and (plan.run is not None or plan.candidates == "all"):
        return candidates.from_run(run, limit=candidates.MOST_DOCUMENTS)
    if kind == "all" and not count:
        return candidates.everything
    if kind in {BM25, EMBEDDING.name} and count.isdigit() and int(count) > 0:
        if kind == BM25:
            return bm25.best(int(count))
        return asyncio.run(_nearest(plan, pairs, int(count), watch))
    raise DataError(f"--candidates is all, bm25:COUNT or embedding:COUNT, not {plan.candidates!r}")


async def _nearest(
    plan: Plan, pairs: Sequence[Pair], count: int, watch: Watch
) -> candidates.Chooser:
    """By the first system that embeds, else by the endpoint under test."""
    endpoints = [each for each in plan.targets if isinstance(each, Target)]
    chosen = next((each for each in endpoints if each.dialect is EMBEDDING), endpoints[0])
    async with Client() as client:
        system = EmbeddingSystem(client, replace(chosen, dialect=EMBEDDING))
        return await system.best(pairs, count, watch.embedded)


def _about(
    plan: Plan, name: str, topics: Sequence[Topic], systems: Sequence[System]
) -> dict[str, Any]:
    """What has to be equal for a run to be the same run."""
    return {
        "dataset": name,
        "dataset_sha256": plan.dataset.digest(),
        "licence": plan.dataset.licence,
        "pairs": list(dict.fromkeys(f"{topic.query.lang}>{topic.doc_lang}" for topic in topics)),
        "topics": len(topics),
        "documents": sum(len(topic.documents) for topic in topics),
        "seed": plan.seed,
        "systems": [system.describe() for system in systems],
        "measures": measure.versions(),
    }
