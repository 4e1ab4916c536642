"""The one internal request and its result, and the shape in which a chunk travels to a worker.

Knows no wire format of the public API and no engine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from service.errors import InvalidValue

DEFAULT_INSTRUCTION = "Given a web search query, retrieve relevant passages that answer the query"
"""The instruction that Qwen3-Reranker was trained with (QwenLM/Qwen3-Embedding, README)."""


@dataclass(frozen=True, slots=True)
class RerankRequest:
    """What a client asked, whatever dialect it spoke.

    Attributes:
        query: not empty.
        documents: at least one; each a text without lone surrogates.
        instruction: None means the configured default.
        top_n: None means all; larger than the list means all.
        max_tokens_per_doc: None means up to what the model takes.
        deadline: `time.monotonic()` seconds after which the answer is of no use.
    """

    id: str
    query: str
    documents: tuple[str, ...]
    deadline: float
    instruction: str | None = None
    top_n: int | None = None
    max_tokens_per_doc: int | None = None


@dataclass(frozen=True, slots=True)
class Score:
    """One document's score, or why it has none.

    Attributes:
        logit: yes minus no (or its calibrated counterpart); `sigmoid` of it is the relevance score.
        tokens: tokens that the engine computed for this document, prompt included.
        truncated: the document (or the query) did not fit whole.
        error: not None when this one document could not be scored (NaN, infinite); logit is 0 then.
        span: first and behind-the-last character of the window of the document that scored best,
            where a long document was scored in windows.
    """

    logit: float
    tokens: int
    truncated: bool = False
    error: str | None = None
    span: tuple[int, int] | None = None

    def to_json(self) -> dict[str, Any]:
        body: dict[str, Any] = {"logit": self.logit, "tokens": self.tokens}
        if self.truncated:
            body["truncated"] = True
        if self.error is not None:
            body["error"] = self.error
        if self.span is not None:
            body["span"] = list(self.span)
        return body

    @classmethod
    def from_json(cls, body: dict[str, Any]) -> Score:
        """Read one.

        Raises:
            ValueError, LookupError, TypeError, AttributeError, OverflowError: it is none.
        """
        span, error, tokens = body.get("span"), body.get("error"), int(body["tokens"])
        if tokens < 0:
            raise ValueError("fewer tokens than none")
        return cls(
            logit=float(body["logit"]),
            tokens=tokens,
            truncated=bool(body.get("truncated", False)),
            error=None if error is None else str(error),
            span=None if span is None else (int(span[0]), int(span[1])),
        )


@dataclass(frozen=True, slots=True)
class ScoreJob:
    """A chunk: the unit of dispatch, retry and hedging. Body of `POST /score` on a worker.

    Attributes:
        id: the request's id with the chunk's number; the worker logs it, nothing else.
        timeout_s: how long the caller will wait; the worker gives the work up after that.
        canary: a probe of ours: never counted as a user's latency.
    """

    id: str
    query: str
    documents: tuple[str, ...]
    timeout_s: float
    instruction: str | None = None
    max_tokens_per_doc: int | None = None
    canary: bool = False

    def to_json(self) -> dict[str, Any]:
        body: dict[str, Any] = {
            "id": self.id,
            "query": self.query,
            "documents": list(self.documents),
            "timeout_s": self.timeout_s,
        }
        if self.instruction is not None:
            body["instruction"] = self.instruction
        if self.max_tokens_per_doc is not None:
            body["max_tokens_per_doc"] = self.max_tokens_per_doc
        if self.canary:
            body["canary"] = True
        return body

    @classmethod
    def from_json(cls, body: object) -> ScoreJob:
        """Read the body of `POST /score`.

        Raises:
            InvalidValue: a field is missing or of the wrong type; names the field.
        """
        if not isinstance(body, dict):
            raise InvalidValue("the body must be a JSON object", param="body")
        for name in ("query",):
            if not isinstance(body.get(name), str):
                raise InvalidValue(f"{name} must be a string", param=name)
        documents = body.get("documents")
        if not isinstance(documents, list) or not documents:
            raise InvalidValue("documents must be a list of strings", param="documents")
        for index, document in enumerate(documents):
            if not isinstance(document, str):
                raise InvalidValue(
                    f"documents[{index}] must be a string", param=f"documents[{index}]"
                )
        timeout_s = body.get("timeout_s", 30.0)
        if not isinstance(timeout_s, int | float) or timeout_s <= 0:
            raise InvalidValue("timeout_s must be a number above 0", param="timeout_s")
        return cls(
            id=str(body.get("id", "-")),
            query=body["query"],
            documents=tuple(documents),
            timeout_s=float(timeout_s),
            instruction=body.get("instruction"),
            max_tokens_per_doc=body.get("max_tokens_per_doc"),
            canary=bool(body.get("canary", False)),
        )
