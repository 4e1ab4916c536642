"""The way of one chunk: leased, sent, hedged once when late, sent again when its replica fails.

Ends with scores, with the caller's own error, or with the deadline.
"""

from __future__ import annotations

import asyncio
import collections
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Generic, Protocol, TypeVar

from service.embedding import EmbedJob
from service.errors import (
    DeadlineExceeded,
    EngineFailed,
    InvalidValue,
    NoCapacity,
    ServiceError,
)
from service.gateway import routing
from service.gateway.quarantine import Standing
from service.gateway.replica import Replica
from service.gateway.replicas import Lease, NoReplica, Replicas
from service.gateway.routing import Failure, Why
from service.gateway.suspects import Suspects
from service.gateway.transport import ReplicaFailed
from service.metrics import GatewayMetrics
from service.request import ScoreJob

MAX_LOST = 6
"""Broken connections after which a chunk is given up; for what ends engines see quarantine.py."""

MAX_ERRORS = 5
"""Error answers after which a chunk is given up."""

HEDGE_SHARE = 0.1
HEDGE_BURST = 16.0
"""At most one chunk in ten is hedged in the long run, sixteen at once."""

RECENT = 128
"""Chunks whose latency tells what is late."""


class Timed(Protocol):
    """A replica's answer, and where the time went in seconds."""

    @property
    def queue_s(self) -> float: ...

    @property
    def score_s(self) -> float: ...


_JobT = TypeVar("_JobT", ScoreJob, EmbedJob)
_AnswerT = TypeVar("_AnswerT", bound=Timed)


@dataclass(frozen=True, slots=True)
class Done(Generic[_AnswerT]):
    """A chunk's answer and how it came about; times in seconds."""

    answer: _AnswerT
    replica: str
    fingerprint: str
    model: str
    queue_s: float
    score_s: float


class Latency:
    """What recent chunks took, in seconds per token that was ahead of them."""

    def __init__(self) -> None:
        self._recent: collections.deque[float] = collections.deque(maxlen=RECENT)

    def add(self, seconds: float, tokens_ahead: int) -> None:
        self._recent.append(seconds / max(1, tokens_ahead))

    def late_after(self, tokens_ahead: int) -> float:
        return routing.hedge_after(self._recent, tokens_ahead)


class Dispatcher(Generic[_JobT, _AnswerT]):
    """Sends chunks of one kind to replicas until they are answered or their time is over."""

    def __init__(
        self,
        replicas: Replicas,
        send: Callable[[str, _JobT], Awaitable[_AnswerT]],
        metrics: GatewayMetrics,
        *,
        hedge: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make one.

        Args:
            send: one chunk to the replica at a URL; `Transport.score`, or what raises as it does.
        """
        self._replicas = replicas
        self._send: Callable[[str, _JobT], Awaitable[_AnswerT]] = send
        self._metrics = metrics
        self._hedge = hedge
        self._clock = clock
        self._latency = Latency()
        self._hedges = HEDGE_BURST
        self._suspects = Suspects(replicas, metrics.poison, clock)

    async def answer(self, job: _JobT, *, tokens: int, deadline: float) -> Done[_AnswerT]:
        """The chunk's answer.

        Args:
            job: its `timeout_s` is set anew at every try.
            tokens: its estimated cost.
            deadline: monotonic seconds.

        Raises:
            NoCapacity: no replica was there for it before the deadline.
            DeadlineExceeded: replicas were there, and did not answer before the deadline.
            EngineFailed: replicas kept failing on it.
            InvalidValue: the engine refuses it.
            PoisonRequest: engines ended while they worked on it.
        """
        began = self._clock()
        tries = _Tries()
        while True:
            standing = await self._suspects.admit(job, deadline)
            if self._clock() >= deadline:
                raise self._out_of_time(Why.ALL_FULL, deadline - began, tries)
            async with self._suspects.lane(standing):
                try:
                    lease = await self._replicas.lease(
                        tokens,
                        deadline=deadline,
                        avoid=tries.failed_on,
                        alone=standing is Standing.ALONE,
                    )
                except NoReplica as none:
                    raise self._out_of_time(none.why, deadline - began, tries) from None
                if self._suspects.standing(job) is not standing:
                    lease.release()  # something ended while it waited
                    continue
                waited_s = self._clock() - began
                hedge = self._hedge and standing is Standing.FREE
                try:
                    done = await self._on_replica(lease, job, tokens, deadline, hedge=hedge)
                except ReplicaFailed as failed:
                    self._metrics.retries.labels(failed.failure.value).inc()
                    self._give_up_if_hopeless(tries.after(failed, lease.replica.key))
                    await self._pause(failed, tries, deadline)
                else:
                    return replace(done, queue_s=done.queue_s + waited_s)

    def _out_of_time(self, why: Why, seconds: float, tries: _Tries) -> ServiceError:
        if why in (Why.NONE_READY, Why.ALL_EJECTED):
            reason = self._replicas.not_ready_reason() or tries.last or "replicas keep failing"
            return NoCapacity(f"no replica within {seconds:.0f} s: {reason}", retry_after_s=1)
        return DeadlineExceeded(f"not scored within {seconds:.0f} s", retry_after_s=1)

    @staticmethod
    def _give_up_if_hopeless(tries: _Tries) -> None:
        if tries.lost >= MAX_LOST:
            raise EngineFailed(f"{tries.lost} connections broke while this request was scored")
        if tries.errors >= MAX_ERRORS:
            raise EngineFailed(f"the engine failed on this request: {tries.last}")

    async def _pause(self, failed: ReplicaFailed, tries: _Tries, deadline: float) -> None:
        if failed.failure in (Failure.ERROR, Failure.TIMEOUT):
            pause = routing.retry_pause(tries.errors)
            await asyncio.sleep(max(0.0, min(pause, deadline - self._clock())))

    async def _on_replica(
        self, lease: Lease, job: _JobT, tokens: int, deadline: float, *, hedge: bool
    ) -> Done[_AnswerT]:
        """Send it, and once more to another replica when it is late; the first answer wins."""
        late_after = self._latency.late_after(lease.replica.outstanding)
        tasks = {self._start(lease, job, deadline)}
        hedged = not hedge
        failure: ReplicaFailed | None = None
        try:
            while tasks:
                timeout = None if hedged else late_after
                finished, tasks = await asyncio.wait(
                    tasks, timeout=timeout, return_when=asyncio.FIRST_COMPLETED
                )
                if not finished:
                    self._replicas.stalled(lease.replica)
                    # where there is no other replica now, there may be one later
                    second = self._second(lease.replica, job, tokens, deadline)
                    tasks |= second
                    hedged = bool(second)
                for task in finished:
                    outcome = _outcome(task)
                    if isinstance(outcome, Done):
                        return outcome
                    failure = outcome
        finally:
            for task in tasks:
                task.cancel()
        assert failure is not None  # the loop ends only with a failure in hand
        raise failure

    def _second(
        self, first: Replica, job: _JobT, tokens: int, deadline: float
    ) -> set[asyncio.Task[Done[_AnswerT]]]:
        """The hedge, when there is another replica with room and the share is not used up."""
        if self._hedges < 1.0:
            return set()
        lease, _ = self._replicas.try_lease(tokens, avoid={first.key})
        if lease is None:
            return set()
        if lease.replica is first:
            lease.release()
            return set()
        self._hedges -= 1.0
        self._metrics.hedges.inc()
        return {self._start(lease, job, deadline)}

    def _start(self, lease: Lease, job: _JobT, deadline: float) -> asyncio.Task[Done[_AnswerT]]:
        """Send the chunk in a task of its own; the lease ends with the task, come what may."""
        task = asyncio.create_task(self._attempt(lease, job, deadline))
        lease.replica.work.add(task)

        def finish(ended: asyncio.Task[Done[_AnswerT]]) -> None:
            lease.replica.work.discard(ended)
            lease.release()
            if not ended.cancelled():
                ended.exception()  # a loser's failure is nobody's news

        task.add_done_callback(finish)
        return task

    async def _attempt(self, lease: Lease, job: _JobT, deadline: float) -> Done[_AnswerT]:
        replica, ahead, began = lease.replica, lease.replica.outstanding, self._clock()
        sent = replace(job, timeout_s=max(0.001, deadline - began))
        try:
            answer = await self._send(replica.manifest.url, sent)
        except ReplicaFailed as failed:
            if self._replicas.failed(replica, failed.failure):
                self._metrics.ejections.inc()
            if failed.failure is Failure.LOST:
                self._suspects.lost(lease, job)
            raise
        except asyncio.CancelledError:
            if replica.gone_at is not None:  # its connection did not break, and yet it ended
                self._suspects.lost(lease, job)
            raise
        except InvalidValue:
            self._replicas.succeeded(replica)
            raise
        self._replicas.succeeded(replica)
        self._suspects.scored(job)
        self._latency.add(self._clock() - began, ahead)
        self._hedges = min(HEDGE_BURST, self._hedges + HEDGE_SHARE)
        return _done(replica, answer)


@dataclass(slots=True)
class _Tries:
    """What was tried for one chunk so far."""

    lost: int = 0
    errors: int = 0
    last: str = ""
    failed_on: set[str] = field(default_factory=set)

    def after(self, failed: ReplicaFailed, key: str) -> _Tries:
        self.lost += failed.failure is Failure.LOST
        self.errors += failed.failure is Failure.ERROR
        self.last = failed.message
        self.failed_on.add(key)
        return self


def _done(replica: Replica, answer: _AnswerT) -> Done[_AnswerT]:
    return Done(
        answer=answer,
        replica=replica.id,
        fingerprint=replica.manifest.fingerprint,
        model=replica.manifest.model,
        queue_s=answer.queue_s,
        score_s=answer.score_s,
    )


def _outcome(task: asyncio.Task[Done[_AnswerT]]) -> Done[_AnswerT] | ReplicaFailed:
    """What a finished attempt says about the chunk.

    Raises:
        InvalidValue: the engine refused it: no other replica will do better.
    """
    if task.cancelled():
        return ReplicaFailed(Failure.LOST, "its worker is gone")
    error = task.exception()
    if error is None:
        return task.result()
    if isinstance(error, ReplicaFailed):
        return error
    raise error


_INDEX = re.compile(r"(documents|texts)\[(\d+)\]")


def renumber(error: InvalidValue, indexes: tuple[int, ...]) -> InvalidValue:
    """A worker's refusal of a chunk, in the numbers of the whole request."""

    def whole(match: re.Match[str]) -> str:
        name, place = match.group(1), int(match.group(2))
        return f"{name}[{indexes[place]}]" if place < len(indexes) else match.group(0)

    param = None if error.param is None else _INDEX.sub(whole, error.param)
    return error.reworded(_INDEX.sub(whole, error.message), param)
