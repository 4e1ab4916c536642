"""A server that speaks the part of Elasticsearch's and OpenSearch's HTTP that the adapter uses.

As documented: index API, bulk API (NDJSON, 200 with `errors`), search API (knn, match, term
filters, search_after, _source), delete by query. It refuses what it does not know, so that a field
which no server takes is an error here too.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


class Refused(Exception):
    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


class FakeElastic:
    """One server; `distribution` is what OpenSearch says of itself."""

    def __init__(self, distribution: str | None = None, authorization: str = "") -> None:
        self.distribution = distribution
        self.authorization = authorization
        self.indexes: dict[str, dict] = {}
        self.refuse_text = ""

    def check(self, authorization: str) -> None:
        if self.authorization != authorization:
            raise Refused(401, "missing authentication credentials")

    def handle(self, method: str, path: str, query: dict, body: bytes) -> tuple[int, dict | None]:
        parts = [part for part in path.split("/") if part]
        if not parts:
            version = {"number": "8.15.0"}
            if self.distribution:
                version = {"number": "2.17.0", "distribution": self.distribution}
            return 200, {"name": "fake", "version": version, "tagline": "You Know, for Search"}
        name, *rest = parts
        if not rest:
            return self._index(method, name, body)
        if name not in self.indexes:
            raise Refused(404, f"no such index [{name}]")
        action = {
            "_bulk": self._bulk,
            "_search": self._search,
            "_delete_by_query": self._delete,
        }.get(rest[0])
        if action is None or method != "POST":
            raise Refused(400, f"unknown request {method} {path}")
        return 200, action(self.indexes[name], query, body)

    def _index(self, method: str, name: str, body: bytes) -> tuple[int, dict | None]:
        if method == "HEAD":
            return (200 if name in self.indexes else 404), None
        if method != "PUT":
            raise Refused(405, "method not allowed")
        wanted = json.loads(body)
        vector = wanted["mappings"]["properties"]["vector"]
        if self.distribution:
            assert vector["type"] == "knn_vector", "no handler for type [dense_vector]"
            assert wanted["settings"]["index"]["knn"] is True
            dimension = vector["dimension"]
        else:
            assert vector["type"] == "dense_vector", "no handler for type [knn_vector]"
            assert vector["similarity"] == "cosine"
            dimension = vector["dims"]
        self.indexes[name] = {"documents": {}, "dimension": dimension, "mapping": wanted}
        return 200, {"acknowledged": True, "index": name}

    def _bulk(self, index: dict, query: dict, body: bytes) -> dict:
        assert body.endswith(b"\n"), "The bulk request must be terminated by a newline"
        lines = [json.loads(line) for line in body.splitlines()]
        items = []
        for action, document in zip(lines[::2], lines[1::2], strict=True):
            key = action["index"]["_id"]
            if self.refuse_text and self.refuse_text in document["text"]:
                error = {"type": "mapper_parsing_exception", "reason": "failed to parse"}
                items.append({"index": {"_id": key, "status": 400, "error": error}})
                continue
            assert len(document["vector"]) == index["dimension"]
            index["documents"][key] = document
            items.append({"index": {"_id": key, "status": 201}})
        return {"errors": any("error" in one["index"] for one in items), "items": items}

    def _delete(self, index: dict, query: dict, body: bytes) -> dict:
        assert query["refresh"] == ["true"]
        found = [key for key, one in index["documents"].items() if _matches(json.loads(body), one)]
        for key in found:
            del index["documents"][key]
        return {"deleted": len(found), "failures": []}

    def _search(self, index: dict, query: dict, body: bytes) -> dict:
        asked = json.loads(body)
        known = {"size", "query", "_source", "sort", "search_after", "knn"}
        if set(asked) - known:
            raise Refused(400, f"unknown key {sorted(set(asked) - known)}")
        assert asked["size"] <= 10_000
        documents = index["documents"]
        hits = [
            {"_id": key, "_score": score, "_source": {k: one[k] for k in asked["_source"]}}
            for key, one in documents.items()
            if (score := self._score(asked, one)) is not None
        ]
        if "sort" in asked:
            assert asked["sort"] == [{"id": "asc"}]
            hits.sort(key=lambda hit: hit["_id"])
            for hit in hits:
                hit["sort"] = [hit["_id"]]
            if "search_after" in asked:
                hits = [hit for hit in hits if hit["sort"] > asked["search_after"]]
        else:
            hits.sort(key=lambda hit: -hit["_score"])
        return {"hits": {"total": {"value": len(hits)}, "hits": hits[: asked["size"]]}}

    def _score(self, asked: dict, document: dict) -> float | None:
        if "knn" in asked:
            assert not self.distribution, "[knn] is not known at the top level"
            knn = asked["knn"]
            assert knn["k"] <= knn["num_candidates"] <= 10_000
            return (1 + _cosine(knn["query_vector"], document["vector"])) / 2
        [(kind, what)] = asked["query"].items()
        if kind == "knn":
            assert self.distribution, "unknown query [knn]"
            return (1 + _cosine(what["vector"]["vector"], document["vector"])) / 2
        if kind == "bool":
            return 1.0 if _matches(asked, document) else None
        assert kind == "multi_match"
        words = set(re.findall(r"\w+", what["query"].lower()))
        text = " ".join(document[field] for field in what["fields"]).lower()
        shared = words & set(re.findall(r"\w+", text))
        return float(len(shared)) if shared else None


def _matches(asked: dict, document: dict) -> bool:
    for wanted in asked["query"]["bool"]["filter"]:
        [(kind, what)] = wanted.items()
        [(field, value)] = what.items()
        if kind == "term" and document[field] != value:
            return False
        if kind == "terms" and document[field] not in value:
            return False
        assert kind in ("term", "terms")
    return True


def _cosine(first: list[float], second: list[float]) -> float:
    norm = math.hypot(*first) * math.hypot(*second)
    return sum(x * y for x, y in zip(first, second, strict=True)) / norm


@contextlib.contextmanager
def serving(fake: FakeElastic) -> Iterator[str]:
    """The server's address while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            where = urlsplit(self.path)
            try:
                fake.check(self.headers.get("Authorization") or "")
                status, found = fake.handle(self.command, where.path, parse_qs(where.query), body)
            except Refused as error:
                status = error.status
                found = {"error": {"type": "x", "reason": error.reason}, "status": status}
            except (AssertionError, KeyError) as error:
                status, found = 400, {"error": {"type": "x", "reason": repr(error)}, "status": 400}
            content = b"" if found is None or self.command == "HEAD" else json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_HEAD = answer  # noqa: N815 - the library's names

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
