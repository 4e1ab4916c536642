"""Which stages a search has, and why. PURE."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Recall(str, Enum):
    """How the first stage finds candidates: by vectors, by words (BM25), or by both, fused."""

    DENSE = "dense"
    LEXICAL = "lexical"
    FUSION = "fusion"


class Rerank(str, Enum):
    """Whether a second stage orders the candidates anew; `auto`: where that can change anything."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


class Why(str, Enum):
    """What decided about the stages; the value is the sentence that users read."""

    TWO_STAGES = "recalled, then reranked"
    SAME_MODEL = (
        "one model embeds and ranks here: reranking would only repeat the vectors' order and was "
        "left out; recall by fusion brings in the words"
    )
    SAME_MODEL_FUSED = (
        "one model embeds and ranks here: words and vectors are fused, and reranking, which would "
        "bring back the vectors' order, was left out"
    )
    SAME_MODEL_ANYWAY = "one model embeds and ranks here: reranking gives the vectors' order again"
    ASKED = "not reranked, as asked"


@dataclass(frozen=True, slots=True)
class Plan:
    """The stages of one search."""

    recall: Recall
    rerank: bool
    why: Why


def decide(recall: Recall, rerank: Rerank, *, same_model: bool) -> Plan:
    """The stages.

    Args:
        recall: what was asked for.
        rerank: likewise.
        same_model: embeddings and scores come from one model.
    """
    if rerank is Rerank.NEVER:
        return Plan(recall, rerank=False, why=Why.ASKED)
    if not same_model or recall is Recall.LEXICAL:
        return Plan(recall, rerank=True, why=Why.TWO_STAGES)
    if rerank is Rerank.ALWAYS:
        return Plan(recall, rerank=True, why=Why.SAME_MODEL_ANYWAY)
    why = Why.SAME_MODEL if recall is Recall.DENSE else Why.SAME_MODEL_FUSED
    return Plan(recall, rerank=False, why=why)
