"""What Cohere's first API adds to the common format: documents with fields, and `meta`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

from service.errors import InvalidValue

DOCUMENTS_PER_SEARCH_UNIT = 100
"""Cohere bills one search unit for one query with up to a hundred documents (its price list)."""


class FieldDocument(Protocol):
    """A document that is an object."""

    text: str | None

    @property
    def model_extra(self) -> dict[str, object] | None: ...


def text_of(document: str | FieldDocument, index: int, rank_fields: Sequence[str] | None) -> str:
    """The text that is scored: the document, its `text`, or its `rank_fields` one a line.

    Raises:
        InvalidValue: the object has none of them.
    """
    if isinstance(document, str):
        return document
    param = f"documents[{index}]"
    if rank_fields and list(rank_fields) != ["text"]:
        extra = document.model_extra or {}
        lines = []
        for name in rank_fields:
            value = document.text if name == "text" else extra.get(name)
            if isinstance(value, str | int | float) and not isinstance(value, bool):
                lines.append(f"{name}: {value}")
        if not lines:
            raise InvalidValue(f"{param} has none of the rank_fields", param=param)
        return "\n".join(lines)
    if document.text is None:
        raise InvalidValue(f"{param} must be a string or an object with text", param=param)
    return document.text


def search_units(documents: int) -> int:
    return max(1, math.ceil(documents / DOCUMENTS_PER_SEARCH_UNIT))


def meta(documents: int) -> dict[str, object]:
    """`meta` of an answer: Cohere's clients read the version and the billed units."""
    return {
        "api_version": {"version": "1"},
        "billed_units": {"search_units": search_units(documents)},
    }
