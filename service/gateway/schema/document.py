"""A document as clients send it: a text, or an object with one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from service.errors import InvalidValue


class TextDocument(BaseModel):
    """A document as an object; other fields are kept and come back with it."""

    model_config = ConfigDict(extra="allow", strict=True)

    text: str | None = None


Texts = Annotated[list[str | TextDocument], Field(min_length=1, fail_fast=True)]
"""At least one document; the first that is wrong ends the look at the others."""

RankFields = Annotated[list[str], Field(max_length=100, fail_fast=True)]
"""Cohere v1's: the fields of object documents that are scored."""

Count = Annotated[int, Field(ge=1)]

MAX_DEPTH = 100
"""Of an object document; what writes answers ends at 250."""


def text_of(
    document: str | TextDocument, param: str, rank_fields: Sequence[str] | None = None
) -> str:
    """The text that is scored: the document, its `text`, or its `rank_fields` one a line.

    Raises:
        InvalidValue: the object has none of them.
    """
    if isinstance(document, str):
        return document
    if rank_fields and rank_fields != ["text"]:
        extra = document.model_extra or {}
        values = {"text": document.text, **extra}
        lines = [
            f"{name}: {values[name]}"
            for name in rank_fields
            if isinstance(values.get(name), str | int | float)
        ]
        if not lines:
            raise InvalidValue(f"{param} has none of the rank_fields", param=param)
        return "\n".join(lines)
    if document.text is None:
        raise InvalidValue(f"{param} must be a string or an object with text", param=param)
    return document.text


def texts(
    documents: Sequence[str | TextDocument], rank_fields: Sequence[str] | None = None
) -> list[str]:
    """The texts of a request's documents.

    Raises:
        InvalidValue: an object has no text; names its index.
    """
    # a field named a thousand times would make a text of a thousand times its size
    names = list(dict.fromkeys(rank_fields or ()))
    return [
        document if isinstance(document, str) else text_of(document, f"documents[{index}]", names)
        for index, document in enumerate(documents)
    ]


def echoes(documents: object) -> tuple[object, ...]:
    """The documents as an answer carries them: objects as they came, texts as `{text}`.

    Raises:
        InvalidValue: an object nests so deeply that no answer can carry it; names its index.
    """
    assert isinstance(documents, list)  # validated before
    for index, document in enumerate(documents):
        if isinstance(document, dict) and not _is_within(document, MAX_DEPTH):
            param = f"documents[{index}]"
            raise InvalidValue(f"{param} is nested too deeply", param=param)
    return tuple(
        {"text": document} if isinstance(document, str) else document for document in documents
    )


def _is_within(value: dict[str, object] | list[object], depth: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value
    return depth > 0 and all(
        _is_within(one, depth - 1) for one in inner if isinstance(one, dict | list)
    )
