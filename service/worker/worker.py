"""One engine and what is known of it: its state, its load, its jobs. Serves nothing itself."""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, replace
from typing import Any, TypeVar

from service.embedding import Embedded, EmbedJob, cannot_embed
from service.errors import DeadlineExceeded, EngineFailed, NoCapacity
from service.manifest import Manifest, WorkerState
from service.request import Score, ScoreJob
from service.worker.engine import Embedder, Engine, EngineDeadError, EngineInfo, LoadStep
from service.worker.ledger import Ledger

EXIT_DRAINED = 0
EXIT_ENGINE_DIED = 70  # EX_SOFTWARE
EXIT_START_FAILED = 75  # EX_TEMPFAIL: another try may work
EXIT_START_FAILED_FOR_GOOD = 78  # EX_CONFIG

log = logging.getLogger("rankguard.worker")

_T = TypeVar("_T")


class Worker:
    """One engine and what is known of it: state, load step, jobs."""

    def __init__(
        self, engine: Engine, manifest: Manifest, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.engine = engine
        self.manifest = manifest
        self.ledger = Ledger(clock)
        self.info: EngineInfo | None = None
        self.dead = asyncio.Event()
        self._load_step: LoadStep | None = LoadStep("starting")
        self._clock = clock
        self._born = clock()

    def report(self, step: LoadStep) -> None:
        self._load_step = step
        log.info("loading: %s%s", step.phase, "" if step.done is None else f" {step.done:.0%}")

    def ready(self, info: EngineInfo) -> None:
        self.info = info
        self._load_step = None
        self.manifest = replace(
            self.manifest,
            state=WorkerState.READY,
            engine=info.kind,
            model=info.model,
            fingerprint=info.fingerprint,
            notice=info.notice,
            reason="ready",
        )

    def fail(self, cause: str, exit_code: int) -> None:
        self.manifest = replace(
            self.manifest, state=WorkerState.FAILED, reason=cause, exit_code=exit_code
        )
        self.dead.set()

    def drain(self) -> None:
        self.manifest = replace(self.manifest, state=WorkerState.DRAINING, reason="draining")

    async def score(self, job: ScoreJob) -> tuple[Sequence[Score], float]:
        """The scores and the seconds they took.

        Raises:
            NoCapacity: not ready. DeadlineExceeded: `timeout_s` is over. EngineFailed.
        """
        work = functools.partial(self.engine.score, job)
        scores, seconds = await self._timed(
            work, "scored", count=len(job.documents), timeout_s=job.timeout_s, canary=job.canary
        )
        if not job.canary:
            self.ledger.note_unscored(sum(score.error is not None for score in scores))
        return scores, seconds

    async def embed(self, job: EmbedJob) -> tuple[Embedded, float]:
        """The vectors and the seconds they took.

        Raises:
            InvalidValue: the engine makes no embeddings. The others as in `score`.
        """
        engine = self.engine
        if not isinstance(engine, Embedder):
            raise cannot_embed(self.manifest.model)
        work = functools.partial(engine.embed, job)
        return await self._timed(
            work, "embedded", count=len(job.texts), timeout_s=job.timeout_s, canary=False
        )

    async def _timed(
        self,
        work: Callable[[], Awaitable[_T]],
        done: str,
        *,
        count: int,
        timeout_s: float,
        canary: bool,
    ) -> tuple[_T, float]:
        if self.manifest.state is not WorkerState.READY:
            raise NoCapacity(f"this replica is {self.manifest.state.value}", retry_after_s=1.0)
        began = self._clock()
        try:
            with self.ledger.job(count, canary=canary):
                result = await asyncio.wait_for(work(), timeout_s)
        except (asyncio.TimeoutError, TimeoutError):
            raise DeadlineExceeded(f"not {done} within {timeout_s:g} s") from None
        except EngineDeadError as error:
            self.fail(str(error), EXIT_ENGINE_DIED)
            raise EngineFailed(f"the engine died: {error}") from error
        return result, self._clock() - began

    def progress(self) -> dict[str, Any]:
        """The body of `GET /progress`; its fields are listed in docs/architecture.md."""
        manifest = self.manifest
        looked_up, found = self.engine.prefix_cache()
        return {
            "id": manifest.id,
            "generation": manifest.generation,
            "pid": manifest.pid,
            "state": manifest.state.value,
            "reason": manifest.reason,
            "engine": manifest.engine,
            "model": manifest.model,
            "max_tokens": self.info.max_tokens if self.info else 0,
            "fingerprint": manifest.fingerprint,
            "notice": manifest.notice,
            "uptime_s": self._clock() - self._born,
            "steps": self.engine.steps(),
            "prefix_looked_up": looked_up,
            "prefix_found": found,
            "loading": asdict(self._load_step) if self._load_step else None,
            **asdict(self.ledger.progress()),
        }
