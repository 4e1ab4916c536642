"""The engine as a Serve deployment: a worker that lives in a Ray actor.

It is the same worker: it writes its manifest and answers on loopback, so that the host's watchdog
sees it; but its work comes through the deployment's handle.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import os
import platform
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import ray
from ray import serve
from starlette.applications import Starlette

from deploy.ray.canary import run_canary
from deploy.ray.card import card_of
from deploy.ray.checkup import Checkup, Finding, conclude
from deploy.ray.inward import post
from deploy.ray.link import address, described
from deploy.ray.meter import Meter
from deploy.ray.scaling import Loads
from deploy.ray.settings import on_this_host
from deploy.ray.slot import claim
from monitor.model import CanaryOutcome, Reason
from monitor.probes.canary import judge
from monitor.scaling import Load
from service.errors import NoCapacity, error_body, status_of
from service.manifest import Manifest, Verdict, WorkerState, read_manifest, replicas_dir
from service.worker.app import Identity, live
from service.worker.guardian import Guardian
from service.worker.worker import EXIT_ENGINE_DIED, Worker

LOOK_S = 0.05
AGAIN_S = 0.5
"""Between a canary that failed and the one that confirms it."""

log = logging.getLogger("rankguard.worker")


class DidNotStart(Exception):
    """The engine did not start; Serve tries again."""


class Unhealthy(Exception):
    """The replica is condemned; Serve replaces it."""


class EngineReplica:
    """One replica of the engine."""

    async def __init__(  # type: ignore[misc]  # Serve awaits it
        self, args: Mapping[str, Any]
    ) -> None:
        """Load the engine; the replica takes work when this returned and a canary passed.

        Raises:
            DidNotStart: it cannot; the manifest says why, too.
        """
        self._config = on_this_host(args)
        self._serve_id = serve.get_replica_context().replica_id.unique_id
        self._node = ray.get_runtime_context().get_node_id()
        state_dir = self._config.service.state_dir
        self._slot = claim(state_dir)
        before = read_manifest(replicas_dir(state_dir) / f"{self._slot.id}.json")
        identity = Identity(
            id=self._slot.id,
            generation=1 if before is None else before.generation + 1,
            gpu_uuid=card_of(os.environ),
        )
        self._verdict = Verdict(identity.generation, routable=False, reason="awaiting_canary")
        self._loads = Loads()
        self._moved_at = time.monotonic()
        self._baseline: dict[str, tuple[float, ...]] | None = None
        self._stopping = asyncio.Event()
        with contextlib.suppress(PermissionError):  # it leads a group already
            os.setsid()  # the host's watchdog knows a replica's processes by their session
        self._guardian = Guardian.start()
        self._life = asyncio.create_task(
            live(self._config.service, self._config.engine, identity, self._stopping, self._began)
        )
        await self._until_ready()
        self._life.add_done_callback(_end)

    def _began(self, worker: Worker, app: Starlette) -> None:
        self._worker, self._app = worker, app

    async def _until_ready(self) -> None:
        await asyncio.sleep(0)
        while not self._life.done():
            if self._worker.manifest.state is WorkerState.READY:
                return
            await asyncio.sleep(LOOK_S)
        manifest = self._life.result()
        self._guardian.dismiss()
        raise DidNotStart(manifest.reason)

    async def answer(self, path: str, body: bytes, to: str = "") -> tuple[int, bytes]:
        """What the worker's HTTP app answers.

        Args:
            to: `Serve id/fingerprint` of the replica that was meant. When that one is gone Serve
                picks another, which answers only if it gives the same scores.
        """
        meant, _, mark = to.partition("/")
        if meant and meant != self._serve_id and mark != mark_of(self._worker.manifest):
            error = NoCapacity("another version of the model runs here", retry_after_s=1.0)
            return status_of(error).value, json.dumps(error_body(error)).encode()
        return await post(self._app, path, body)

    async def describe(self, gateway: str, queued_tokens: float, p95_s: float | None) -> str:
        """The manifest as the gateway is to see it, and whether the last canary passed.

        Args:
            gateway: who asks; `queued_tokens` wait there, and `p95_s` is its latency.
        """
        self._loads.told(gateway, Load(queued_tokens, p95_s))
        manifest = self._worker.manifest
        seen = replace(
            manifest,
            id=f"{manifest.id}@{platform.node()}",
            url=address(self._node, self._serve_id, mark_of(manifest)),
        )
        return described(seen, self._verdict)

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """What `deploy.ray.scaling.Resize` decides by."""
        return self._loads.report()

    async def check_health(self) -> None:
        """A canary through the real scoring path; a bad one is confirmed before it condemns.

        The gateway sends nothing after the first bad one.

        Raises:
            Unhealthy: two in a row were bad, or the engine died.
        """
        if self._life.done() or self._worker.manifest.state is WorkerState.FAILED:
            raise Unhealthy(self._worker.manifest.reason)
        checkup = await self._check()
        if checkup.is_bad:
            self._judge(routable=False, reason=checkup.reason)
            await asyncio.sleep(AGAIN_S)
            checkup = await self._check()
        if checkup.is_bad:
            cause = f"{checkup.finding.value}: {checkup.reason.value} {checkup.detail}".strip()
            log.error("condemned: %s", cause)
            self._worker.fail(cause, EXIT_ENGINE_DIED)  # its process ends, Serve starts another
            raise Unhealthy(cause)
        if checkup.finding is Finding.PASSED or self._verdict.reason != "awaiting_canary":
            self._judge(routable=True, reason=checkup.reason)

    async def _check(self) -> Checkup:
        settings = self._config.monitor
        if settings.canary == "off":
            return Checkup(Finding.PASSED, Reason.HEALTHY)
        meter = Meter(self._worker, self._moved_at)
        result = await run_canary(self._worker, settings.canary_timeout_s)
        pace, self._moved_at = meter.pace()
        judged = judge(result, self._baseline, settings.canary_limits())
        if judged.outcome is CanaryOutcome.PASSED and self._baseline is None:
            self._baseline = dict(judged.logits)
        return conclude(judged, pace, settings.health_limits())

    def _judge(self, *, routable: bool, reason: Reason) -> None:
        self._verdict = Verdict(self._verdict.generation, routable, reason.value)

    async def __del__(self) -> None:
        """Serve calls this when the replica is to end in order and its calls are answered."""
        self._stopping.set()
        self._life.remove_done_callback(_end)
        await asyncio.gather(self._life, return_exceptions=True)
        self._guardian.dismiss()
        self._slot.release()


def mark_of(manifest: Manifest) -> str:
    """A short name of the fingerprint that can stand in an address."""
    return hashlib.sha256(manifest.fingerprint.encode()).hexdigest()[:12]


def _end(life: asyncio.Task[Manifest]) -> None:
    """The engine ended by itself: so does the process, and Serve starts another one at once."""
    code = None if life.cancelled() or life.exception() else life.result().exit_code
    os._exit(EXIT_ENGINE_DIED if code is None else code)
