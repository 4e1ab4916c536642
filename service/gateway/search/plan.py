"""Which stages a search has, and why. PURE."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Recall(str, Enum):
    """How the first stage finds candidates; `auto` is decided for each search."""

    AUTO = "auto"
    DENSE = "dense"
    LEXICAL = "lexical"
    FUSION = "fusion"


class Rerank(str, Enum):
    """Whether a second stage orders the candidates anew."""

    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


class Why(str, Enum):
    """What decided about the stages; the value is the sentence that users read."""

    TWO_MODELS = "recall by vectors, then reranked"
    SAME_MODEL = (
        "one model embeds and ranks here, so reranking would only repeat the vectors' order: "
        "words and vectors were fused instead"
    )
    SAME_MODEL_ALONE = (
        "one model embeds and ranks here, so reranking would only repeat the vectors' order"
    )
    SAME_MODEL_ANYWAY = "one model embeds and ranks here: reranking gives the vectors' order again"
    ASKED = "as asked"


@dataclass(frozen=True, slots=True)
class Plan:
    """The stages of one search."""

    recall: Recall
    rerank: bool
    why: Why


def decide(recall: Recall, rerank: Rerank, *, same_model: bool, has_words: bool) -> Plan:
    """The stages.

    Args:
        recall: what was asked for.
        rerank: likewise.
        same_model: embeddings and scores come from one model.
        has_words: the index can be searched by words here.
    """
    found = recall
    if recall is Recall.AUTO:
        found = Recall.FUSION if same_model and has_words else Recall.DENSE
    second = not same_model if rerank is Rerank.AUTO else rerank is Rerank.ALWAYS
    return Plan(found, second, _why(recall, found, rerank, second=second, same_model=same_model))


def _why(recall: Recall, found: Recall, rerank: Rerank, *, second: bool, same_model: bool) -> Why:
    if same_model and second and found is not Recall.LEXICAL:
        return Why.SAME_MODEL_ANYWAY
    if Rerank.AUTO is not rerank or Recall.AUTO is not recall:
        return Why.ASKED
    if not same_model:
        return Why.TWO_MODELS
    return Why.SAME_MODEL if found is Recall.FUSION else Why.SAME_MODEL_ALONE
