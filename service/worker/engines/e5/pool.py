"""Threads that take windows from the backlog, run them and hand the embeddings to their jobs."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from service.errors import EngineFailed, InvalidValue, NoCapacity
from service.worker.engines.e5.backlog import Backlog, Item
from service.worker.engines.e5.forward import Embeddings
from service.worker.engines.e5.vocabulary import Ids

PASS_TOKENS = 512
"""Padded tokens in one forward pass: under 0.15 s on a core, and no slower per token than more."""

FAILED_PASSES = 5
"""After so many failed passes in a row the engine is taken for dead."""

MAX_WAITING_TOKENS = 16_000_000
"""Tokens that wait in one worker: 64 MB of ids, and more than any deadline allows."""

CLOSE_LIMIT_S = 5.0
_NICE = 5  # the event loop answers /progress while all cores score

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Job:
    windows: Sequence[Ids]
    embeddings: Embeddings
    remaining: int
    done: asyncio.Future[Embeddings]
    loop: asyncio.AbstractEventLoop


class Pool:
    """`threads` threads around one `embed` function that is thread-safe and releases the GIL."""

    def __init__(
        self,
        embed: Callable[[Sequence[Ids]], Embeddings],
        width: int,
        threads: int,
        *,
        dead: Callable[[str], None] = lambda _: None,
        max_waiting_tokens: int = MAX_WAITING_TOKENS,
        pass_tokens: int = PASS_TOKENS,
    ) -> None:
        """Start the threads.

        Args:
            embed: one pass.
            width: the length of an embedding.
            threads: how many passes run at once.
            dead: called from one of the threads, once, when passes fail again and again.
            max_waiting_tokens: over all jobs.
            pass_tokens: padded tokens in one pass.
        """
        self._dead = dead
        self._embed = embed
        self._width = width
        self._pass_tokens = pass_tokens
        self._max_waiting_tokens = max_waiting_tokens
        self._backlog = Backlog(max_waiting_tokens)
        self._wake = threading.Condition()
        self._jobs: dict[int, _Job] = {}
        self._numbers = itertools.count()
        self._steps = 0
        self._failures = 0
        self._closing = False
        self._threads = [
            threading.Thread(target=self._run, name=f"e5-{index}", daemon=True)
            for index in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def steps(self) -> int:
        """Forward passes done."""
        return self._steps

    def waiting(self) -> int:
        """Tokens that wait for a pass."""
        with self._wake:
            return self._backlog.tokens

    async def embed(self, windows: Sequence[Ids]) -> Embeddings:
        """Embed all windows, in order: [windows, width]. Cancelling drops those not yet begun.

        Raises:
            NoCapacity: too much waits already.
            InvalidValue: it would be too much even alone.
            EngineFailed: a pass failed, or the pool is closed.
        """
        if not windows:
            return np.zeros((0, self._width), dtype=np.float32)
        number = next(self._numbers)
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Embeddings] = loop.create_future()
        embeddings = np.zeros((len(windows), self._width), dtype=np.float32)
        with self._wake:
            if self._closing:
                raise EngineFailed("the engine is closing")
            lengths = [len(window) for window in windows]
            if not self._backlog.add(number, lengths):
                self._refuse(sum(lengths))
            self._jobs[number] = _Job(windows, embeddings, len(windows), done, loop)
            self._wake.notify(len(windows))
        try:
            return await done
        finally:
            with self._wake:
                self._backlog.drop(number)
                self._jobs.pop(number, None)

    def close(self) -> None:
        """End the threads after the pass they are in; what waits fails."""
        with self._wake:
            self._closing = True
            for number in list(self._jobs):
                self._fail(number, EngineFailed("the engine is closing"))
            self._wake.notify_all()
        for thread in self._threads:
            thread.join(CLOSE_LIMIT_S)

    def _refuse(self, tokens: int) -> None:
        if tokens > self._max_waiting_tokens:
            raise InvalidValue(
                f"the documents have {tokens} tokens, at most {self._max_waiting_tokens}",
                param="documents",
            )
        raise NoCapacity("the engine has too many tokens waiting", retry_after_s=1.0)

    def _run(self) -> None:
        own = threading.get_native_id()
        # only ever nicer: going back below what we were started with takes a privilege, and the
        # refusal would end this thread
        nice = max(_NICE, os.getpriority(os.PRIO_PROCESS, own))
        os.setpriority(os.PRIO_PROCESS, own, nice)
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._closing or self._backlog.tokens > 0)
                if self._closing:
                    return
                items = self._backlog.take(self._pass_tokens)
                windows = [self._jobs[item.job].windows[item.index] for item in items]
            try:
                embeddings = self._embed(windows)
            except Exception as error:  # noqa: BLE001 - the one broad catch of this thread
                self._give_up(items, error)
            else:
                self._deliver(items, embeddings)

    def _give_up(self, items: Sequence[Item], error: Exception) -> None:
        cause = f"{type(error).__name__}: {error}"
        _log.error("a forward pass of %d windows failed: %s", len(items), cause)
        with self._wake:
            for number in {item.job for item in items}:
                self._fail(number, EngineFailed("a forward pass failed"))
            self._failures += 1
            dead = self._failures == FAILED_PASSES
        if dead:
            self._dead(f"{FAILED_PASSES} forward passes failed in a row, the last with {cause}")

    def _deliver(self, items: Sequence[Item], embeddings: Embeddings) -> None:
        with self._wake:
            self._steps += 1
            self._failures = 0
            for item, embedding in zip(items, embeddings, strict=True):
                job = self._jobs.get(item.job)
                if job is None:  # cancelled meanwhile
                    continue
                job.embeddings[item.index] = embedding
                job.remaining -= 1
                if job.remaining == 0:
                    job.loop.call_soon_threadsafe(_resolve, job.done, job.embeddings)

    def _fail(self, number: int, error: Exception) -> None:
        self._backlog.drop(number)
        job = self._jobs.pop(number, None)
        if job is not None:
            job.loop.call_soon_threadsafe(_reject, job.done, error)


def _resolve(done: asyncio.Future[Embeddings], embeddings: Embeddings) -> None:
    if not done.done():
        done.set_result(embeddings)


def _reject(done: asyncio.Future[Embeddings], error: Exception) -> None:
    if not done.done():
        done.set_exception(error)
