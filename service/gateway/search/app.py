"""The parts of `POST /v1/search`, put together; imported only where it is enabled."""

from __future__ import annotations

from collections.abc import Callable

from service.gateway.embed import Embedding
from service.gateway.endpoint import Endpoint
from service.gateway.scoring import Scoring
from service.gateway.search.handler import Search
from service.gateway.search.library import Library
from service.gateway.search.opening import open_index
from service.gateway.search.remote import HttpModels
from service.gateway.search.secret import read_secret
from service.settings import SearchSettings, ServiceSettings


def build(
    settings: ServiceSettings, endpoint: Endpoint, embedding: Embedding, scoring: Scoring
) -> Search:
    """The route's handler; to be made and closed inside the gateway's event loop."""
    library = Library(
        lambda space, dimension: open_index(
            settings.search, settings.state_dir, space, dimension, create=False
        )
    )
    return Search(
        endpoint,
        embedding,
        scoring,
        library,
        settings.search,
        elsewhere=_elsewhere(settings.search),
    )


def _elsewhere(search: SearchSettings) -> Callable[[], HttpModels] | None:
    """What asks the configured server for embeddings; None where this service embeds."""
    if not search.embeddings_url:
        return None
    # the key is read for each search, so that a new one needs no restart
    return lambda: HttpModels(
        search.embeddings_url,
        key=read_secret(search.embeddings_key_file),
        model=search.embeddings_model,
        tries=1,
    )
