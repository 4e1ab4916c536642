"""What Cohere's answers add to the common format: `meta`, with billed units and warnings."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pydantic import BaseModel, Field

from service.gateway.schema import call
from service.gateway.scoring import Scored

DOCUMENTS_PER_SEARCH_UNIT = 100
"""Cohere bills one search unit for one query with up to a hundred documents (its price list)."""


class ApiVersion(BaseModel):
    """The version of Cohere's API that the answer follows."""

    version: str


class BilledUnits(BaseModel):
    """Counted as Cohere counts; nobody is billed."""

    search_units: int


class Tokens(BaseModel):
    """Tokens that the engine computed."""

    input_tokens: int
    output_tokens: int


class Meta(BaseModel):
    """What Cohere's clients read beside the results."""

    api_version: ApiVersion
    billed_units: BilledUnits
    tokens: Tokens
    warnings: list[str] | None = Field(None, description="there only when there are any")


def meta(version: str, scored: Scored, warnings: Sequence[str]) -> dict[str, object]:
    """`meta` of an answer, ready for JSON."""
    units = max(1, math.ceil(len(scored.scores) / DOCUMENTS_PER_SEARCH_UNIT))
    body: dict[str, object] = {
        "api_version": {"version": version},
        "billed_units": {"search_units": units},
        "tokens": {"input_tokens": scored.tokens, "output_tokens": 0},
    }
    if warnings:
        body["warnings"] = call.bounded(warnings)
    return body
