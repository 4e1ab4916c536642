"""`POST /rerank` with `texts`: the format of Hugging Face's text-embeddings-inference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel
from pydantic_core import to_json

from service.errors import InvalidValue
from service.gateway import ranking
from service.gateway.schema import call, problem
from service.gateway.schema.call import Common, Limits, Question
from service.gateway.scoring import Scored


class TeiBody(BaseModel):
    """Scores `texts` against `query` and answers a bare list, best first."""

    model_config = ConfigDict(
        extra="allow",
        strict=True,
        json_schema_extra={
            "examples": [{"query": "what is deep learning?", "texts": ["a field", "a pie"]}]
        },
    )

    query: str = Field(description="what to look for; not empty")
    texts: Annotated[list[str], Field(min_length=1, fail_fast=True)] = Field(
        description="the documents"
    )
    raw_scores: bool | None = Field(None, description="true: logits instead of 0 to 1")
    return_text: bool | None = Field(None, description="true: results carry the text")
    truncate: bool | None = Field(
        None, description="false: a text that does not fit is an error; else it is cut"
    )
    truncation_direction: Literal["Left", "Right", "left", "right"] | None = Field(
        None, description="accepted; texts are cut at their end"
    )


class TeiResult(BaseModel):
    """One text's place."""

    index: int
    score: float
    text: str | None = None


class TeiAnswer(RootModel[list[TeiResult]]):
    """Results, best first."""


@dataclass(frozen=True, slots=True)
class TeiCall:
    """A body of this format, read."""

    questions: tuple[Question, ...]
    common: Common
    raw: bool
    echo: bool
    whole: bool

    def answer(self, scored: Sequence[Scored], *, name: str, warnings: Sequence[str]) -> bytes:  # noqa: ARG002  # a bare list has room for neither
        question = self.questions[0]
        results: list[dict[str, object]] = []
        for ranked in ranking.order(scored[0].scores, None):
            if self.whole and ranked.score.truncated:
                place = question.place(ranked.place)
                raise InvalidValue(f"{place} is longer than the model takes", param=place)
            result: dict[str, object] = {
                "index": ranked.place,
                "score": call.relevance(ranked, raw=self.raw),
            }
            if self.echo:
                result["text"] = question.documents[ranked.place]
            results.append(result)
        return to_json(results)


def read(fields: dict[str, object], limits: Limits) -> TeiCall:
    limits.check_count(fields, "texts")
    body = problem.validated(TeiBody, fields)
    question = Question(call.require_text(body.query), tuple(body.texts), field="texts")
    return TeiCall(
        questions=(question,),
        common=Common(warnings=call.notes_before(body.model_extra, (question,))),
        raw=body.raw_scores is True,
        echo=body.return_text is True,
        whole=body.truncate is False,
    )
