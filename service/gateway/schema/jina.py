"""`POST /v1/rerank` and `/rerank`: the format of Jina and vLLM; Cohere v1 bodies are one of it.

The three differ in what they leave out, not in what they mean, so one model reads them all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json

from service.errors import InvalidValue
from service.gateway import ranking
from service.gateway.schema import call, cohere_v1, problem
from service.gateway.schema.call import Common, Limits, Question
from service.gateway.scoring import Scored


class TextDocument(BaseModel):
    """A document as an object; other fields are kept and come back with it."""

    model_config = ConfigDict(extra="allow", strict=True)

    text: str | None = None


class RerankBody(BaseModel):
    """Scores `documents` against `query` and answers them best first."""

    model_config = ConfigDict(
        extra="allow",
        strict=True,
        json_schema_extra={
            "examples": [
                {
                    "query": "how do I restart a hung replica?",
                    "documents": ["Use `rankguard replica restart`.", "Bananas are yellow."],
                    "top_n": 1,
                }
            ]
        },
    )

    query: str | TextDocument = Field(description="what to look for; not empty")
    documents: Annotated[
        list[str | TextDocument],
        Field(min_length=1, fail_fast=True, description="texts, or objects with `text`"),
    ]
    top_n: Annotated[int | None, Field(ge=1)] = Field(
        None, description="how many results; all when left out or larger than the list"
    )
    return_documents: bool | None = Field(
        None, description="whether results carry the document; true when left out"
    )
    instruction: str | None = Field(
        None, description="the task in words, or `@name` for one from the configuration"
    )
    max_tokens_per_doc: Annotated[int | None, Field(ge=1)] = Field(
        None, description="cut every document to this many tokens"
    )
    model: str | None = Field(None, description="any name is accepted; the answer names the model")
    use_activation: bool | None = Field(None, description="false: logits instead of 0 to 1 (vLLM)")
    rank_fields: list[str] | None = Field(
        None, description="fields of object documents that are scored (Cohere v1)"
    )
    user: str | None = Field(None, description="not used")
    request_id: str | None = Field(None, description="not used; send X-Request-Id")
    priority: int | None = Field(None, description="not used")
    max_chunks_per_doc: int | None = Field(None, description="not used (Cohere v1)")


@dataclass(frozen=True, slots=True)
class RerankCall:
    """A body of this format, read."""

    questions: tuple[Question, ...]
    common: Common
    top_n: int | None
    raw: bool
    echo: tuple[object, ...] | None

    def answer(self, scored: Sequence[Scored], *, name: str, warnings: Sequence[str]) -> bytes:
        results: list[dict[str, object]] = []
        for ranked in ranking.order(scored[0].scores, self.top_n):
            result: dict[str, object] = {
                "index": ranked.index,
                "relevance_score": call.relevance(ranked, raw=self.raw),
            }
            if self.echo is not None:
                result["document"] = self.echo[ranked.index]
            results.append(call.mark(result, ranked.score))
        meta: dict[str, object] = cohere_v1.meta(len(scored[0].scores))
        if warnings:
            meta["warnings"] = call.bounded(warnings)
        return to_json(
            {
                "id": name,
                "model": scored[0].model,
                "usage": call.usage(scored),
                "results": results,
                "meta": meta,
            }
        )


def read(fields: dict[str, object], limits: Limits) -> RerankCall:
    limits.check_count(fields, "documents")
    body = problem.validated(RerankBody, fields)
    query = body.query if isinstance(body.query, str) else body.query.text
    if query is None:
        raise InvalidValue("query must be a string or an object with text", param="query")
    documents = [
        cohere_v1.text_of(document, index, body.rank_fields)
        for index, document in enumerate(body.documents)
    ]
    ignored = [name for name in ("max_chunks_per_doc",) if getattr(body, name) is not None]
    echo = None
    if body.return_documents is not False:
        echo = tuple(
            {"text": document} if isinstance(document, str) else document
            for document in fields["documents"]  # type: ignore[attr-defined]  # validated above
        )
    return RerankCall(
        questions=(call.question(query, documents),),
        common=Common(
            instruction=body.instruction,
            max_tokens_per_doc=body.max_tokens_per_doc,
            model=body.model,
            warnings=call.notes_on(body.model_extra, documents, ignored),
        ),
        top_n=body.top_n,
        raw=body.use_activation is False,
        echo=echo,
    )
