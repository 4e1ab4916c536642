"""What the worker asks of an engine: a Protocol and its value types. Knows no library."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from service.embedding import Embedded, EmbedJob
from service.request import Score, ScoreJob


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What an engine is, once started.

    Attributes:
        kind: vllm, embedded, remote or scripted.
        model: the name that clients see in `/v1/models`.
        max_tokens: the longest input in tokens, prompt included.
        fingerprint: equal for two engines whose scores are comparable (weights, dtype, prompt).
        notice: a sentence for log, `/v1/models` and status page when users should know more.
    """

    kind: str
    model: str
    max_tokens: int
    fingerprint: str
    notice: str = ""


@dataclass(frozen=True, slots=True)
class LoadStep:
    """How far a start is: `phase` in words, `done` from 0 to 1 or None when unknown."""

    phase: str
    done: float | None = None


class EngineStartError(Exception):
    """The engine cannot start.

    Attributes:
        permanent: starting again changes nothing (missing files, bad arguments).
    """

    def __init__(self, message: str, *, permanent: bool) -> None:
        super().__init__(message)
        self.permanent = permanent


class EngineDeadError(Exception):
    """The engine died under the worker; the worker must end."""


async def dies_with_the_worker() -> str:
    """`Engine.died` of an engine that lives in the worker's own process: waits until cancelled."""
    await asyncio.get_running_loop().create_future()
    raise AssertionError  # pragma: no cover - the future is never done


class Engine(Protocol):
    """One loaded model.

    `score` may be called many times at once and may be cancelled: cancelling gives the work up in
    the engine too. It returns one `Score` per document, in order, and raises `EngineDeadError`
    when the engine is gone, `service.errors.ServiceError` for a request that it refuses.
    """

    async def start(self, report: Callable[[LoadStep], None]) -> EngineInfo:
        """Load; `report` is called as loading goes on, from any thread.

        Raises:
            EngineStartError: it cannot start.
        """
        ...

    async def score(self, job: ScoreJob) -> Sequence[Score]: ...

    def steps(self) -> int:
        """Forward passes done so far: moves while the engine makes progress, whoever asked."""
        ...

    def prefix_cache(self) -> tuple[int, int]:
        """Prompt tokens looked up in a prefix cache so far, and those found; zeros without one."""
        ...

    async def died(self) -> str:
        """Wait until the engine dies by itself; return the one-line cause."""
        ...

    async def close(self) -> None:
        """Give everything back; safe to call twice, and before `start` ended."""
        ...


@runtime_checkable
class Embedder(Protocol):
    """What an engine can do beside `Engine` when its model makes embeddings."""

    async def embed(self, job: EmbedJob) -> Embedded:
        """The texts' vectors, in order; may be cancelled, as `Engine.score` may.

        Raises:
            EngineDeadError: the engine is gone.
            InvalidValue: the loaded model makes no embeddings, or refuses a text (`texts[3]`).
            EngineFailed: a vector is none.
        """
        ...
