"""`POST /v2/rerank`: the format of Cohere's second API."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json

from service.gateway import ranking
from service.gateway.schema import call, cohere_v1, document, problem
from service.gateway.schema.call import Common, Limits, Question
from service.gateway.schema.document import Count, RankFields, Texts
from service.gateway.schema.jina import RerankResult
from service.gateway.scoring import Scored


class CohereRerankBody(BaseModel):
    """Scores `documents` against `query` and answers them best first."""

    model_config = ConfigDict(
        extra="allow",
        strict=True,
        json_schema_extra={
            "examples": [
                {
                    "model": "rerank-v3.5",
                    "query": "how do I restart a hung replica?",
                    "documents": ["Use `rankguard replica restart`.", "Bananas are yellow."],
                    "top_n": 1,
                }
            ]
        },
    )

    query: str = Field(description="what to look for; not empty")
    documents: Texts = Field(description="texts, or objects with `text`")
    model: str | None = Field(None, description="any name is accepted")
    top_n: Count | None = Field(
        None, description="how many results; all when left out or larger than the list"
    )
    max_tokens_per_doc: Count | None = Field(
        None, description="cut every document to this many tokens"
    )
    return_documents: bool | None = Field(None, description="true: results carry the document")
    instruction: str | None = Field(
        None, description="the task in words, or `@name` for one from the configuration"
    )
    priority: int | None = Field(None, description="accepted, not used")
    rank_fields: RankFields | None = Field(
        None, description="fields of object documents that are scored"
    )


class CohereRerankAnswer(BaseModel):
    """Results, best first."""

    id: str
    results: list[RerankResult]
    meta: cohere_v1.Meta


@dataclass(frozen=True, slots=True)
class CohereRerankCall:
    """A body of this format, read."""

    questions: tuple[Question, ...]
    common: Common
    top_n: int | None
    echo: tuple[object, ...] | None

    def answer(self, scored: Sequence[Scored], *, name: str, warnings: Sequence[str]) -> bytes:
        results: list[dict[str, object]] = []
        for ranked in ranking.order(scored[0].scores, self.top_n):
            result: dict[str, object] = {
                "index": ranked.place,
                "relevance_score": ranked.relevance,
            }
            if self.echo is not None:
                result["document"] = self.echo[ranked.place]
            results.append(call.mark(result, ranked.score))
        meta = cohere_v1.meta("2", scored[0], warnings)
        return to_json({"id": name, "results": results, "meta": meta}, inf_nan_mode="null")


def read(fields: dict[str, object], limits: Limits) -> CohereRerankCall:
    limits.check_count(fields, "documents")
    body = problem.validated(CohereRerankBody, fields)
    question = Question(
        call.require_text(body.query), tuple(document.texts(body.documents, body.rank_fields))
    )
    return CohereRerankCall(
        questions=(question,),
        common=Common(
            instruction=body.instruction,
            max_tokens_per_doc=body.max_tokens_per_doc,
            model=body.model,
            warnings=call.notes_before(body.model_extra, (question,)),
        ),
        top_n=body.top_n,
        echo=document.echoes(fields["documents"]) if body.return_documents else None,
    )
