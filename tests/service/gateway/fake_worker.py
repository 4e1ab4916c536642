"""A worker made of nothing but its contract: real HTTP on loopback, a real manifest, no engine."""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from aiohttp import web

from service.embedding import Vector, pack
from service.manifest import (
    Manifest,
    Verdict,
    WorkerState,
    replicas_dir,
    verdicts_dir,
    write_json,
    write_manifest,
)

Answer = Callable[["FakeWorker", dict], Awaitable[web.StreamResponse]]


def logit_of(document: str) -> float:
    """Any fixed function of the text: tests order by it."""
    return float(len(document) % 11) - 5.0


async def scores(worker: FakeWorker, job: dict) -> web.StreamResponse:
    return web.json_response(
        {
            "scores": [
                {"logit": logit_of(document), "tokens": 3 + len(document) // 4}
                for document in job["documents"]
            ],
            "queue_s": 0.001,
            "score_s": 0.002,
        }
    )


def vector_of(text: str) -> Vector:
    """Any fixed function of the text: two numbers, a token a letter."""
    angle = (len(text) % 90) / 57.3
    return Vector(pack([math.cos(angle), math.sin(angle)]), len(text), text.endswith("…"))


async def vectors(worker: FakeWorker, job: dict) -> web.StreamResponse:
    found = [vector_of(text).to_json() for text in job["texts"]]
    body = {"vectors": found, "space": worker.manifest.fingerprint, "score_s": 0.002}
    return web.json_response(body)


def error(status: int, message: str, param: str | None = None) -> Answer:
    async def answer(worker: FakeWorker, job: dict) -> web.StreamResponse:
        body = {"error": {"message": message, "type": "x", "param": param, "code": "x"}}
        return web.json_response(body, status=status)

    return answer


async def hang(worker: FakeWorker, job: dict) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError


async def drop(worker: FakeWorker, job: dict) -> web.StreamResponse:
    """Close the connection without an answer, as a killed process does."""
    worker.request.transport.abort()
    return web.Response()


class FakeWorker:
    """One replica; `answer` may be exchanged at any time."""

    def __init__(self, state_dir: Path, name: str = "replica-0", generation: int = 1) -> None:
        self.state_dir = state_dir
        self.manifest = Manifest(
            id=name,
            generation=generation,
            pid=os.getpid(),
            started_ticks=generation,
            boot_id="b",
            url="",
            engine="fake",
            model="fake-reranker",
            fingerprint="f1",
            state=WorkerState.READY,
        )
        self.answer: Answer = scores
        self.answer_embed: Answer = vectors
        self.jobs: list[dict] = []
        self.cancelled = 0
        self._runner: web.AppRunner | None = None

    async def start(self, **changes: object) -> FakeWorker:
        app = web.Application(client_max_size=2**30)
        app.router.add_post("/score", self._score)
        app.router.add_post("/embed", self._embed)
        app.router.add_get("/livez", self._livez)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        self.manifest = replace(self.manifest, url=f"http://127.0.0.1:{port}", **changes)
        self.publish()
        return self

    def publish(self, **changes: object) -> None:
        self.manifest = replace(self.manifest, **changes)
        write_manifest(self.state_dir, self.manifest)

    def judge(self, *, routable: bool, reason: str = "healthy") -> None:
        verdict = Verdict(self.manifest.generation, routable, reason)
        write_json(
            verdicts_dir(self.state_dir) / f"{self.manifest.id}.json",
            {
                "generation": verdict.generation,
                "routable": verdict.routable,
                "reason": verdict.reason,
            },
        )

    def forget(self) -> None:
        (replicas_dir(self.state_dir) / f"{self.manifest.id}.json").unlink(missing_ok=True)

    async def stop(self) -> None:
        """Close the port and every connection, as the kernel does for a killed process."""
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()

    @property
    def documents(self) -> list[str]:
        return [document for job in self.jobs for document in job["documents"]]

    async def _livez(self, _: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def _embed(self, request: web.Request) -> web.StreamResponse:
        job = await request.json()
        self.jobs.append(job)
        self.request = request
        return await self.answer_embed(self, job)

    async def _score(self, request: web.Request) -> web.StreamResponse:
        job = await request.json()
        self.jobs.append(job)
        self.request = request
        try:
            return await self.answer(self, job)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
