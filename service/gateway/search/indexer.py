"""A folder into an index: what is new or changed is embedded, what is gone is forgotten.

Holds a few batches at a time, whatever the size of the folder. Ended at any moment, also by
`kill -9`, it leaves an index that answers, and the next run goes on where this one ended.
"""

from __future__ import annotations

import collections
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

from service.embedding import InputType
from service.gateway.search.cut import Cutter, Source
from service.gateway.search.model import EmbeddedTexts
from service.gateway.search.passage import Passage, complete
from service.gateway.search.reader import Skipped
from service.gateway.search.store import Store, StoreError, WordsWriter

BATCH = 8
BATCH_MOST = 64
"""Passages embedded by one request: the first one's, and the most."""

QUICK_S = 1.0
SLOW_S = 5.0
"""A batch that is answered sooner is followed by larger ones, one that takes longer by smaller
ones: a busy CPU must answer within the service's deadline, and a GPU be kept busy.
"""

AHEAD = 2
"""Batches that are being embedded at once, so that the model never waits for the disk."""

MAX_SKIPPED = 1000
"""Skipped files that are named; more are counted only."""


class Embed(Protocol):
    """What makes vectors; called from several threads."""

    def embed(self, texts: Sequence[str], input_type: InputType) -> EmbeddedTexts: ...


@dataclass(slots=True)
class Progress:
    """How far a run is; read by who shows it.

    Attributes:
        indexed: sources that were new or had changed.
        passages: of those, written so far.
        skipped: what was not read, and why; the first of them.
    """

    seen: int = 0
    unchanged: int = 0
    indexed: int = 0
    removed: int = 0
    passages: int = 0
    skipped_count: int = 0
    skipped: list[Skipped] = field(default_factory=list)
    seconds: float = 0.0

    def skip(self, one: Skipped) -> None:
        self.skipped_count += 1
        if len(self.skipped) < MAX_SKIPPED:
            self.skipped.append(one)


class Indexer:
    """Writes into one index."""

    def __init__(
        self,
        store: Store,
        words: WordsWriter | None,
        models: Embed,
        cutter: Cutter,
        *,
        space: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make one.

        Args:
            words: None where the store matches words itself.
            space: the vector space of the index; vectors of another one are refused.
        """
        self._store = store
        self._words = words
        self._models = models
        self._cutter = cutter
        self._space = space
        self._clock = clock

    def run(
        self,
        folder: str,
        sources: Iterable[Source | Skipped],
        report: Callable[[Progress], None] = lambda _: None,
    ) -> Progress:
        """Bring the index up to date with the folder.

        Args:
            folder: absolute path; what the index has of other folders is left alone.
            sources: everything that is in the folder now.
            report: called again and again with the same object.

        Raises:
            Unanswered: the model does not answer.
            StoreError: the store failed, or the model was exchanged under way.
        """
        began = self._clock()
        progress = Progress()
        known = complete(self._store.marks(folder))
        taken: set[int] = set()
        with ThreadPoolExecutor(AHEAD, thread_name_prefix="embed") as pool:
            line = _Line(pool, self._models, self._writer(progress), self._clock)
            try:
                for source in sources:
                    if isinstance(source, Skipped):
                        progress.skip(source)
                    elif hash(source.name) in taken:
                        progress.skip(Skipped(source.name, "its id came before"))
                    else:
                        taken.add(hash(source.name))
                        self._take(source, known, line, progress)
                    progress.seconds = self._clock() - began
                    report(progress)
                line.finish()
            finally:
                line.give_up()
        gone = list(known)
        self._forget(folder, gone)
        progress.removed = len(gone)
        progress.seconds = self._clock() - began
        report(progress)
        return progress

    def _take(self, source: Source, known: dict[str, str], line: _Line, progress: Progress) -> None:
        progress.seen += 1
        before = known.pop(source.name, None)
        if before == self._cutter.digest(source):
            progress.unchanged += 1
            return
        if before is not None:
            self._forget(source.folder, [source.name])
        passages = self._cutter.passages(source)
        if not passages:
            progress.skip(Skipped(source.name, "nothing but headings"))
            return
        progress.indexed += 1
        # the first passage comes last: it says that the others are there (see `complete`)
        for passage in reversed(passages):
            line.add(passage)

    def _writer(self, progress: Progress) -> _Write:
        def write(passages: Sequence[Passage], found: EmbeddedTexts) -> None:
            if found.space != self._space:
                raise StoreError("the embedding model was exchanged meanwhile: run it again")
            if self._words is not None:
                self._words.put(passages)
            self._store.put(passages, found.vectors)
            progress.passages += len(passages)

        return write

    def _forget(self, folder: str, sources: Sequence[str]) -> None:
        if sources:
            self._store.remove(folder, sources)
            if self._words is not None:
                self._words.remove(folder, sources)


_Write = Callable[[Sequence[Passage], EmbeddedTexts], None]
_Timed = tuple[EmbeddedTexts, float]


def next_size(size: int, seconds: float) -> int:
    """How many passages the next batch has after one of this size took so long."""
    if seconds < QUICK_S:
        return min(BATCH_MOST, size * 2)
    return max(1, size // 2) if seconds > SLOW_S else size


class _Line:
    """Passages on their way: gathered into batches, embedded a few batches ahead, in order."""

    def __init__(
        self,
        pool: ThreadPoolExecutor,
        models: Embed,
        write: _Write,
        clock: Callable[[], float],
    ) -> None:
        self._pool = pool
        self._models = models
        self._write = write
        self._clock = clock
        self._size = BATCH
        self._batch: list[Passage] = []
        self._ahead: collections.deque[tuple[list[Passage], Future[_Timed]]] = collections.deque()

    def add(self, passage: Passage) -> None:
        self._batch.append(passage)
        if len(self._batch) >= self._size:
            self._send()

    def finish(self) -> None:
        """Write all that was added."""
        if self._batch:
            self._send()
        while self._ahead:
            self._land()

    def give_up(self) -> None:
        for _, waiting in self._ahead:
            waiting.cancel()

    def _send(self) -> None:
        batch, self._batch = self._batch, []
        texts = [passage.whole for passage in batch]
        work = self._pool.submit(self._embed, texts)
        self._ahead.append((batch, work))
        if len(self._ahead) >= AHEAD:
            self._land()

    def _land(self) -> None:
        batch, work = self._ahead.popleft()
        found, seconds = work.result()
        self._size = next_size(len(batch), seconds)
        self._write(batch, found)

    def _embed(self, texts: Sequence[str]) -> _Timed:
        began = self._clock()
        found = self._models.embed(texts, InputType.DOCUMENT)
        return found, self._clock() - began
