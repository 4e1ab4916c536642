"""The embeddings of texts seen lately, by content. One thread uses it: the event loop's."""

from __future__ import annotations

import hashlib
from collections import OrderedDict

from service.worker.engines.e5.forward import Embeddings
from service.worker.engines.e5.vocabulary import Ids


def key_of(window: Ids) -> bytes:
    """A digest of the token ids; prefix included, so a query is never taken for a document."""
    return hashlib.blake2b(window.tobytes(), digest_size=16).digest()


class EmbeddingCache:
    """At most `capacity` embeddings of 384 float32, the least recently used one leaves first."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._entries: OrderedDict[bytes, Embeddings] = OrderedDict()

    def get(self, key: bytes) -> Embeddings | None:
        found = self._entries.get(key)
        if found is not None:
            self._entries.move_to_end(key)
        return found

    def put(self, key: bytes, embedding: Embeddings) -> None:
        self._entries[key] = embedding.copy()  # a view would keep its whole job in memory
        self._entries.move_to_end(key)
        while len(self._entries) > self._capacity:
            self._entries.popitem(last=False)
