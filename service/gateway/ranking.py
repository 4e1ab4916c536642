"""From logits to the ordered answer. PURE; knows no wire format.

Order is by logit, so that scores which saturate at 1.0 still order; equal logits keep the order in
which the documents came. A document without a score comes last, with relevance 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from service.request import Score


class Ranked(NamedTuple):
    """One document's place; a tuple, since there is one for each document of each request.

    Attributes:
        place: the document's index in the request.
        relevance: from 0 to 1; 0 when it has no score.
    """

    place: int
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
    keys = [math.inf if score.error is not None else -score.logit for score in scores]
    # sorting is stable, so equal logits stay in the order of the documents
    best = sorted(range(len(scores)), key=keys.__getitem__)
    if top_n is not None:
        best = best[:top_n]
    return [
        Ranked(
            index, 0.0 if scores[index].error is not None else sigmoid(-keys[index]), scores[index]
        )
        for index in best
    ]
