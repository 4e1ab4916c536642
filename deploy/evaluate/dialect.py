"""The wire formats of rerank endpoints: request body out of a query and documents, scores back.

PURE: knows no HTTP client. Shapes: docs.cohere.com (v2/rerank), jina.ai/reranker,
huggingface.github.io/text-embeddings-inference, docs.vllm.ai (score API).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


class BadAnswer(Exception):
    """The endpoint's answer is not what its dialect promises."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """An endpoint's judgement of one request.

    Attributes:
        scores: one per document, in the order in which they were sent.
        order: indices of the documents, best first, as the endpoint sorted them; equal scores
            stay in its order, which knows more than the rounded score.
        tokens: what the endpoint says it computed, None when it does not say.
        truncated: documents that the endpoint says it cut.
    """

    scores: tuple[float, ...]
    order: tuple[int, ...]
    tokens: int | None = None
    truncated: int = 0


@dataclass(frozen=True, slots=True)
class Dialect:
    """One wire format.

    Attributes:
        path: appended to the endpoint's base URL.
        items: the key of the list of results; empty when the answer is the list.
        score: the key of an item's score.
        body: makes the request's body from model, query, documents and instruction.
    """

    name: str
    path: str
    items: str
    score: str
    body: Callable[[str, str, Sequence[str], str], dict[str, Any]]


def _jina(model: str, query: str, documents: Sequence[str], instruction: str) -> dict[str, Any]:
    body: dict[str, Any] = {
        "query": query,
        "documents": list(documents),
        "return_documents": False,
    }
    return body | _given(model=model, instruction=instruction)


def _cohere(model: str, query: str, documents: Sequence[str], instruction: str) -> dict[str, Any]:
    return {"model": model, "query": query, "documents": list(documents)} | _given(
        instruction=instruction
    )


def _tei(model: str, query: str, documents: Sequence[str], instruction: str) -> dict[str, Any]:
    del model, instruction  # the format has no place for them
    return {"query": query, "texts": list(documents), "truncate": True}


def _score(model: str, query: str, documents: Sequence[str], instruction: str) -> dict[str, Any]:
    return {"text_1": query, "text_2": list(documents)} | _given(
        model=model, instruction=instruction
    )


def _given(**fields: str) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}


DIALECTS: Mapping[str, Dialect] = {
    each.name: each
    for each in (
        Dialect("jina", "/v1/rerank", "results", "relevance_score", _jina),
        Dialect("vllm", "/v1/rerank", "results", "relevance_score", _jina),
        Dialect("cohere", "/v2/rerank", "results", "relevance_score", _cohere),
        Dialect("tei", "/rerank", "", "score", _tei),
        Dialect("score", "/v1/score", "data", "score", _score),
    )
}


def read(dialect: Dialect, answer: object, documents: int) -> Ranked:
    """The scores in an answer.

    Raises:
        BadAnswer: a document has no score, two, or one that is no finite number.
    """
    items = answer.get(dialect.items) if isinstance(answer, dict) else answer
    if not isinstance(items, list):
        raise BadAnswer(f"the answer has no list of {dialect.items or 'results'}")
    scores: dict[int, float] = {}
    truncated = 0
    for item in items:
        if not isinstance(item, dict):
            raise BadAnswer("a result is not an object")
        index, score = item.get("index"), item.get(dialect.score)
        if not isinstance(index, int) or not isinstance(score, int | float):
            raise BadAnswer("a result has no index or no score")
        if not 0 <= index < documents or index in scores or not math.isfinite(score):
            raise BadAnswer(f"result {index}: unknown or repeated index, or score {score}")
        scores[index] = float(score)
        truncated += bool(item.get("truncated"))
    if len(scores) != documents:
        raise BadAnswer(f"{len(scores)} scores for {documents} documents")
    order = sorted(scores, key=lambda index: -scores[index])  # stable: keeps the answer's order
    return Ranked(
        scores=tuple(scores[index] for index in range(documents)),
        order=tuple(order),
        tokens=_tokens(answer),
        truncated=truncated,
    )


def _tokens(answer: object) -> int | None:
    if not isinstance(answer, dict):
        return None
    usage = answer.get("usage") or (answer.get("meta") or {}).get("tokens") or {}
    for name in ("total_tokens", "prompt_tokens", "input_tokens"):
        count = usage.get(name) if isinstance(usage, dict) else None
        if isinstance(count, int | float):
            return int(count)
    return None
