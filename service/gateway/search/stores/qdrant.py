"""Qdrant: a server, or its local mode in this process."""

from __future__ import annotations

import functools
import threading
import warnings
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

from service.embedding import Vector
from service.gateway.search.passage import FIELDS, Hit, Mark, Passage
from service.gateway.search.store import NothingIndexed, StoreError

PAGE = 1000
TIMEOUT_S = 30

_T = TypeVar("_T")


class QdrantStore:
    """Implements `Store`."""

    def __init__(
        self,
        where: str | Path,
        name: str,
        dimension: int,
        *,
        create: bool,
        key: str = "",
        page: int = PAGE,
    ) -> None:
        """Open a collection.

        Args:
            where: a server's address; a path: the folder of the local mode, which belongs to this
                process until `close`.
            name: the collection.
            dimension: length of its vectors.
            page: sources or passages that one request is about, where there are many.
            key: API key of a server; empty for none.

        Raises:
            NothingIndexed: it is not there and `create` is not set.
            StoreError: no answer, in use by another process (`busy`), or not installed.
        """
        if isinstance(where, Path) and not create and not where.is_dir():
            raise NothingIndexed("nothing is indexed yet")
        try:
            import qdrant_client  # noqa: PLC0415 - takes a second, and only its users need it
        except ImportError as error:
            raise StoreError(
                f"qdrant-client cannot be imported ({error}): install the extra `search`"
            ) from error
        self._library: Any = qdrant_client
        self._models: Any = qdrant_client.models
        self._where = where
        self._name = name
        self._page = page
        # the local mode is one object in memory; a server takes many callers
        is_local = isinstance(where, Path)
        self._lock: AbstractContextManager[object] = threading.Lock() if is_local else nullcontext()
        self._client = self._connect(where, key)
        try:
            self._do(lambda: self._open(dimension, is_local=is_local, create=create))
        except BaseException:
            self.close()
            raise

    def _open(self, dimension: int, *, is_local: bool, create: bool) -> None:
        if self._client.collection_exists(self._name):
            return
        if not create:
            raise NothingIndexed("nothing is indexed for this model yet")
        self._create(dimension, is_local=is_local)

    def _connect(self, where: str | Path, key: str) -> Any:
        client = self._library.QdrantClient
        if isinstance(where, str):
            return self._do(
                lambda: client(
                    url=where, api_key=key or None, timeout=TIMEOUT_S, check_compatibility=False
                )
            )
        where.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
        try:
            return client(path=str(where))
        except RuntimeError as error:
            if "already accessed" not in str(error):
                raise StoreError(f"the index {where} cannot be opened: {error}") from error
            raise StoreError(
                f"the index {where} is in use by another process: Qdrant's local mode is for one "
                "at a time",
                busy=True,
            ) from error
        except (OSError, ValueError) as error:
            raise StoreError(f"the index {where} cannot be opened: {error}") from error

    def _create(self, dimension: int, *, is_local: bool) -> None:
        models = self._models
        self._client.create_collection(
            self._name,
            vectors_config=models.VectorParams(size=dimension, distance=models.Distance.COSINE),
        )
        if not is_local:
            for field in ("folder", "source"):
                self._client.create_payload_index(
                    self._name, field, field_schema=models.PayloadSchemaType.KEYWORD
                )

    def put(self, passages: Sequence[Passage], vectors: Sequence[Vector]) -> None:
        points = [
            self._models.PointStruct(
                id=passage.id,
                vector=vector.values(),
                payload=passage.fields(),
            )
            for passage, vector in zip(passages, vectors, strict=True)
        ]
        self._do(lambda: self._client.upsert(self._name, points, wait=True))

    def remove(self, folder: str, sources: Sequence[str]) -> None:
        for start in range(0, len(sources), self._page):
            page = self._of(folder, list(sources[start : start + self._page]))
            which = self._models.FilterSelector(filter=page)
            self._do(functools.partial(self._client.delete, self._name, which, wait=True))

    def marks(self, folder: str) -> Iterable[Mark]:
        after: Any = None
        while True:
            points, after = self._do(
                functools.partial(
                    self._client.scroll,
                    self._name,
                    scroll_filter=self._of(folder),
                    limit=self._page,
                    offset=after,
                    with_payload=["source", "place", "digest"],
                )
            )
            for point in points:
                found = point.payload
                yield Mark(found["source"], int(found["place"]), found["digest"])
            if after is None:
                return

    def nearest(self, vector: Vector, limit: int) -> list[Hit]:
        asked = vector.values()
        found = self._do(
            lambda: self._client.query_points(
                self._name, query=asked, limit=limit, with_payload=True
            )
        )
        return [
            Hit(Passage(**{name: point.payload[name] for name in FIELDS}), float(point.score))
            for point in found.points
        ]

    def close(self) -> None:
        with self._lock:
            self._client.close()

    def _of(self, folder: str, sources: list[str] | None = None) -> Any:
        models = self._models
        wanted = [
            models.FieldCondition(key="folder", match=models.MatchValue(value=folder)),
        ]
        if sources is not None:
            wanted.append(models.FieldCondition(key="source", match=models.MatchAny(any=sources)))
        return models.Filter(must=wanted)

    def _do(self, work: Callable[[], _T]) -> _T:
        from qdrant_client.http.exceptions import ApiException  # noqa: PLC0415 - see above

        try:
            with self._lock, warnings.catch_warnings():
                # over 20,000 points the local mode says that a server is faster; the docs say it
                warnings.simplefilter("ignore")
                return work()
        except (ApiException, ValueError, OSError, RuntimeError) as error:
            raise StoreError(f"Qdrant at {self._where}: {error}") from error
