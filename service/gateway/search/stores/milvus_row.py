"""Passages as Milvus has them, Lite or server: rows, filters and hits. PURE."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from service.embedding import Vector
from service.gateway.search.passage import FIELDS, Hit, Passage

ID_CHARS = 36
TEXT_BYTES = 65_535
"""The longest VARCHAR that Milvus takes."""


def rows(passages: Sequence[Passage], vectors: Sequence[Vector]) -> list[dict[str, Any]]:
    """What `upsert` takes."""
    return [
        {"id": passage.id, **passage.fields(), "vector": vector.values()}
        for passage, vector in zip(passages, vectors, strict=True)
    ]


def where(folder: str, sources: Sequence[str] | None = None) -> str:
    """A filter for a folder's passages, or for those of some of its sources.

    Strings are quoted as JSON does it, but for the escape that Milvus does not read.
    """
    found = f"folder == {_quoted(folder)}"
    if sources is None:
        return found
    return f"{found} and source in [{', '.join(map(_quoted, sources))}]"


def hits(found: Iterable[Mapping[str, Any]]) -> list[Hit]:
    """What a search found."""
    return [
        Hit(Passage(**{name: row["entity"][name] for name in FIELDS}), float(row["distance"]))
        for row in found
    ]


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
