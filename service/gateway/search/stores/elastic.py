"""Elasticsearch and OpenSearch over plain HTTP: kNN for vectors, and their own BM25 for words.

The two rankings are fused by us (`fusion.py`), so that no licence level is asked for.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from enum import Enum
from http import HTTPStatus
from typing import Any

import requests

from service.embedding import Vector
from service.gateway.search.passage import FIELDS, Hit, Mark, Passage
from service.gateway.search.store import NothingIndexed, StoreError

PAGE = 1000
TIMEOUT_S = (3.0, 30.0)
CANDIDATES = 10
"""Vectors that kNN looks at per result and shard: the approximate search's accuracy."""

MAX_CANDIDATES = 10_000
"""The most that Elasticsearch takes."""

_WORDS = 500


class Dialect(str, Enum):
    """The two servers differ in how vectors are declared and asked for."""

    ELASTICSEARCH = "elasticsearch"
    OPENSEARCH = "opensearch"


class ElasticStore:
    """Implements `Store` and `Words`."""

    def __init__(
        self,
        url: str,
        name: str,
        dimension: int,
        *,
        create: bool,
        authorization: str = "",
        page: int = PAGE,
    ) -> None:
        """Connect, find out which of the two it is, and open the index.

        Args:
            url: the server's address.
            name: the index.
            dimension: length of its vectors.
            page: sources or passages that one request is about, where there are many.
            authorization: the header's value, such as `ApiKey …` or `Basic …`; empty for none.

        Raises:
            NothingIndexed: it is not there and `create` is not set.
            StoreError: no answer, or a refusal.
        """
        self._url = url.rstrip("/")
        self._name = name
        self._page = page
        self._session = requests.Session()
        self._session.trust_env = False
        if authorization:
            self._session.headers["Authorization"] = authorization
        try:
            self._dialect = self._find_dialect()
            self._open(dimension, create=create)
        except BaseException:
            self.close()
            raise

    def _open(self, dimension: int, *, create: bool) -> None:
        path = f"/{self._name}"
        if self._ask("HEAD", path).status_code != HTTPStatus.NOT_FOUND:
            return
        if not create:
            raise NothingIndexed("nothing is indexed for this model yet")
        self._call("PUT", path, self._declaration(dimension))

    def _find_dialect(self) -> Dialect:
        version = self._call("GET", "/").get("version")
        distribution = version.get("distribution") if isinstance(version, dict) else None
        return Dialect.OPENSEARCH if distribution == "opensearch" else Dialect.ELASTICSEARCH

    def _declaration(self, dimension: int) -> dict[str, Any]:
        keyword, text = {"type": "keyword"}, {"type": "text"}
        if self._dialect is Dialect.OPENSEARCH:
            settings: dict[str, Any] = {"index": {"knn": True}}
            vector: dict[str, Any] = {
                "type": "knn_vector",
                "dimension": dimension,
                "method": {"name": "hnsw", "engine": "lucene", "space_type": "cosinesimil"},
            }
        else:
            settings = {}
            vector = {
                "type": "dense_vector",
                "dims": dimension,
                "index": True,
                "similarity": "cosine",
            }
        properties = {
            "id": keyword,
            "folder": keyword,
            "source": keyword,
            "digest": keyword,
            "place": {"type": "integer"},
            "title": text,
            "text": text,
            "vector": vector,
        }
        return {"settings": settings, "mappings": {"dynamic": False, "properties": properties}}

    def put(self, passages: Sequence[Passage], vectors: Sequence[Vector]) -> None:
        lines: list[object] = []
        for passage, vector in zip(passages, vectors, strict=True):
            lines.append({"index": {"_id": passage.id}})
            lines.append({"id": passage.id, **passage.fields(), "vector": vector.values()})
        body = "".join(json.dumps(line) + "\n" for line in lines).encode("utf-8")
        answer = self._send(
            "POST",
            f"/{self._name}/_bulk?refresh=true",
            data=body,
            headers={"Content-Type": "application/x-ndjson"},
        )
        if answer.get("errors"):
            # the answer to a bulk request is 200 whatever became of its items
            failed = [
                item["index"]["error"] for item in answer["items"] if item["index"].get("error")
            ]
            raise StoreError(f"{self._url} refused {len(failed)} passages: {_said(failed[0])}")

    def remove(self, folder: str, sources: Sequence[str]) -> None:
        for start in range(0, len(sources), self._page):
            wanted = [
                {"term": {"folder": folder}},
                {"terms": {"source": list(sources[start : start + self._page])}},
            ]
            self._call(
                "POST",
                f"/{self._name}/_delete_by_query?refresh=true&conflicts=proceed",
                {"query": {"bool": {"filter": wanted}}},
            )

    def marks(self, folder: str) -> Iterable[Mark]:
        after: list[object] | None = None
        while True:
            body: dict[str, Any] = {
                "size": self._page,
                "query": {"bool": {"filter": [{"term": {"folder": folder}}]}},
                "_source": ["source", "place", "digest"],
                "sort": [{"id": "asc"}],
            }
            if after is not None:
                body["search_after"] = after
            hits = self._hits(body)
            for hit in hits:
                found = hit["_source"]
                yield Mark(found["source"], int(found["place"]), found["digest"])
            if len(hits) < self._page:
                return
            after = hits[-1]["sort"]

    def nearest(self, vector: Vector, limit: int) -> list[Hit]:
        values = vector.values()
        if self._dialect is Dialect.OPENSEARCH:
            asked: dict[str, Any] = {"query": {"knn": {"vector": {"vector": values, "k": limit}}}}
        else:
            asked = {
                "knn": {
                    "field": "vector",
                    "query_vector": values,
                    "k": limit,
                    "num_candidates": min(MAX_CANDIDATES, limit * CANDIDATES),
                }
            }
        return self._found({"size": limit, "_source": list(FIELDS), **asked})

    def matching(self, query: str, limit: int) -> list[Hit]:
        words = " ".join(query.split()[:_WORDS])
        asked = {
            "multi_match": {"query": words, "fields": ["title", "text"], "type": "most_fields"}
        }
        return self._found({"size": limit, "_source": list(FIELDS), "query": asked})

    def close(self) -> None:
        self._session.close()

    def _found(self, body: dict[str, Any]) -> list[Hit]:
        return [
            Hit(Passage(**{name: hit["_source"][name] for name in FIELDS}), float(hit["_score"]))
            for hit in self._hits(body)
        ]

    def _hits(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        answer = self._call("POST", f"/{self._name}/_search", body)
        try:
            hits: list[dict[str, Any]] = answer["hits"]["hits"]
        except (KeyError, TypeError) as error:
            raise StoreError(f"{self._url} answered no hits") from error
        return hits

    def _call(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        return self._send(method, path, json=body)

    def _send(self, method: str, path: str, **what: Any) -> dict[str, Any]:
        response = self._ask(method, path, **what)
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if response.status_code >= HTTPStatus.MULTIPLE_CHOICES:
            said = _said(answer.get("error")) if isinstance(answer, dict) else response.reason
            raise StoreError(f"{self._url} answered {response.status_code}: {said}")
        if not isinstance(answer, dict):
            raise StoreError(f"{self._url} did not answer in JSON")
        return answer

    def _ask(self, method: str, path: str, **what: Any) -> requests.Response:
        try:
            return self._session.request(
                method, self._url + path, timeout=TIMEOUT_S, allow_redirects=False, **what
            )
        except requests.RequestException as error:
            raise StoreError(f"nothing answers at {self._url}") from error


def _said(error: object) -> str:
    """The server's own words, short."""
    if isinstance(error, dict):
        error = error.get("reason") or error.get("type")
    return str(error)[:300]
