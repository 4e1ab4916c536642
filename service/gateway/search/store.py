"""What an index asks of a vector store: a Protocol and its errors. Knows no library."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from service.embedding import Vector
from service.gateway.search.passage import Hit, Mark, Passage


class StoreError(Exception):
    """The store cannot do it; the message is a sentence for the operator.

    Attributes:
        busy: another process has it; trying again later may work.
    """

    def __init__(self, message: str, *, busy: bool = False) -> None:
        super().__init__(message)
        self.busy = busy


class NothingIndexed(StoreError):
    """There is no index for this model yet."""


class Words(Protocol):
    """Finds passages by their words (BM25)."""

    def matching(self, query: str, limit: int) -> list[Hit]:
        """The best passages for the words of the query; fewer when fewer share one.

        Raises:
            StoreError: the store failed or is not there.
        """
        ...


class WordsWriter(Protocol):
    """Keeps the words of passages beside a store that has no BM25 of its own."""

    def put(self, passages: Sequence[Passage]) -> None:
        """Write passages; one with the id of another takes its place."""
        ...

    def remove(self, folder: str, sources: Sequence[str]) -> None:
        """Forget all passages of these sources of a folder."""
        ...


class Store(Protocol):
    """One index: passages with their vectors, all of one vector space.

    Blocks: call it outside the event loop; safe to call from several threads. What `put` and
    `remove` did is there for the next call, and after a `kill -9`. All methods raise `StoreError`.
    """

    def put(self, passages: Sequence[Passage], vectors: Sequence[Vector]) -> None:
        """Write passages; one with the id of another takes its place."""
        ...

    def remove(self, folder: str, sources: Sequence[str]) -> None:
        """Forget all passages of these sources of a folder."""
        ...

    def marks(self, folder: str) -> Iterable[Mark]:
        """Every passage of a folder, without its text; in no order."""
        ...

    def nearest(self, vector: Vector, limit: int) -> list[Hit]:
        """The passages whose vectors have the highest cosine with this one, best first."""
        ...

    def close(self) -> None:
        """Give everything back; safe to call twice."""
        ...
