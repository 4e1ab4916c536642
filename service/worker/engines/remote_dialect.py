"""PURE: what three kinds of rerank servers are asked, and what their answers mean."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from service.request import Score, ScoreJob

_EDGE = 1e-9  # a score rounded to 0 or 1 becomes a logit of at most 20.7, not an infinite one
_NEAR = 0.05


class BadAnswer(ValueError):
    """The server answered something that is not a rerank answer."""


@dataclass(frozen=True, slots=True)
class Described:
    """What a server says of itself.

    Attributes:
        model: its name; empty when it does not say.
        max_tokens: longest input; 0 when it does not say.
    """

    model: str = ""
    max_tokens: int = 0


class Dialect(Protocol):
    """One wire format."""

    path: str
    description_path: str

    def body(self, job: ScoreJob, documents: Sequence[str], model: str) -> dict[str, Any]: ...

    def describe(self, answer: Any) -> Described: ...

    def scores(self, answer: Any, count: int) -> list[Score]:
        """One score per document, in the order asked.

        Raises:
            BadAnswer: not the shape that this dialect has.
        """
        ...


class Vllm:
    """vLLM's `/v1/rerank`.

    Attributes:
        raw: the server honours `use_activation: false` and sends logits; found out at start.
    """

    path = "/v1/rerank"
    description_path = "/v1/models"

    def __init__(self, *, raw: bool = False) -> None:
        self.raw = raw

    def body(self, job: ScoreJob, documents: Sequence[str], model: str) -> dict[str, Any]:
        body: dict[str, Any] = {"model": model, "query": job.query, "documents": list(documents)}
        if self.raw:
            body["use_activation"] = False
        if job.instruction is not None:
            body["instruction"] = job.instruction
        if job.max_tokens_per_doc is not None:
            body["max_tokens_per_doc"] = job.max_tokens_per_doc
        return body

    def describe(self, answer: Any) -> Described:
        models = answer.get("data") if isinstance(answer, Mapping) else None
        if not isinstance(models, Sequence) or not models or not isinstance(models[0], Mapping):
            return Described()
        first = models[0]
        return Described(str(first.get("id", "")), int(first.get("max_model_len") or 0))

    def scores(self, answer: Any, count: int) -> list[Score]:
        tokens = _tokens(answer, "usage", "total_tokens") // count
        return _ordered(_results(answer), "relevance_score", count, tokens, raw=self.raw)


class Cohere:
    """Cohere's `/v2/rerank` and its many look-alikes; scores are between 0 and 1."""

    path = "/v2/rerank"
    description_path = ""

    def body(self, job: ScoreJob, documents: Sequence[str], model: str) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": model,
            "query": job.query,
            "documents": list(documents),
            "top_n": len(documents),
        }
        if job.max_tokens_per_doc is not None:
            body["max_tokens_per_doc"] = job.max_tokens_per_doc
        return body

    def describe(self, answer: Any) -> Described:  # noqa: ARG002 - there is no such endpoint
        return Described()

    def scores(self, answer: Any, count: int) -> list[Score]:
        return _ordered(_results(answer), "relevance_score", count, 0, raw=False)


class Tei:
    """Text Embeddings Inference's `/rerank`; sends logits, and cuts long documents when asked."""

    path = "/rerank"
    description_path = "/info"

    def body(self, job: ScoreJob, documents: Sequence[str], model: str) -> dict[str, Any]:  # noqa: ARG002
        return {
            "query": job.query,
            "texts": list(documents),
            "raw_scores": True,
            "truncate": True,
        }

    def describe(self, answer: Any) -> Described:
        if not isinstance(answer, Mapping):
            return Described()
        return Described(str(answer.get("model_id", "")), int(answer.get("max_input_length") or 0))

    def scores(self, answer: Any, count: int) -> list[Score]:
        if not isinstance(answer, Sequence) or isinstance(answer, str):
            raise BadAnswer("the answer is not a list")
        return _ordered(answer, "score", count, 0, raw=True)


def logit(probability: float) -> float:
    """The inverse of sigmoid, finite at both ends; NaN stays NaN."""
    if math.isnan(probability):
        return probability
    inside = min(1.0 - _EDGE, max(_EDGE, probability))
    return math.log(inside / (1.0 - inside))


def same_logits(inverted: Sequence[Score], sent: Sequence[Score]) -> bool:
    """Whether a server sent logits when it was asked for them.

    Args:
        inverted: logits computed from the probabilities that it sends by itself.
        sent: what it sent when asked for logits, taken as such.
    """
    if len(inverted) != len(sent) or any(score.error for score in (*inverted, *sent)):
        return False
    return all(
        abs(_clamp(a.logit) - _clamp(b.logit)) <= _NEAR * max(1.0, abs(_clamp(b.logit)))
        for a, b in zip(inverted, sent, strict=True)
    )


def _clamp(value: float) -> float:
    """Beyond these a probability in single precision is 0 or 1, and its logit says nothing."""
    return min(12.0, max(-12.0, value))


def _results(answer: Any) -> Sequence[Any]:
    results = answer.get("results") if isinstance(answer, Mapping) else None
    if not isinstance(results, Sequence) or isinstance(results, str):
        raise BadAnswer("the answer has no list of results")
    return results


def _tokens(answer: Any, *path: str) -> int:
    for name in path:
        answer = answer.get(name) if isinstance(answer, Mapping) else None
    return answer if isinstance(answer, int) else 0


def _ordered(
    results: Sequence[Any], field: str, count: int, tokens: int, *, raw: bool
) -> list[Score]:
    found: dict[int, Score] = {}
    for result in results:
        if not isinstance(result, Mapping) or not isinstance(result.get("index"), int):
            raise BadAnswer("a result has no index")
        found[result["index"]] = _score(result.get(field), tokens, raw=raw)
    if sorted(found) != list(range(count)):
        raise BadAnswer(f"{count} documents were asked, {len(found)} of them answered")
    return [found[index] for index in range(count)]


def _score(value: Any, tokens: int, *, raw: bool) -> Score:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return Score(logit=0.0, tokens=tokens, error="the remote server sent no score")
    found = float(value) if raw else logit(float(value))
    if not math.isfinite(found):
        return Score(logit=0.0, tokens=tokens, error="the remote server sent a score that is none")
    return Score(logit=found, tokens=tokens)
