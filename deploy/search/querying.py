"""`rankguard search query`: ask the gateway where it searches, else the index on this host."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Any

from deploy.client import Unreachable, call
from deploy.search import table
from deploy.search.models import both
from deploy.search.place import Refused, gateway, patiently
from service.gateway.schema.search import answer_of
from service.gateway.search.library import Library
from service.gateway.search.plan import Recall, Rerank
from service.gateway.search.remote import Unanswered
from service.gateway.search.searcher import Asked, Searcher
from service.settings import ServiceSettings


@dataclass(frozen=True, slots=True)
class Wish:
    """What the command line asked; None and empty: as configured."""

    query: str
    top: int = 10
    candidates: int | None = None
    recall: str = ""
    rerank: bool | None = None
    per_source: int = 1
    instruction: str = ""


def run(wish: Wish, settings: ServiceSettings, *, url: str, key: str, as_json: bool) -> None:
    """Search and print.

    Raises:
        StoreError, Unanswered, Refused: a sentence for the terminal.
    """
    if not wish.query.strip():
        raise Refused("the query is empty")
    recall = _recall(wish.recall or settings.search.recall)
    answer = (
        _from_gateway(wish, settings, url, key)
        if settings.search.enabled
        else asyncio.run(_from_index(wish, settings, recall, url, key))
    )
    if as_json:
        print(json.dumps(answer, ensure_ascii=False, indent=1))
    else:
        table.show(answer)


def _from_gateway(wish: Wish, settings: ServiceSettings, url: str, key: str) -> dict[str, Any]:
    body: dict[str, Any] = {"query": wish.query, "top": wish.top, "per_source": wish.per_source}
    if wish.candidates is not None:
        body["candidates"] = wish.candidates
    if wish.recall:
        body["recall"] = wish.recall
    if wish.rerank is not None:
        body["rerank"] = "always" if wish.rerank else "never"
    if wish.instruction:
        body["instruction"] = wish.instruction
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        found = call("POST", f"{gateway(settings, url)}/v1/search", json=body, headers=headers)
    except Unreachable as error:
        raise Unanswered(str(error)) from error
    assert isinstance(found, dict)
    return found


async def _from_index(
    wish: Wish, settings: ServiceSettings, recall: Recall, url: str, key: str
) -> dict[str, Any]:
    search = settings.search
    models = both(settings, url, key)
    asked = Asked(
        wish.query,
        top=wish.top,
        candidates=wish.candidates or search.candidates,
        recall=recall,
        rerank=_rerank(wish.rerank, search.rerank),
        per_source=wish.per_source,
        instruction=wish.instruction or None,
    )
    library = Library(lambda space, dimension: patiently(settings, space, dimension, create=False))
    try:
        return answer_of(await Searcher(library, models).search(asked))
    finally:
        await library.close()


def _recall(word: str) -> Recall:
    try:
        return Recall(word)
    except ValueError:
        raise Refused("--recall-by has to be dense, lexical or fusion") from None


def _rerank(asked: bool | None, configured: str) -> Rerank:
    if asked is None:
        return Rerank(configured)
    return Rerank.ALWAYS if asked else Rerank.NEVER
