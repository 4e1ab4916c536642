"""`POST /v1/rerank` and `/rerank`: the format of Jina and vLLM; Cohere v1 bodies are one of it.

The three differ in what they leave out, not in what they mean, so one model reads them all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json

from service.gateway import ranking
from service.gateway.schema import call, cohere_v1, document, problem
from service.gateway.schema.call import Common, Limits, Question
from service.gateway.schema.document import Count, RankFields, TextDocument, Texts
from service.gateway.scoring import Scored


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
    documents: Texts = Field(description="texts, or objects with `text`")
    top_n: Count | None = Field(
        None, description="how many results; all when left out or larger than the list"
    )
    return_documents: bool | None = Field(
        None, description="whether results carry the document; true when left out"
    )
    instruction: str | None = Field(
        None, description="the task in words, or `@name` for one from the configuration"
    )
    max_tokens_per_doc: Count | None = Field(
        None, description="cut every document to this many tokens"
    )
    model: str | None = Field(None, description="any name is accepted; the answer names the model")
    use_activation: bool | None = Field(None, description="false: logits instead of 0 to 1 (vLLM)")
    rank_fields: RankFields | None = Field(
        None, description="fields of object documents that are scored (Cohere v1)"
    )
    user: str | None = Field(None, description="accepted, not used")
    max_chunks_per_doc: int | None = Field(None, description="accepted, not used (Cohere v1)")


class RerankResult(BaseModel):
    """One document's place."""

    index: int = Field(description="its index in the request")
    relevance_score: float = Field(description="from 0 to 1: the sigmoid of the logit")
    document: dict[str, object] | None = Field(None, description="as sent; a text as {text}")
    truncated: Annotated[bool, Field(description="it did not fit whole")] = False
    span: Annotated[list[int] | None, Field(description="characters of the best window")] = None
    error: Annotated[str | None, Field(description="why it has no score; it is last then")] = None


class Usage(BaseModel):
    """Tokens that the engine computed, prompts included."""

    prompt_tokens: int
    total_tokens: int


class RerankAnswer(BaseModel):
    """Results, best first; equal logits keep the order of the request."""

    id: str
    model: str
    usage: Usage
    results: list[RerankResult]
    meta: cohere_v1.Meta


@dataclass(frozen=True, slots=True)
class RerankCall:
    """A body of this format, read.

    Attributes:
        echo: what each result carries as its document; None for nothing.
    """

    questions: tuple[Question, ...]
    common: Common
    top_n: int | None
    raw: bool
    echo: tuple[object, ...] | None

    def answer(self, scored: Sequence[Scored], *, name: str, warnings: Sequence[str]) -> bytes:
        results: list[dict[str, object]] = []
        for ranked in ranking.order(scored[0].scores, self.top_n):
            result: dict[str, object] = {
                "index": ranked.place,
                "relevance_score": call.relevance(ranked, raw=self.raw),
            }
            if self.echo is not None:
                result["document"] = self.echo[ranked.place]
            results.append(call.mark(result, ranked.score))
        return to_json(
            {
                "id": name,
                "model": scored[0].model,
                "usage": call.usage(scored),
                "results": results,
                "meta": cohere_v1.meta("1", scored[0], warnings),
            },
            inf_nan_mode="null",  # a document that came with 1e999 is no JSON with Infinity
        )


def read(fields: dict[str, object], limits: Limits) -> RerankCall:
    limits.check_count(fields, "documents")
    body = problem.validated(RerankBody, fields)
    query = call.require_text(document.text_of(body.query, "query"))
    question = Question(query, tuple(document.texts(body.documents, body.rank_fields)))
    ignored = ("max_chunks_per_doc",) if body.max_chunks_per_doc is not None else ()
    return RerankCall(
        questions=(question,),
        common=Common(
            instruction=body.instruction,
            max_tokens_per_doc=body.max_tokens_per_doc,
            model=body.model,
            warnings=call.notes_before(body.model_extra, (question,), ignored),
        ),
        top_n=body.top_n,
        raw=body.use_activation is False,
        echo=None if body.return_documents is False else document.echoes(fields["documents"]),
    )
