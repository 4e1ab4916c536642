"""Indexes as a search uses them: opened when they are needed, and given back when they are not.

A store in this process belongs to one process at a time. The gateway gives it back after a few
seconds without a search, so that `rankguard search index` can write to it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from service.gateway.search.store import Store, StoreError, Words, WordsWriter

IDLE_S = 2.0
THREADS = 4

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Index:
    """An open index.

    Attributes:
        words: None where there is nothing to match words with.
        writer: keeps words beside a store that has none; None where the store does it itself, or
            where the index was opened to be read.
        close: gives both back; blocks.
    """

    store: Store
    words: Words | None
    close: Callable[[], None]
    writer: WordsWriter | None = None


Opener = Callable[[str, int], Index]
"""Opens the index of a vector space with vectors of that length; blocks, raises StoreError."""


class Library:
    """One index at a time, for one event loop; to be closed inside it."""

    def __init__(self, opener: Opener, *, idle_s: float = IDLE_S) -> None:
        self._opener = opener
        self._idle_s = idle_s
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="search")
        self._turn = asyncio.Lock()
        self._open: tuple[str, Index] | None = None
        self._users = 0
        self._closing: asyncio.Task[None] | None = None

    async def do(self, work: Callable[[], _T]) -> _T:
        """Blocking work on an index, in a thread."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    @contextlib.asynccontextmanager
    async def lent(self, space: str, dimension: int) -> AsyncIterator[Index]:
        """The index of a vector space, open until the block ends.

        Raises:
            StoreError: it cannot be opened, or that of another space is in use.
        """
        async with self._turn:
            if self._open is not None and self._open[0] != space:
                if self._users:
                    raise StoreError("the embedding model is being exchanged", busy=True)
                await self._give_back()
            if self._open is None:
                index = await self.do(lambda: self._opener(space, dimension))
                self._open = (space, index)
            index = self._open[1]
            self._users += 1
        try:
            yield index
        finally:
            self._users -= 1
            if not self._users:
                self._later()

    async def close(self) -> None:
        """Give everything back."""
        if self._closing is not None:
            self._closing.cancel()
        async with self._turn:
            await self._give_back()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _later(self) -> None:
        if self._closing is not None:
            self._closing.cancel()
        self._closing = asyncio.create_task(self._when_idle())

    async def _when_idle(self) -> None:
        await asyncio.sleep(self._idle_s)
        async with self._turn:
            if not self._users:
                await self._give_back()

    async def _give_back(self) -> None:
        opened, self._open = self._open, None
        if opened is not None:
            await asyncio.shield(self.do(opened[1].close))
