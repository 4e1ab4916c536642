"""Where an index is: the adapters of the stores are built here and nowhere else."""

from __future__ import annotations

import hashlib
from pathlib import Path

from service.gateway.search.lexicon import Lexicon
from service.gateway.search.library import Index
from service.gateway.search.store import NothingIndexed, Store, StoreError
from service.settings import SearchSettings

INDEX_FIRST = "run `rankguard search index FOLDER`"


def collection_name(settings: SearchSettings, space: str) -> str:
    """The index's name in its store; another model has an index of its own."""
    return f"{settings.index}_{hashlib.sha256(space.encode('utf-8')).hexdigest()[:12]}"


def open_index(
    settings: SearchSettings, state_dir: Path, space: str, dimension: int, *, create: bool
) -> Index:
    """Open the index of a vector space.

    Args:
        dimension: length of its vectors.
        create: make it when it is not there.

    Raises:
        NothingIndexed: it is not there.
        StoreError: the store is in use (`busy`), does not answer, or is not installed.
    """
    name = collection_name(settings, space)
    is_server = settings.uri.startswith(("http://", "https://"))
    if settings.store == "elasticsearch" and not is_server:
        raise StoreError("[service.search] uri has to be the address of Elasticsearch (http…)")
    base = Path(settings.uri) if settings.uri and not is_server else state_dir / "search"
    try:
        store = _store(settings, base, name, dimension, is_server=is_server, create=create)
    except NothingIndexed as error:
        raise NothingIndexed(f"{error}: {INDEX_FIRST}") from error
    try:
        words = Lexicon(base / f"{name}.words.db", create=create)
    except NothingIndexed:
        return Index(store, None, store.close)
    except BaseException:
        store.close()
        raise

    def close() -> None:
        words.close()
        store.close()

    return Index(store, words, close, writer=words)


def _store(
    settings: SearchSettings,
    base: Path,
    name: str,
    dimension: int,
    *,
    is_server: bool,
    create: bool,
) -> Store:
    if settings.store == "milvus" and not is_server:
        from service.gateway.search.stores.milvus_lite import MilvusLiteStore  # noqa: PLC0415

        return MilvusLiteStore(base / "milvus", name, dimension, create=create)
    raise StoreError(f"the store {settings.store} is not there yet")
