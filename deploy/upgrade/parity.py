"""How far two versions agree on the same questions. PURE."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median


@dataclass(frozen=True, slots=True)
class Question:
    """One query with documents.

    Attributes:
        best: the place of the document that answers it; None when nobody judged.
    """

    name: str
    query: str
    documents: tuple[str, ...]
    best: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """One version's logits, in the order of the documents, and the seconds it took."""

    logits: tuple[float, ...]
    took_s: float


@dataclass(frozen=True, slots=True)
class Parity:
    """Old against new.

    Attributes:
        agreement: pairs of documents that both order alike, over all pairs that the old orders; a
            tie of the new counts half. 1 is the same order everywhere, 0.5 is chance.
        same_first: questions with the same first document, 0 to 1.
        change: the largest change of one logit.
        judged: questions with a known best document; `old_right`, `new_right`: it came first.
        slower: median time of the new over that of the old.
    """

    questions: int
    documents: int
    agreement: float
    same_first: float
    change: float
    judged: int
    old_right: int
    new_right: int
    old_s: float
    new_s: float

    @property
    def slower(self) -> float:
        return self.new_s / self.old_s if self.old_s > 0 else 1.0


def compare(questions: Sequence[Question], old: Sequence[Answer], new: Sequence[Answer]) -> Parity:
    """Compare two versions' answers to the same questions; there must be at least one."""
    alike = total = 0.0
    same_first = old_right = new_right = 0
    change = 0.0
    for question, before, after in zip(questions, old, new, strict=True):
        won, of = _concordance(before.logits, after.logits)
        alike, total = alike + won, total + of
        same_first += _first(before.logits) == _first(after.logits)
        change = max(
            [change, *(abs(a - b) for a, b in zip(before.logits, after.logits, strict=True))]
        )
        if question.best is not None:
            old_right += _first(before.logits) == question.best
            new_right += _first(after.logits) == question.best
    return Parity(
        questions=len(questions),
        documents=sum(len(one.documents) for one in questions),
        agreement=alike / total if total else 1.0,
        same_first=same_first / len(questions),
        change=change,
        judged=sum(one.best is not None for one in questions),
        old_right=old_right,
        new_right=new_right,
        old_s=median(one.took_s for one in old),
        new_s=median(one.took_s for one in new),
    )


def _concordance(old: Sequence[float], new: Sequence[float]) -> tuple[float, int]:
    """Pairs that are ordered alike, and pairs that the old version orders at all."""
    won, of = 0.0, 0
    for (old_a, new_a), (old_b, new_b) in combinations(zip(old, new, strict=True), 2):
        if old_a == old_b:
            continue
        of += 1
        if new_a == new_b:
            won += 0.5
        else:
            won += (old_a > old_b) == (new_a > new_b)
    return won, of


def _first(logits: Sequence[float]) -> int:
    return max(range(len(logits)), key=lambda index: logits[index])
