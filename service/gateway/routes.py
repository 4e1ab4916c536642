"""The routes that cost tokens: which path speaks which dialect, and what each is for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import BaseModel

from service.errors import InvalidValue
from service.gateway.schema import cohere_v2, embeddings, jina, search, tei, vllm_score
from service.gateway.schema.call import Dialect


@dataclass(frozen=True, slots=True)
class Format:
    """One dialect with the models that describe it."""

    dialect: Dialect
    body: type[BaseModel]
    answer: type[BaseModel]


@dataclass(frozen=True, slots=True)
class ScoringRoute:
    """One path; the second format, where there is one, is taken when the body has its field."""

    path: str
    summary: str
    format: Format
    other: Format | None = None
    other_field: str = ""

    def dialect_of(self, fields: Mapping[str, object]) -> Dialect:
        """The dialect that the body is written in.

        Raises:
            InvalidValue: it is written in both.
        """
        if self.other is None or self.other_field not in fields:
            return self.format.dialect
        if "documents" in fields:
            raise InvalidValue(
                f"send documents or {self.other_field}, not both", param=self.other_field
            )
        return self.other.dialect


@dataclass(frozen=True, slots=True)
class PlainRoute:
    """A path with one format of its own; what answers it is wired in the app.

    Attributes:
        may_miss: 404 is among its answers.
    """

    path: str
    summary: str
    body: type[BaseModel]
    answer: type[BaseModel]
    may_miss: bool = False


_JINA = Format(jina, jina.RerankBody, jina.RerankAnswer)
_TEI = Format(tei, tei.TeiBody, tei.TeiAnswer)
_COHERE = Format(cohere_v2, cohere_v2.CohereRerankBody, cohere_v2.CohereRerankAnswer)
_SCORE = Format(vllm_score, vllm_score.ScoreBody, vllm_score.ScoreAnswer)

SCORING = (
    ScoringRoute("/v1/rerank", "Rerank (Jina, vLLM, Cohere v1)", _JINA),
    ScoringRoute("/rerank", "Rerank (Jina, vLLM; TEI with `texts`)", _JINA, _TEI, "texts"),
    ScoringRoute("/v2/rerank", "Rerank (Cohere v2)", _COHERE),
    ScoringRoute("/v1/score", "Score pairs (vLLM)", _SCORE),
    ScoringRoute("/score", "Score pairs (vLLM)", _SCORE),
)

EMBEDDINGS = PlainRoute(
    "/v1/embeddings",
    "Embed texts (OpenAI)",
    embeddings.EmbeddingsBody,
    embeddings.EmbeddingsAnswer,
)

SEARCH = PlainRoute(
    "/v1/search",
    "Search the indexed folders",
    search.SearchBody,
    search.SearchAnswer,
    may_miss=True,
)
"""There only when `[service.search] enabled` is set."""
