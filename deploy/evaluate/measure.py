"""Metrics per topic: `ir-measures` over `pytrec_eval`, no formulas of our own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version

import ir_measures
from ir_measures import AP, RR, R, nDCG

METRICS: Mapping[str, ir_measures.measures.Measure] = {
    "ndcg_at_10": nDCG @ 10,
    "ndcg_at_3": nDCG @ 3,
    "mrr_at_10": RR @ 10,
    "map": AP,
    "recall_at_100": R @ 100,
}
"""Name in our result -> the measure."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One topic's metrics, each from 0 to 1."""

    key: str
    ndcg_at_10: float
    ndcg_at_3: float
    mrr_at_10: float
    map: float
    recall_at_100: float


def measure(
    judged: Mapping[str, Mapping[str, int]], rankings: Mapping[str, Sequence[str]]
) -> list[Measured]:
    """The metrics of each topic.

    Args:
        judged: topic key -> document id -> grade.
        rankings: topic key -> document ids, best first. Only the order counts, so equal scores
            are never reordered behind our back (trec_eval sorts equal scores by id).
    """
    run = {
        key: {document: float(len(order) - rank) for rank, document in enumerate(order)}
        for key, order in rankings.items()
    }
    values: dict[str, dict[str, float]] = {key: {} for key in rankings}
    names = {measure: name for name, measure in METRICS.items()}
    wanted = {key: dict(judged[key]) for key in rankings}
    for metric in ir_measures.iter_calc(list(METRICS.values()), wanted, run):
        values[metric.query_id][names[metric.measure]] = float(metric.value)
    return [Measured(key=key, **found) for key, found in values.items()]


def versions() -> dict[str, str]:
    return {name: version(name) for name in ("ir-measures", "pytrec_eval-terrier")}
