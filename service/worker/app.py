"""The worker as a process: the order in which it lives, around one engine on loopback.

Builds the engine; knows no library of any engine.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass

import uvloop
from starlette.applications import Starlette

from service.manifest import Manifest, remove_manifest
from service.process import boot_id, started_ticks
from service.serving import (
    Listener,
    bind,
    exit_within_grace,
    freeze_heap,
    stop_event,
    url_of,
)
from service.settings import EngineSettings, ServiceSettings
from service.worker.engine import EngineStartError
from service.worker.guardian import Guardian
from service.worker.publisher import Publisher
from service.worker.routes import create_app
from service.worker.select import build_engine
from service.worker.worker import (
    EXIT_DRAINED,
    EXIT_ENGINE_DIED,
    EXIT_START_FAILED,
    EXIT_START_FAILED_FOR_GOOD,
    Worker,
)

log = logging.getLogger("rankguard.worker")


@dataclass(frozen=True, slots=True)
class Identity:
    """Who this worker is; given by the watchdog, or by hand."""

    id: str = "replica-0"
    generation: int = 1
    watched: bool = False
    gpu_uuid: str | None = None


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
