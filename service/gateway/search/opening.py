"""Where an index is: the adapters of the stores are built here and nowhere else."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from service.gateway.search.lexicon import Lexicon
from service.gateway.search.library import Index
from service.gateway.search.secret import read_secret
from service.gateway.search.store import NothingIndexed, Store, StoreError
from service.settings import SearchSettings

if TYPE_CHECKING:
    from service.gateway.search.stores.elastic import ElasticStore

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
    place = _Place(settings, state_dir, collection_name(settings, space), dimension, create)
    try:
        if settings.store == "elasticsearch":
            store = _elastic(place)
            return Index(store, store, store.close)
        return _with_words(place, _milvus(place) if settings.store == "milvus" else _qdrant(place))
    except NothingIndexed as error:
        raise NothingIndexed(f"{error}: {INDEX_FIRST}") from error


@dataclass(frozen=True, slots=True)
class _Place:
    """What all stores are opened by."""

    settings: SearchSettings
    state_dir: Path
    name: str
    dimension: int
    create: bool

    @property
    def server(self) -> str:
        """The server's address; empty where the store is in this process."""
        uri = self.settings.uri
        return uri if uri.startswith(("http://", "https://")) else ""

    @property
    def folder(self) -> Path:
        """Where files of this index are on this host."""
        is_folder = self.settings.uri and not self.server
        return Path(self.settings.uri) if is_folder else self.state_dir / "search"

    @property
    def secret(self) -> str:
        return read_secret(self.settings.secret_file)


def _milvus(place: _Place) -> Store:
    if not place.server:
        from service.gateway.search.stores.milvus_lite import MilvusLiteStore  # noqa: PLC0415

        return MilvusLiteStore(
            place.folder / "milvus", place.name, place.dimension, create=place.create
        )
    from service.gateway.search.stores.milvus import MilvusStore  # noqa: PLC0415

    return MilvusStore(
        place.server, place.name, place.dimension, create=place.create, token=place.secret
    )


def _qdrant(place: _Place) -> Store:
    from service.gateway.search.stores.qdrant import QdrantStore  # noqa: PLC0415

    return QdrantStore(
        place.server or place.folder / "qdrant",
        place.name,
        place.dimension,
        create=place.create,
        key=place.secret,
    )


def _elastic(place: _Place) -> ElasticStore:
    from service.gateway.search.stores.elastic import ElasticStore  # noqa: PLC0415

    if not place.server:
        raise StoreError("[service.search] uri has to be the address of Elasticsearch: http(s)://…")
    return ElasticStore(
        place.server,
        place.name,
        place.dimension,
        create=place.create,
        authorization=place.secret,
    )


def _with_words(place: _Place, store: Store) -> Index:
    """A store that knows no words, with the file that does; without where there is none."""
    try:
        words = Lexicon(place.folder / f"{place.name}.words.db", create=place.create)
    except NothingIndexed:
        return Index(store, None, store.close)
    except BaseException:
        store.close()
        raise

    def close() -> None:
        words.close()
        store.close()

    return Index(store, words, close, writer=words)
