"""From logits to the ordered answer. Pure; knows no wire format.

Order is by logit, so that scores which saturate at 1.0 still order; equal logits keep the order in
which the documents came. A document without a score comes last, with relevance 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from service.request import Score


@dataclass(frozen=True, slots=True)
class Ranked:
    """One document's place.

    Attributes:
        index: its place in the request.
        relevance: from 0 to 1; 0 when it has no score.
    """

    index: int
    relevance: float
    score: Score


def sigmoid(logit: float) -> float:
    """The logistic function, without overflow on either side."""
    if logit >= 0:
        return 1.0 / (1.0 + math.exp(-logit))
    small = math.exp(logit)
    return small / (1.0 + small)


def scored(score: Score) -> Score:
    """The score, or an error in its place when its logit is no number to rank by."""
    if score.error is None and not math.isfinite(score.logit):
        return Score(
            logit=0.0,
            tokens=score.tokens,
            truncated=score.truncated,
            error="the score is not finite",
        )
    return score


def order(scores: Sequence[Score], top_n: int | None) -> list[Ranked]:
    """The best first; at most `top_n` of them. None means all."""
    places = range(len(scores))
    keys = [
        (-score.logit if score.error is None else math.inf, index)
        for index, score in enumerate(scores)
    ]
    best = sorted(places, key=keys.__getitem__)
    if top_n is not None:
        best = best[:top_n]
    return [
        Ranked(
            index=index,
            relevance=0.0 if scores[index].error is not None else sigmoid(scores[index].logit),
            score=scores[index],
        )
        for index in best
    ]
