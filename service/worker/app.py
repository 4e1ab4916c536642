"""The worker: a small HTTP app on loopback around one engine, and the order in which it lives.

Builds the engine; knows no library of any engine.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import logging
import os
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar

import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.embedding import Embedded, EmbedJob, cannot_embed
from service.errors import (
    DeadlineExceeded,
    EngineFailed,
    Malformed,
    NoCapacity,
    ServiceError,
    error_body,
    status_of,
)
from service.manifest import Manifest, WorkerState, remove_manifest
from service.process import boot_id, started_ticks
from service.request import Score, ScoreJob
from service.serving import (
    Listener,
    bind,
    exit_within_grace,
    freeze_heap,
    stop_event,
    url_of,
)
from service.settings import EngineSettings, ServiceSettings
from service.worker.engine import (
    Embedder,
    Engine,
    EngineDeadError,
    EngineInfo,
    EngineStartError,
    LoadStep,
)
from service.worker.guardian import Guardian
from service.worker.ledger import Ledger
from service.worker.publisher import Publisher
from service.worker.select import build_engine

EXIT_DRAINED = 0
EXIT_ENGINE_DIED = 70  # EX_SOFTWARE
EXIT_START_FAILED = 75  # EX_TEMPFAIL: another try may work
EXIT_START_FAILED_FOR_GOOD = 78  # EX_CONFIG

log = logging.getLogger("rankguard.worker")

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this worker is; given by the watchdog, or by hand."""

    id: str = "replica-0"
    generation: int = 1
    watched: bool = False
    gpu_uuid: str | None = None


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


def create_app(worker: Worker) -> Starlette:
    """The worker's HTTP app; docs/architecture.md holds its contract."""

    async def score(request: Request) -> Response:
        async def work() -> object:
            job = ScoreJob.from_json(_parse(await request.body()))
            scores, seconds = await _unless_gone(request, worker.score(job))
            return {"scores": [item.to_json() for item in scores], "score_s": round(seconds, 6)}

        return await _answered(work())

    async def embed(request: Request) -> Response:
        async def work() -> object:
            job = EmbedJob.from_json(_parse(await request.body()))
            embedded, seconds = await _unless_gone(request, worker.embed(job))
            vectors = [item.to_json() for item in embedded.vectors]
            return {"vectors": vectors, "space": embedded.space, "score_s": round(seconds, 6)}

        return await _answered(work())

    async def progress(_: Request) -> Response:
        return _json(worker.progress())

    async def livez(_: Request) -> Response:
        return Response("ok\n", media_type="text/plain")

    return Starlette(
        routes=[
            Route("/score", score, methods=["POST"]),
            Route("/embed", embed, methods=["POST"]),
            Route("/progress", progress),
            Route("/livez", livez),
        ]
    )


async def _answered(work: Awaitable[object]) -> Response:
    try:
        return _json(await work)
    except ServiceError as error:
        return _error(error)
    except Exception as error:
        log.exception("the engine failed on a job")
        return _error(EngineFailed(f"the engine failed: {type(error).__name__}"))


async def _unless_gone(request: Request, work: Awaitable[_T]) -> _T:
    """Do the work, and give it up when the caller hangs up."""
    doing = asyncio.ensure_future(work)
    hung_up = asyncio.ensure_future(_hung_up(request))
    try:
        await asyncio.wait({doing, hung_up}, return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            raise DeadlineExceeded("the caller hung up")
        return doing.result()
    finally:
        for task in (doing, hung_up):
            task.cancel()
        await asyncio.gather(doing, hung_up, return_exceptions=True)


async def _hung_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _parse(body: bytes) -> object:
    try:
        return json.loads(body)
    except ValueError as error:
        raise Malformed(f"the body is not JSON: {error}") from error


def _json(body: object, status: int = 200) -> Response:
    return Response(json.dumps(body), status_code=status, media_type="application/json")


def _error(error: ServiceError) -> Response:
    response = _json(error_body(error), status_of(error).value)
    if error.retry_after_s is not None:
        response.headers["Retry-After"] = str(max(1, round(error.retry_after_s)))
    return response


async def serve(settings: ServiceSettings, engine: EngineSettings, identity: Identity) -> int:
    """Live from start to drain; returns the exit code."""
    last = await live(settings, engine, identity, stop_event())
    if last.exit_code is None:
        return exit_within_grace(EXIT_DRAINED)
    log.error("%s", last.reason)
    return exit_within_grace(last.exit_code)


async def live(
    settings: ServiceSettings,
    engine: EngineSettings,
    identity: Identity,
    stopping: asyncio.Event,
    began: Callable[[Worker, Starlette], None] = lambda _worker, _app: None,
) -> Manifest:
    """Start, serve on loopback, and drain when told to stop; returns the last manifest.

    Its `exit_code` is set when the engine did not start, or died.

    Args:
        began: gets the worker and its app before the engine loads, to reach them without HTTP.
    """
    listener = bind("127.0.0.1", 0)
    manifest = Manifest(
        id=identity.id,
        generation=identity.generation,
        pid=os.getpid(),
        started_ticks=started_ticks(os.getpid()) or 0,
        boot_id=boot_id(),
        url=url_of(listener),
        engine=engine.kind,
        model=engine.served_name or engine.model,
        gpu_uuid=identity.gpu_uuid,
        watched=identity.watched,
    )
    worker = Worker(build_engine(engine), manifest)
    publisher = Publisher(settings.state_dir)
    publisher.publish(manifest)
    app = create_app(worker)
    began(worker, app)
    http = Listener(app, listener)
    try:
        await _live(worker, settings, publisher, stopping)
    finally:
        await http.stop(grace_s=2.0)
        with contextlib.suppress(asyncio.TimeoutError, TimeoutError):
            await asyncio.wait_for(worker.engine.close(), settings.drain_timeout_s + 5.0)
        await publisher.close()
    if worker.manifest.exit_code is None:
        remove_manifest(settings.state_dir, worker.manifest)
    return worker.manifest


async def _live(
    worker: Worker, settings: ServiceSettings, publisher: Publisher, stopping: asyncio.Event
) -> None:
    """Load, serve, and drain: each step ends early when the process is told to stop."""
    stop = asyncio.create_task(stopping.wait())
    load = asyncio.create_task(_load(worker, publisher))
    dead = asyncio.create_task(worker.dead.wait())
    death = asyncio.create_task(_watch_engine(worker, load))
    tasks = {stop, load, dead, death}
    try:
        await asyncio.wait({stop, load}, return_when=asyncio.FIRST_COMPLETED)
        if load.done():
            load.result()
            await asyncio.wait({stop, dead}, return_when=asyncio.FIRST_COMPLETED)
        if worker.dead.is_set():
            publisher.publish(worker.manifest)
            return
        worker.drain()
        publisher.publish(worker.manifest)
        log.info("draining")
        drained = await worker.ledger.wait_idle(settings.drain_timeout_s)
        log.info("drained" if drained else "the drain ran out of time")
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _load(worker: Worker, publisher: Publisher) -> None:
    try:
        info = await worker.engine.start(worker.report)
    except EngineStartError as error:
        code = EXIT_START_FAILED_FOR_GOOD if error.permanent else EXIT_START_FAILED
        worker.fail(str(error), code)
        return
    except Exception as error:  # an engine's library may raise anything; the cause must be told
        log.exception("the engine did not start")
        worker.fail(f"the engine did not start: {error!r}", EXIT_START_FAILED)
        return
    freeze_heap()
    worker.ready(info)
    publisher.publish(worker.manifest)
    log.info("ready: %s engine, model %s", info.kind, info.model)
    if info.notice:
        log.warning("%s", info.notice)


async def _watch_engine(worker: Worker, load: asyncio.Task[None]) -> None:
    await asyncio.wait({load})
    if worker.info is None:
        return
    worker.fail(await worker.engine.died(), EXIT_ENGINE_DIED)


def run(settings: ServiceSettings, engine: EngineSettings, identity: Identity) -> int:
    """Run one worker until it is told to stop; returns the process's exit code."""
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stderr,
        format=f"%(asctime)s %(levelname)s {identity.id}/{identity.generation} %(message)s",
    )
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    guardian = Guardian.start()
    try:
        return uvloop.run(serve(settings, engine, identity))
    finally:
        guardian.dismiss()
