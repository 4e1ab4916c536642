"""`POST /v1/search`: a query in, passages out, with what each stage did."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from service.gateway.schema import call, problem
from service.gateway.search.outcome import Found, Outcome
from service.gateway.search.plan import Recall, Rerank
from service.gateway.search.searcher import Asked
from service.settings import SearchSettings

Few = Annotated[int, Field(ge=1, le=1000)]


class SearchBody(BaseModel):
    """Finds passages of the indexed folders: recall by vectors or words, then reranking."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"query": "how do I drain a replica?", "top": 3}]},
    )

    query: str = Field(description="what to look for; not empty")
    top: Few = Field(10, description="results")
    candidates: Few | None = Field(
        None, description="passages that the first stage finds; default: [service.search]"
    )
    recall: Literal["dense", "lexical", "fusion"] | None = Field(
        None, description="first stage: vectors, words or both fused; default: [service.search]"
    )
    rerank: Literal["auto", "always", "never"] | None = Field(
        None, description="second stage; default: [service.search]"
    )
    per_source: Annotated[int, Field(ge=0, le=1000)] = Field(
        1, description="results of one file at most; 0: no limit"
    )
    instruction: str | None = Field(
        None, description="for the reranker: the task in words, or `@name`"
    )


class SearchResult(BaseModel):
    """One passage; ranks count from 1 and are over all candidates."""

    source: str = Field(description="the file's path in its folder, with `#id` for a record")
    place: int = Field(description="the passage's number in its source, from 0")
    title: str
    text: str
    rank: int
    recall_rank: int = Field(description="its place before reranking")
    dense_rank: int | None = Field(description="its place by vectors")
    lexical_rank: int | None = Field(description="its place by words")
    relevance_score: float | None = Field(description="from the reranker, from 0 to 1")


class StageTimes(BaseModel):
    """Milliseconds."""

    embed: float
    open: float = Field(description="until the index was there")
    recall: float
    rerank: float | None
    total: float


class SearchMovement(BaseModel):
    """What reranking did to the first results."""

    entered: int = Field(description="results that were not among as many before it")
    moved: int = Field(description="results whose place changed")
    is_first_new: bool


class SearchMeta(BaseModel):
    """How the results came about."""

    recall: str
    rerank: bool
    why: str
    candidates: int
    recall_model: str
    rerank_model: str
    times_ms: StageTimes
    movement: SearchMovement | None


class SearchAnswer(BaseModel):
    """Passages, best first."""

    results: list[SearchResult]
    meta: SearchMeta


def read(fields: dict[str, object], settings: SearchSettings) -> Asked:
    """Read a body; what it leaves out is as configured.

    Raises:
        InvalidValue: a field is missing, wrong or not known.
    """
    body = problem.validated(SearchBody, fields)
    return Asked(
        query=call.require_text(body.query),
        top=body.top,
        candidates=body.candidates or settings.candidates,
        recall=Recall(body.recall or settings.recall),
        rerank=Rerank(body.rerank or settings.rerank),
        per_source=body.per_source,
        instruction=body.instruction,
    )


def answer_of(found: Outcome) -> dict[str, Any]:
    """The body of the answer, as `SearchAnswer` describes it."""
    times = found.times
    rerank_ms = None if times.rerank_s is None else _ms(times.rerank_s)
    return {
        "results": [_result(one) for one in found.results],
        "meta": {
            "recall": found.plan.recall.value,
            "rerank": found.plan.rerank,
            "why": found.plan.why.value,
            "candidates": found.candidates,
            "recall_model": found.recall_model,
            "rerank_model": found.rerank_model,
            "times_ms": {
                "embed": _ms(times.embed_s),
                "open": _ms(times.open_s),
                "recall": _ms(times.recall_s),
                "rerank": rerank_ms,
                "total": _ms(times.total_s),
            },
            "movement": None if found.movement is None else asdict(found.movement),
        },
    }


def _result(one: Found) -> dict[str, Any]:
    # the folder is not told: where files lie on the host is nobody's business
    return {
        "source": one.passage.source,
        "place": one.passage.place,
        "title": one.passage.title,
        "text": one.passage.text,
        "rank": one.rank,
        "recall_rank": one.recall_rank,
        "dense_rank": one.dense_rank,
        "lexical_rank": one.lexical_rank,
        "relevance_score": one.relevance,
    }


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 2)
