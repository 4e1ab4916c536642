"""The two models of a search from the command line, over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from deploy.search.place import embedder, gateway
from service.embedding import InputType
from service.gateway.search.model import EmbeddedTexts, Judged
from service.gateway.search.remote import HttpModels
from service.settings import ServiceSettings

TRIES = 2
"""Somebody waits at a terminal: a service that is late twice is said to be late."""


@dataclass(frozen=True, slots=True)
class HttpPair:
    """Implements `Models`."""

    embeds: HttpModels
    ranks: HttpModels
    same: bool

    async def embed_query(self, query: str) -> EmbeddedTexts:
        return await asyncio.to_thread(self.embeds.embed, [query], InputType.QUERY)

    async def judge(self, query: str, texts: Sequence[str], instruction: str | None) -> Judged:
        return await asyncio.to_thread(self.ranks.rerank, query, texts, instruction)


def both(settings: ServiceSettings, url: str, key: str) -> HttpPair:
    """What embeds and what ranks, as configured.

    Raises:
        StoreError: a key's file cannot be read.
    """
    return HttpPair(
        embeds=embedder(settings, url, key, TRIES),
        ranks=HttpModels(gateway(settings, url), key=key, tries=TRIES),
        same=not settings.search.embeddings_url,
    )
