"""Where to cut: what the scores of judged pairs say about a threshold. PURE."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

BINS = 10


@dataclass(frozen=True, slots=True)
class Threshold:
    """A recommended cut for these labels and this endpoint; it means nothing for another model.

    Attributes:
        score: keep what scores at least this: the cut with the largest F1.
        precision: of what is kept, how much is relevant. recall: of what is relevant, how much
            is kept.
        relevant: share of relevant pairs in the sample; another share moves precision.
        calibration_error: mean distance between a score and the share of relevant pairs among
            pairs with such scores (ten equal bins, weighted by their pairs); None where scores
            are not from 0 to 1. Guo et al., On calibration of modern neural networks, ICML 2017.
    """

    score: float
    precision: float
    recall: float
    f1: float
    pairs: int
    relevant: float
    calibration_error: float | None


def recommend(scores: Sequence[float], relevant: Sequence[bool]) -> Threshold | None:
    """The threshold for judged pairs; None without at least one relevant and one other pair.

    Raises:
        ValueError: the lists differ in length.
    """
    if len(scores) != len(relevant):
        raise ValueError("one label per score")
    values = np.asarray(scores, dtype=float)
    labels = np.asarray(relevant, dtype=bool)
    total = int(labels.sum())
    if not 0 < total < len(labels):
        return None
    order = np.argsort(-values, kind="stable")
    hits = np.cumsum(labels[order])
    kept = np.arange(1, len(values) + 1)
    f1 = 2 * hits / (kept + total)
    # a cut lies between two different scores only
    ends = np.append(values[order][1:] != values[order][:-1], True)
    place = int(np.argmax(np.where(ends, f1, -1.0)))
    return Threshold(
        score=float(values[order][place]),
        precision=float(hits[place] / kept[place]),
        recall=float(hits[place] / total),
        f1=float(f1[place]),
        pairs=len(values),
        relevant=total / len(values),
        calibration_error=_calibration_error(values, labels),
    )


def _calibration_error(values: np.ndarray, labels: np.ndarray) -> float | None:
    if values.min() < 0 or values.max() > 1:
        return None
    bins = np.minimum((values * BINS).astype(int), BINS - 1)
    error = 0.0
    for each in range(BINS):
        inside = bins == each
        if inside.any():
            error += inside.mean() * abs(values[inside].mean() - labels[inside].mean())
    return float(error)
