"""`POST /v1/score` and `/score`: vLLM's scoring of pairs; answers in the order of the request."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json

from service.errors import InvalidValue
from service.gateway import ranking
from service.gateway.schema import call, problem
from service.gateway.schema.call import Common, Limits, Question
from service.gateway.schema.document import Count
from service.gateway.schema.jina import Usage
from service.gateway.scoring import Scored

SIDES = (
    ("queries", "documents"),
    ("queries", "items"),
    ("data_1", "data_2"),
    ("text_1", "text_2"),
)
"""The names under which vLLM takes the two sides of the pairs (its ScoreRequest)."""

Side = str | Annotated[list[str], Field(min_length=1, fail_fast=True)]


class ScoreBody(BaseModel):
    """Scores one text against one or many, or many against as many.

    The two sides are `queries` and `documents` (or `items`), `text_1` and `text_2`, or `data_1`
    and `data_2`.
    """

    model_config = ConfigDict(
        extra="allow",
        strict=True,
        json_schema_extra={
            "examples": [{"text_1": "what is a panda?", "text_2": ["a bear", "a pie"]}]
        },
    )

    queries: Side | None = None
    documents: Side | None = None
    items: Side | None = None
    text_1: Side | None = None
    text_2: Side | None = None
    data_1: Side | None = None
    data_2: Side | None = None
    model: str | None = Field(None, description="any name is accepted; the answer names the model")
    instruction: str | None = Field(
        None, description="the task in words, or `@name` for one from the configuration"
    )
    max_tokens_per_doc: Count | None = None
    use_activation: bool | None = Field(None, description="false: logits instead of 0 to 1")
    user: str | None = Field(None, description="accepted, not used")


class ScoreResult(BaseModel):
    """One pair's score."""

    index: int
    object: str
    score: float


class ScoreMeta(BaseModel):
    """There only when there are warnings."""

    warnings: list[str]


class ScoreAnswer(BaseModel):
    """Scores in the order of the pairs."""

    id: str
    object: str
    created: int
    model: str
    data: list[ScoreResult]
    usage: Usage
    meta: ScoreMeta | None = None


@dataclass(frozen=True, slots=True)
class ScoreCall:
    """A body of this format, read."""

    questions: tuple[Question, ...]
    common: Common
    raw: bool

    def answer(self, scored: Sequence[Scored], *, name: str, warnings: Sequence[str]) -> bytes:
        numbers: dict[int, float] = {}
        for question, one in zip(self.questions, scored, strict=True):
            places = question.places or range(len(question.documents))
            for ranked in ranking.order(one.scores, None):
                numbers[places[ranked.place]] = call.relevance(ranked, raw=self.raw)
        body: dict[str, object] = {
            "id": name,
            "object": "list",
            "created": int(time.time()),
            "model": scored[0].model,
            "data": [
                {"index": index, "object": "score", "score": numbers[index]}
                for index in sorted(numbers)
            ],
            "usage": call.usage(scored),
        }
        if warnings:
            body["meta"] = {"warnings": call.bounded(warnings)}
        return to_json(body)


def read(fields: dict[str, object], limits: Limits) -> ScoreCall:
    limits.check_count(fields, *(name for pair in SIDES for name in pair))
    body = problem.validated(ScoreBody, fields)
    names = _sides(body)
    left: str | list[str] = getattr(body, names[0])
    right: str | list[str] = getattr(body, names[1])
    questions = _questions(
        [left] if isinstance(left, str) else left,
        [right] if isinstance(right, str) else right,
        names,
    )
    return ScoreCall(
        questions=questions,
        common=Common(
            instruction=body.instruction,
            max_tokens_per_doc=body.max_tokens_per_doc,
            model=body.model,
            warnings=call.notes_before(body.model_extra, questions),
        ),
        raw=body.use_activation is False,
    )


def _sides(body: ScoreBody) -> tuple[str, str]:
    given = {name for pair in SIDES for name in pair if getattr(body, name) is not None}
    for pair in SIDES:
        if given == set(pair):
            return pair
    wanted = ", or ".join(" and ".join(pair) for pair in SIDES)
    raise InvalidValue(f"the body must have exactly {wanted}", param="body")


def _questions(
    left: Sequence[str], right: Sequence[str], names: tuple[str, str]
) -> tuple[Question, ...]:
    """One question for each different query."""
    if len(left) not in (1, len(right)):
        raise InvalidValue(
            f"{names[0]} holds {len(left)} texts and {names[1]} {len(right)}: want one, or as many",
            param=names[0],
        )
    if len(left) == 1:
        return (Question(call.require_text(left[0], names[0]), tuple(right), names[1]),)
    places: dict[str, list[int]] = {}
    for index, query in enumerate(left):
        places.setdefault(call.require_text(query, f"{names[0]}[{index}]"), []).append(index)
    return tuple(
        Question(query, tuple(right[index] for index in indexes), names[1], tuple(indexes))
        for query, indexes in places.items()
    )
