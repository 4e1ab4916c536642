"""The result of an evaluation: metrics per language pair and their comparison. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from deploy.evaluate.dataset import Topic
from deploy.evaluate.measure import METRICS, Measured, measure
from deploy.evaluate.runner import Answers
from deploy.evaluate.significance import bootstrap_ci, randomization_p


@dataclass(frozen=True, slots=True)
class PairResult:
    """One language pair. Metrics from 0 to 1; `ci95` is of NDCG@10.

    Attributes:
        query_lang: "mean" with doc_lang "mean" for the mean over the pairs, each pair counted once.
    """

    query_lang: str
    doc_lang: str
    queries: int
    ndcg_at_10: float
    ndcg_at_3: float
    mrr_at_10: float
    map: float
    recall_at_100: float
    ci95: tuple[float, float]


@dataclass(frozen=True, slots=True)
class SystemResult:
    """One system on one data set.

    Attributes:
        per_topic: topic key -> NDCG@10, for tests against another run.
        took_s: mean seconds per request.
    """

    dataset: str
    system: str
    pairs: tuple[PairResult, ...]
    mean: PairResult
    per_topic: Mapping[str, float]
    took_s: float
    truncated: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two systems on the same topics: mean difference of NDCG@10 and its two-sided p."""

    system: str
    against: str
    difference: float
    p: float
    queries: int


def summarize(
    dataset: str, system: str, topics: Sequence[Topic], answers: Answers, *, seed: int
) -> SystemResult:
    """The metrics of one system that answered all the topics."""
    own = {topic.key: answers[system, topic.key] for topic in topics}
    measured = measure(
        {topic.key: topic.judged for topic in topics},
        {key: answer.documents for key, answer in own.items()},
    )
    by_key = {each.key: each for each in measured}
    by_pair: dict[tuple[str, str], list[Measured]] = {}
    for topic in topics:
        by_pair.setdefault(topic.pair, []).append(by_key[topic.key])
    pairs = tuple(_pair(langs, found, seed=seed) for langs, found in by_pair.items())
    return SystemResult(
        dataset=dataset,
        system=system,
        pairs=pairs,
        mean=_mean(pairs, list(by_pair.values()), seed=seed),
        per_topic={key: each.ndcg_at_10 for key, each in by_key.items()},
        took_s=sum(answer.took_s for answer in own.values()) / len(own),
        truncated=sum(answer.truncated for answer in own.values()),
    )


def compare(first: SystemResult, second: SystemResult, *, seed: int) -> Comparison:
    """Whether `first` is better than `second`; both must have answered the same topics."""
    keys = sorted(first.per_topic)
    ours = [first.per_topic[key] for key in keys]
    theirs = [second.per_topic[key] for key in keys]
    return Comparison(
        system=first.system,
        against=second.system,
        difference=(sum(ours) - sum(theirs)) / len(keys),
        p=randomization_p(ours, theirs, seed=seed),
        queries=len(keys),
    )


def to_json(
    results: Sequence[SystemResult],
    comparisons: Sequence[Comparison],
    run: Mapping[str, Any],
) -> dict[str, Any]:
    """The first system's result, the others under `others`; `run` says what made it."""
    body = _system_json(results[0])
    if len(results) > 1:
        body["others"] = [_system_json(each) for each in results[1:]]
        body["comparisons"] = [asdict(each) for each in comparisons]
    return body | {"run": dict(run)}


def _system_json(result: SystemResult) -> dict[str, Any]:
    return {
        "dataset": result.dataset,
        "system": result.system,
        "pairs": [asdict(pair) | {"ci95": list(pair.ci95)} for pair in result.pairs],
        "mean": {
            name: value if name != "ci95" else list(value)
            for name, value in asdict(result.mean).items()
            if name not in {"query_lang", "doc_lang"}
        },
        "mean_request_s": result.took_s,
        "truncated_documents": result.truncated,
        "per_topic": dict(result.per_topic),
    }


def _pair(langs: tuple[str, str], found: Sequence[Measured], *, seed: int) -> PairResult:
    return PairResult(
        query_lang=langs[0],
        doc_lang=langs[1],
        queries=len(found),
        ci95=bootstrap_ci([[each.ndcg_at_10 for each in found]], seed=seed),
        **{name: sum(getattr(each, name) for each in found) / len(found) for name in METRICS},
    )


def _mean(
    pairs: Sequence[PairResult], groups: Sequence[Sequence[Measured]], *, seed: int
) -> PairResult:
    values = [[each.ndcg_at_10 for each in group] for group in groups]
    return PairResult(
        query_lang="mean",
        doc_lang="mean",
        queries=sum(pair.queries for pair in pairs),
        ci95=bootstrap_ci(values, seed=seed),
        **{name: sum(getattr(each, name) for each in pairs) / len(pairs) for name in METRICS},
    )
