from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from prometheus_client import CollectorRegistry

from service import serving
from service.gateway import process
from service.gateway.app import create_app, parts_of
from service.settings import EngineSettings, ServiceSettings
from tests.service.gateway.fake_worker import FakeWorker, scores


class Gateway:
    """A real gateway on a real port, in the test's own event loop."""

    def __init__(self, settings: ServiceSettings, engine: EngineSettings) -> None:
        self.registry = CollectorRegistry()
        self.app = create_app(settings, engine, registry=self.registry)
        self.listener = serving.bind("127.0.0.1", 0)
        self.url = serving.url_of(self.listener)
        self.port = self.listener.getsockname()[1]
        self.settings = settings
        self.stopping = asyncio.Event()
        self.client = aiohttp.ClientSession()

    async def start(self) -> Gateway:
        self.task = asyncio.create_task(
            process.serve(
                self.app,
                self.listener,
                lambda: parts_of(self.app).endpoint,
                drain_timeout_s=self.settings.drain_timeout_s,
                head_timeout_s=self.settings.body_timeout_s,
                stop=self.stopping,
            )
        )
        while (await self.get("/livez")).status != 200:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        return self

    async def stop(self) -> None:
        await self.client.close()
        self.stopping.set()
        await self.task

    async def until_ready(self, count: int = 1) -> None:
        replicas = parts_of(self.app).replicas
        while len(replicas.routable()) != count:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    async def post(self, body: object = None, path: str = "/v1/rerank", **more: object) -> Reply:
        if body is not None:
            more["data"] = io.BytesIO(json.dumps(body).encode())
            more["headers"] = {"content-type": "application/json", **more.get("headers", {})}
        async with self.client.post(self.url + path, **more) as answer:
            return Reply(answer.status, await answer.json(), answer.headers)

    async def get(self, path: str, **more: object) -> Reply:
        async with self.client.get(self.url + path, **more) as answer:
            text = await answer.text()
            body = await answer.json() if "json" in answer.content_type else None
            return Reply(answer.status, body, answer.headers, text)

    def metric(self, name: str, **labels: str) -> float:
        value = self.registry.get_sample_value(name, labels)
        assert value is not None, name
        return value


class Reply:
    def __init__(self, status: int, body: object, headers: object, text: str = "") -> None:
        self.status, self.body, self.headers, self.text = status, body, headers, text

    @property
    def error(self) -> dict:
        assert set(self.body["error"]) == {"message", "type", "param", "code"}, self.body
        return self.body["error"]


@pytest.fixture
async def worker(tmp_path: Path) -> AsyncIterator[FakeWorker]:
    one = await FakeWorker(tmp_path).start()
    yield one
    await one.stop()


@pytest.fixture
async def second(tmp_path: Path) -> AsyncIterator[FakeWorker]:
    one = await FakeWorker(tmp_path, "replica-1").start()
    yield one
    await one.stop()


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Callable]:
    """Starts a gateway with the given settings on the test's state directory."""
    started: list[Gateway] = []

    async def begin(engine: EngineSettings | None = None, **settings: object) -> Gateway:
        gateway = Gateway(
            ServiceSettings(state_dir=tmp_path, **settings), engine or EngineSettings()
        )
        started.append(gateway)
        return await gateway.start()

    yield begin
    for gateway in started:
        await gateway.stop()


@pytest.fixture
async def gateway(start: Callable, worker: FakeWorker) -> Gateway:
    """A gateway with one ready replica."""
    one = await start()
    await one.until_ready()
    return one


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def _module_pair(tmp_path_factory):
    state_dir = tmp_path_factory.mktemp("state")
    worker = await FakeWorker(state_dir).start()
    settings = ServiceSettings(state_dir=state_dir, cache_bytes=0)
    gateway = await Gateway(settings, EngineSettings()).start()
    await gateway.until_ready()
    yield gateway, worker
    await gateway.stop()
    await worker.stop()


@pytest.fixture
def one_for_all(_module_pair):
    """One gateway and worker for all tests of a module, whose loop scope is the module then."""
    gateway, worker = _module_pair
    worker.answer = scores
    worker.jobs.clear()
    return gateway, worker
