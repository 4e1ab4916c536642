"""The gateway as a process: real signals, real exit codes."""

from __future__ import annotations

import asyncio
import json
import resource
import signal
import socket
import sys
from pathlib import Path

import aiohttp
import pytest

from tests.service.gateway import fake_worker

PROGRAM = """
import json, sys
from pathlib import Path
from service.gateway.app import run
from service.settings import EngineSettings, ServiceSettings
fields = json.loads(sys.argv[1])
sys.exit(run(ServiceSettings(**fields), EngineSettings()))
"""
START_S = 60.0  # importing the gateway takes ten on a machine with much else to do
ASK = {"query": "q", "documents": ["a"]}


class Running:
    def __init__(self, process: asyncio.subprocess.Process, url: str) -> None:
        self.process, self.url = process, url

    async def ended(self) -> tuple[int, str]:
        _, stderr = await asyncio.wait_for(self.process.communicate(), START_S)
        return self.process.returncode, stderr.decode()


async def launch(**settings: object) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        PROGRAM,
        json.dumps(settings, default=str),
        stderr=asyncio.subprocess.PIPE,
    )


@pytest.fixture
async def run(tmp_path):
    processes = []

    async def begin(**settings: object) -> Running:
        process = await launch(state_dir=tmp_path, port=0, **settings)
        processes.append(process)
        while True:
            line = json.loads(await asyncio.wait_for(process.stderr.readline(), START_S))
            if line["message"] == "listening":
                return Running(process, line["url"])

    yield begin
    for process in processes:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def until(condition) -> None:
    for _ in range(500):
        if await condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come to that")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_lets_requests_finish_and_ends_with_zero(run, worker, number):
    go = asyncio.Event()

    async def when_told(one, job):
        await go.wait()
        return await fake_worker.scores(one, job)

    worker.answer = when_told
    running = await run()
    async with aiohttp.ClientSession() as client:

        async def status(path: str) -> int:
            async with client.get(running.url + path) as answer:
                return answer.status

        async def ask() -> int:
            async with client.post(running.url + "/v1/rerank", json=ASK) as answer:
                await answer.read()
                return answer.status

        asked = asyncio.create_task(ask())

        async def in_flight() -> bool:
            return bool(worker.jobs)

        async def not_ready() -> bool:
            return await status("/readyz") == 503

        await until(in_flight)
        running.process.send_signal(number)
        await until(not_ready)
        assert await ask() == 503
        go.set()
        assert await asked == 200
    code, log = await running.ended()
    assert code == 0
    assert '"ended"' in log


async def test_a_second_signal_forces(run, worker):
    worker.answer = fake_worker.hang
    running = await run()
    async with aiohttp.ClientSession() as client:
        asked = asyncio.create_task(client.post(running.url + "/v1/rerank", json=ASK))

        async def in_flight() -> bool:
            return bool(worker.jobs)

        await until(in_flight)
        running.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.1)
        running.process.send_signal(signal.SIGTERM)
        code, _ = await running.ended()
        assert code != 0
        asked.cancel()


async def test_a_drain_has_an_end(run, worker):
    worker.answer = fake_worker.hang
    running = await run(drain_timeout_s=0.1)
    async with aiohttp.ClientSession() as client:
        asked = asyncio.create_task(client.post(running.url + "/v1/rerank", json=ASK))

        async def in_flight() -> bool:
            return bool(worker.jobs)

        await until(in_flight)
        running.process.send_signal(signal.SIGTERM)
        code, log = await running.ended()
        asked.cancel()
    assert code == 0
    assert "drain timed out" in log


@pytest.fixture
def taken():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def file_in_the_way(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_text("")
    return path / "state"


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        pytest.param({"host": "0.0.0.0"}, "without API keys", id="open without keys"),
        pytest.param({"host": "::"}, "without API keys", id="open on IPv6 too"),
        pytest.param(
            {"host": "192.0.2.1", "api_keys_file": "KEYS"}, "cannot listen", id="not ours"
        ),
        pytest.param(
            {"api_keys_file": "/none"}, "cannot read the API keys file", id="no keys file"
        ),
        pytest.param({"state_dir": "FILE"}, "state directory", id="no state directory"),
        pytest.param({"port": "TAKEN"}, "set [service] host and port", id="the port is taken"),
    ],
)
async def test_what_cannot_start_says_why_and_ends_with_two(tmp_path, taken, settings, says):
    keys = tmp_path / "keys"
    keys.write_text("a:" + "0" * 64)
    known = {"FILE": file_in_the_way(tmp_path), "TAKEN": taken, "KEYS": keys}
    given = {name: known.get(value, value) for name, value in settings.items()}
    process = await launch(**{"state_dir": tmp_path, "port": 0, **given})
    _, stderr = await asyncio.wait_for(process.communicate(), START_S)
    assert process.returncode == 2
    assert says in stderr.decode()
    assert "Traceback" not in stderr.decode()


async def test_it_may_open_as_many_files_as_the_host_allows(run, worker):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))  # the child begins with it
    try:
        running = await run()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    own, _ = resource.prlimit(running.process.pid, resource.RLIMIT_NOFILE)
    assert own == (65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536))
