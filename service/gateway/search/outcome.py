"""What a search found, and what its second stage changed. PURE."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from service.gateway.search.passage import Passage
from service.gateway.search.plan import Plan

_T = TypeVar("_T", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Found:
    """One passage of the answer; ranks count from 1 and are over all candidates.

    Attributes:
        recall_rank: its place after the first stage.
        rank: its place in the end.
        dense_rank: its place by vectors; None where it was not found by them.
        lexical_rank: its place by words; likewise.
        relevance: from the second stage, from 0 to 1; None where there was none.
    """

    passage: Passage
    recall_rank: int
    rank: int
    dense_rank: int | None = None
    lexical_rank: int | None = None
    relevance: float | None = None


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds of each step.

    Attributes:
        open_s: until the index was there; about nothing where it was open.
        rerank_s: None where there was no second stage.
    """

    embed_s: float
    open_s: float
    recall_s: float
    rerank_s: float | None
    total_s: float


@dataclass(frozen=True, slots=True)
class Movement:
    """What the second stage did to the first results.

    Attributes:
        entered: of the results, those that the first stage had not put among as many.
        moved: of the results, those whose place changed.
        is_first_new: another passage is first now.
    """

    entered: int
    moved: int
    is_first_new: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer to one search.

    Attributes:
        candidates: how many the first stage found.
        recall_model: what embedded the query; empty where nothing was embedded.
        rerank_model: likewise.
        movement: None where there was no second stage.
    """

    results: tuple[Found, ...]
    plan: Plan
    times: Times
    candidates: int
    recall_model: str
    rerank_model: str
    movement: Movement | None


def spread(found: Sequence[Found], *, top: int, per_source: int) -> list[Found]:
    """The first of them, at most so many of one source; 0: as many as there are."""
    counts: dict[tuple[str, str], int] = {}
    kept: list[Found] = []
    for one in found:
        key = (one.passage.folder, one.passage.source)
        counts[key] = counts.get(key, 0) + 1
        if not per_source or counts[key] <= per_source:
            kept.append(one)
        if len(kept) == top:
            break
    return kept


def movement(before: Sequence[_T], after: Sequence[_T]) -> Movement:
    """Compare the first results of both stages; each in order, and as many in both."""
    places = {item: place for place, item in enumerate(before)}
    return Movement(
        entered=sum(item not in places for item in after),
        moved=sum(places.get(item) != place for place, item in enumerate(after)),
        is_first_new=bool(after) and (not before or before[0] != after[0]),
    )


def ranks(ordered: Sequence[_T]) -> dict[_T, int]:
    """Every item's place, from 1."""
    found: dict[_T, int] = {}
    for rank, item in enumerate(ordered, start=1):
        found.setdefault(item, rank)
    return found
