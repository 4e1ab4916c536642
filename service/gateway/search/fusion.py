"""Several rankings made one. PURE."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TypeVar

_T = TypeVar("_T", bound=Hashable)

K = 60
"""Cormack, Clarke and Buettcher: Reciprocal rank fusion outperforms Condorcet and individual rank
learning methods, SIGIR 2009, section 2: "k = 60 was fixed during a pilot investigation".
"""


def reciprocal_rank(rankings: Sequence[Sequence[_T]], k: int = K) -> list[tuple[_T, float]]:
    """Every item with the sum of 1 / (k + rank) over the rankings that hold it, best first.

    Ranks count from 1. Of equal sums the one that came first in an earlier ranking is first. An
    item that is twice in one ranking counts where it is first.
    """
    sums: dict[_T, float] = {}
    for ranking in rankings:
        for rank, item in enumerate(dict.fromkeys(ranking), start=1):
            sums[item] = sums.get(item, 0.0) + 1.0 / (k + rank)
    return sorted(sums.items(), key=lambda pair: -pair[1])
