"""Milvus Lite in this process: a folder on disk, no server, no port.

Its own interface is used and not pymilvus, which would open a port on loopback without a password
and would hide that the folder is in use.
"""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from service.embedding import Vector
from service.gateway.search.passage import FIELDS, Hit, Mark, Passage
from service.gateway.search.store import NothingIndexed, StoreError
from service.gateway.search.stores import milvus_row

PAGE = 1000
"""Passages of one source list that are read or removed at once."""


class MilvusLiteStore:
    """Implements `Store`."""

    def __init__(self, path: Path, name: str, dimension: int, *, create: bool) -> None:
        """Open; the folder belongs to this process until `close`.

        Args:
            path: the folder; made when it is not there and `create` is set.
            name: the collection.
            dimension: length of its vectors.

        Raises:
            NothingIndexed: it is not there and `create` is not set.
            StoreError: another process has it (`busy`), or it cannot be read.
        """
        if not create and not path.is_dir():
            raise NothingIndexed("nothing is indexed yet")
        try:
            import milvus_lite  # noqa: PLC0415 - takes a second, and only a search needs it
        except ImportError as error:
            raise StoreError(
                f"milvus-lite cannot be imported ({error}): install the extra `search`"
            ) from error
        logging.getLogger("milvus_lite").setLevel(logging.ERROR)
        self._lite = milvus_lite
        self._lock = threading.Lock()
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        try:
            self._database = milvus_lite.MilvusLite(str(path))
        except milvus_lite.DataDirLockedError as error:
            raise StoreError(
                f"the index {path} is in use by another process: Milvus Lite is for one at a time",
                busy=True,
            ) from error
        except (milvus_lite.MilvusLiteError, OSError, ValueError) as error:
            raise StoreError(f"the index {path} cannot be opened: {error}") from error
        try:
            self._collection = self._open(name, dimension, create=create)
        except BaseException:
            self.close()
            raise

    def _open(self, name: str, dimension: int, *, create: bool) -> Any:
        try:
            if self._database.has_collection(name):
                collection = self._database.get_collection(name)
            elif create:
                collection = self._database.create_collection(name, self._schema(dimension))
                collection.create_index(
                    "vector", {"index_type": "FLAT", "metric_type": "COSINE", "params": {}}
                )
            else:
                raise NothingIndexed("nothing is indexed for this model yet")
            collection.load()
        except self._lite.MilvusLiteError as error:
            raise StoreError(f"Milvus Lite: {error}") from error
        return collection

    def _schema(self, dimension: int) -> Any:
        field, kind = self._lite.FieldSchema, self._lite.DataType
        texts = [
            field(name=name, dtype=kind.VARCHAR, max_length=milvus_row.TEXT_BYTES)
            for name in FIELDS
            if name != "place"
        ]
        return self._lite.CollectionSchema(
            fields=[
                field(
                    name="id",
                    dtype=kind.VARCHAR,
                    is_primary=True,
                    max_length=milvus_row.ID_CHARS,
                ),
                field(name="place", dtype=kind.INT64),
                *texts,
                field(name="vector", dtype=kind.FLOAT_VECTOR, dim=dimension),
            ]
        )

    def put(self, passages: Sequence[Passage], vectors: Sequence[Vector]) -> None:
        rows = milvus_row.rows(passages, vectors)
        self._do(lambda: self._collection.upsert(rows))

    def remove(self, folder: str, sources: Sequence[str]) -> None:
        for start in range(0, len(sources), PAGE):
            page = list(sources[start : start + PAGE])
            rows = self._query(milvus_row.where(folder, page), ["id"])
            if rows:
                ids = [row["id"] for row in rows]
                self._do(functools.partial(self._collection.delete, ids))

    def marks(self, folder: str) -> Iterable[Mark]:
        for row in self._query(milvus_row.where(folder), ["source", "place", "digest"]):
            yield Mark(row["source"], int(row["place"]), row["digest"])

    def nearest(self, vector: Vector, limit: int) -> list[Hit]:
        asked = vector.values()
        [found] = self._do(
            lambda: self._collection.search(
                [asked], top_k=limit, metric_type="COSINE", output_fields=list(FIELDS)
            )
        )
        return milvus_row.hits(found)

    def close(self) -> None:
        with self._lock:
            self._database.close()

    def _query(self, where: str, fields: list[str]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._do(
            lambda: self._collection.query(expr=where, output_fields=fields)
        )
        return found

    def _do(self, work: Any) -> Any:
        try:
            with self._lock:
                return work()
        except (self._lite.MilvusLiteError, self._lite.FilterError, OSError) as error:
            raise StoreError(f"Milvus Lite: {error}") from error
