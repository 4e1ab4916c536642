"""A request's documents cut into chunks: the unit of dispatch, retry and hedging. PURE."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

PAIR_TOKENS = 16
"""What one pair costs beside its texts: template and special tokens, mostly cached."""

QUERY_TOKENS_MAX = 512
"""A longer query is counted as this long: engines keep the query's prefix and do not redo it."""

ASCII_BYTES_PER_TOKEN = 4.0
OTHER_BYTES_PER_TOKEN = 3.3
"""UTF-8 bytes per token of common multilingual vocabularies: about 4 for English; Chinese, Japanese
and Indic scripts take 3 bytes a character and 0.7 to 1 token, Cyrillic and Arabic 2 bytes and 0.5.
"""

MIN_CHUNK_TOKENS = 512
"""A smaller chunk is not worth another round trip to another replica."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some documents of one request.

    Attributes:
        indexes: places of the documents in the request, in order.
        tokens: estimated cost.
    """

    indexes: tuple[int, ...]
    tokens: int


def estimate(text: str) -> int:
    """About how many tokens a text has, from its UTF-8 length; at least 1."""
    if text.isascii():
        return int(len(text) / ASCII_BYTES_PER_TOKEN) + 1
    return int(len(text.encode("utf-8", "replace")) / OTHER_BYTES_PER_TOKEN) + 1


def costs(query: str, documents: Sequence[str]) -> list[int]:
    """The estimated tokens of each pair."""
    each = PAIR_TOKENS + min(QUERY_TOKENS_MAX, estimate(query))
    return [each + estimate(document) for document in documents]


def cut(pair_costs: Sequence[int], *, chunk_tokens: int, replicas: int) -> list[Chunk]:
    """Chunks of neighbouring documents and of about equal cost.

    As few as the limit allows, but at least one for each replica when that leaves every chunk
    worth its round trip, so that two GPUs halve the time of a request that would fit one chunk.

    Args:
        pair_costs: estimated tokens of each document, in the request's order.
        chunk_tokens: most tokens in one chunk; a document that costs more is a chunk of its own.
        replicas: how many replicas could work at once.
    """
    total = sum(pair_costs)
    if not pair_costs:
        return []
    wanted = max(
        math.ceil(total / chunk_tokens), min(replicas, max(1, total // MIN_CHUNK_TOKENS)), 1
    )
    goal = min(chunk_tokens, math.ceil(total / wanted))
    chunks: list[Chunk] = []
    indexes: list[int] = []
    tokens = 0
    for index, cost in enumerate(pair_costs):
        # closing at the goal's nearer side keeps the chunks even; the limit is never passed
        nearer_without = tokens + cost - goal > goal - tokens
        if indexes and (tokens + cost > chunk_tokens or nearer_without):
            chunks.append(Chunk(tuple(indexes), tokens))
            indexes, tokens = [], 0
        indexes.append(index)
        tokens += cost
    chunks.append(Chunk(tuple(indexes), tokens))
    return chunks
