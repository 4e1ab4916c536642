"""A Milvus server, by pymilvus."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from service.embedding import Vector
from service.gateway.search.passage import FIELDS, Hit, Mark, Passage
from service.gateway.search.store import NothingIndexed, StoreError
from service.gateway.search.stores import milvus_row

PAGE = 1000
TIMEOUT_S = 30.0

_T = TypeVar("_T")


class MilvusStore:
    """Implements `Store`."""

    def __init__(
        self,
        uri: str,
        name: str,
        dimension: int,
        *,
        create: bool,
        token: str = "",
        page: int = PAGE,
    ) -> None:
        """Connect and open the collection.

        Args:
            uri: the server's address.
            name: the collection.
            dimension: length of its vectors.
            page: sources or passages that one request is about, where there are many.
            token: `user:password` or an API key; empty for none.

        Raises:
            NothingIndexed: it is not there and `create` is not set.
            StoreError: no answer, or pymilvus is not installed.
        """
        try:
            import pymilvus  # noqa: PLC0415 - takes two seconds, and only its users need it
        except ImportError as error:
            raise StoreError(
                f"pymilvus cannot be imported ({error}): install the extra `search`"
            ) from error
        self._milvus = pymilvus
        self._name = name
        self._page = page
        self._uri = uri
        self._client: Any = self._do(
            lambda: pymilvus.MilvusClient(uri=uri, token=token, timeout=TIMEOUT_S)
        )
        try:
            self._do(lambda: self._open(dimension, create=create))
        except BaseException:
            self.close()
            raise

    def _open(self, dimension: int, *, create: bool) -> None:
        if not self._client.has_collection(self._name):
            if not create:
                raise NothingIndexed("nothing is indexed for this model yet")
            self._create(dimension)
        self._client.load_collection(self._name)

    def _create(self, dimension: int) -> None:
        kind = self._milvus.DataType
        schema = self._client.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("id", kind.VARCHAR, is_primary=True, max_length=milvus_row.ID_CHARS)
        schema.add_field("place", kind.INT64)
        for name in FIELDS:
            if name != "place":
                schema.add_field(name, kind.VARCHAR, max_length=milvus_row.TEXT_BYTES)
        schema.add_field("vector", kind.FLOAT_VECTOR, dim=dimension)
        index = self._client.prepare_index_params()
        index.add_index("vector", index_type="AUTOINDEX", metric_type="COSINE")
        # strong: a run reads what it wrote, and a search after it finds all of it
        self._client.create_collection(
            self._name, schema=schema, index_params=index, consistency_level="Strong"
        )

    def put(self, passages: Sequence[Passage], vectors: Sequence[Vector]) -> None:
        rows = milvus_row.rows(passages, vectors)
        self._do(lambda: self._client.upsert(self._name, rows, timeout=TIMEOUT_S))

    def remove(self, folder: str, sources: Sequence[str]) -> None:
        for start in range(0, len(sources), self._page):
            page = list(sources[start : start + self._page])
            where = milvus_row.where(folder, page)
            self._do(
                functools.partial(self._client.delete, self._name, filter=where, timeout=TIMEOUT_S)
            )

    def marks(self, folder: str) -> Iterable[Mark]:
        rows = self._do(
            lambda: self._client.query_iterator(
                self._name,
                batch_size=self._page,
                filter=milvus_row.where(folder),
                output_fields=["source", "place", "digest"],
            )
        )
        try:
            while page := self._do(rows.next):
                for row in page:
                    yield Mark(row["source"], int(row["place"]), row["digest"])
        finally:
            rows.close()

    def nearest(self, vector: Vector, limit: int) -> list[Hit]:
        [found] = self._do(
            lambda: self._client.search(
                self._name,
                [vector.values()],
                limit=limit,
                output_fields=list(FIELDS),
                search_params={"metric_type": "COSINE"},
                timeout=TIMEOUT_S,
            )
        )
        return milvus_row.hits(found)

    def close(self) -> None:
        self._do(self._client.close)

    def _do(self, work: Callable[[], _T]) -> _T:
        try:
            return work()
        except self._milvus.MilvusException as error:
            raise StoreError(f"Milvus at {self._uri}: {error.message}") from error
