"""Whom the search commands ask: the service, the models' addresses, the index on this host."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from deploy.address import local_url
from service.gateway.search.library import Index
from service.gateway.search.opening import open_index
from service.gateway.search.remote import TRIES, HttpModels
from service.gateway.search.secret import read_secret
from service.gateway.search.store import StoreError
from service.settings import ServiceSettings


class Refused(Exception):
    """The command cannot do what was asked; the message is a sentence for the terminal."""


WAIT_S = 15.0
"""How long a command waits for an index that another process has: a gateway gives it back."""

_PAUSE_S = 0.25


def gateway(settings: ServiceSettings, url: str) -> str:
    """The gateway's base URL: the one given, else the configured one on this host."""
    return url.rstrip("/") or local_url(settings.host, settings.port)


def embedder(settings: ServiceSettings, url: str, key: str, tries: int = TRIES) -> HttpModels:
    """What embeds: the configured server, else the service.

    Raises:
        StoreError: the key's file cannot be read.
    """
    search = settings.search
    if not search.embeddings_url:
        return HttpModels(gateway(settings, url), key=key, tries=tries)
    return HttpModels(
        search.embeddings_url,
        key=read_secret(search.embeddings_key_file),
        model=search.embeddings_model,
        tries=tries,
    )


def patiently(
    settings: ServiceSettings,
    space: str,
    dimension: int,
    *,
    create: bool,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Index:
    """The index, waiting for a process that has it.

    Raises:
        StoreError: as in `open_index`; `busy` after `WAIT_S`.
    """
    until = clock() + WAIT_S
    while True:
        try:
            return open_index(
                settings.search, Path(settings.state_dir), space, dimension, create=create
            )
        except StoreError as error:
            if not error.busy or clock() >= until:
                raise
        sleep(_PAUSE_S)
