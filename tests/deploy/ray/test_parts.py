"""Pieces that run without Ray: the canary in a replica, a call into the worker's app, the door."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time

import aiohttp
import pytest
from fastapi import FastAPI

from deploy.ray.canary import run_canary
from deploy.ray.door import add_door
from deploy.ray.inward import post
from deploy.ray.meter import Meter
from monitor.model import CanaryOutcome, Reason
from monitor.probes.canary import CASES, CanaryLimits, judge
from service.serving import bind
from service.settings import EngineSettings, ScriptedSettings, ServiceSettings
from service.worker.app import Identity, live
from tests.waiting import free_port


@pytest.fixture
async def worker(tmp_path):
    """A worker's whole life in this process; the script decides how it scores."""
    script = tmp_path / "script.json"
    engine = EngineSettings(kind="scripted", scripted=ScriptedSettings(script=script))
    stopping, made = asyncio.Event(), []
    life = asyncio.create_task(
        live(
            ServiceSettings(state_dir=tmp_path),
            engine,
            Identity(),
            stopping,
            lambda *both: made.append(both),
        )
    )
    while not made or made[0][0].info is None:  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    yield made[0][0], made[0][1], lambda **fault: script.write_text(json.dumps(fault))
    stopping.set()
    manifest = await life
    assert manifest.exit_code is None
    assert list((tmp_path / "replicas").glob("*.json")) == []


async def test_a_canary_goes_the_way_of_every_request(worker):
    one, _, _ = worker

    result = judge(await run_canary(one, 5.0), None, CanaryLimits())

    assert result.outcome is CanaryOutcome.PASSED
    assert set(result.logits) == {case.name for case in CASES}
    assert one.ledger.progress().completed == sum(len(case.documents) for case in CASES)


@pytest.mark.parametrize(
    ("fault", "outcome", "reason"),
    [
        pytest.param("wrong", CanaryOutcome.WRONG, Reason.CANARY_ORDER, id="wrong order"),
        pytest.param("constant", CanaryOutcome.WRONG, Reason.CANARY_FLAT, id="all alike"),
        pytest.param("nan", CanaryOutcome.WRONG, Reason.CANARY_INVALID, id="no number"),
        pytest.param("error", CanaryOutcome.ERROR, Reason.CANARY_ERROR, id="the engine fails"),
        pytest.param("hang", CanaryOutcome.TIMED_OUT, Reason.CANARY_ERROR, id="the engine hangs"),
    ],
)
async def test_a_canary_sees_what_is_wrong(worker, fault, outcome, reason):
    one, _, act = worker
    act(fault=fault)

    result = judge(await run_canary(one, 0.05), None, CanaryLimits())

    assert (result.outcome, result.reason) == (outcome, reason)


async def test_a_canary_is_refused_by_a_worker_that_drains(worker):
    one, _, _ = worker
    one.drain()

    assert (await run_canary(one, 1.0)).outcome is CanaryOutcome.REFUSED


async def test_what_a_worker_does_meanwhile_is_measured(worker):
    one, _, act = worker
    long_ago = time.monotonic() - 100.0

    idle = Meter(one, long_ago)
    first, _ = idle.pace()
    moving = Meter(one, long_ago)
    await run_canary(one, 5.0)
    second, moved_at = moving.pace()
    busy = Meter(one, long_ago)
    sum(number * number for number in range(2_000_000))
    third, _ = busy.pace()
    act(fault="hang")
    call = asyncio.create_task(run_canary(one, 60.0))
    while not one.ledger.progress().in_flight:  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    fourth, _ = Meter(one, long_ago).pace()
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)

    assert (first.moved, second.moved, third.moved, fourth.moved) == (False, True, False, False)
    assert first.stalled_s < 50, "an idle worker does not stall"
    assert moved_at > long_ago + 50
    assert third.cores > 0.2
    assert fourth.stalled_s > 99


async def test_a_call_into_the_app_is_a_request_over_http(worker):
    one, app, _ = worker
    body = json.dumps({"id": "1", "query": "a b", "documents": ["a"], "timeout_s": 5}).encode()

    status, answer = await post(app, "/score", body)
    async with (
        aiohttp.ClientSession() as session,
        session.post(one.manifest.url + "/score", data=body) as other,
    ):
        expected = await other.json()

    assert status == 200
    assert json.loads(answer)["scores"] == expected["scores"]


@pytest.mark.parametrize(
    ("path", "body", "status"), [("/score", b"{", 400), ("/nowhere", b"{}", 404)]
)
async def test_a_refusal_comes_back_with_its_status(worker, path, body, status):
    _, app, _ = worker

    assert (await post(app, path, body))[0] == status


async def test_a_call_that_is_cancelled_gives_the_work_up(worker):
    one, app, act = worker
    act(fault="hang")
    body = json.dumps({"id": "1", "query": "a", "documents": ["a"], "timeout_s": 60}).encode()
    call = asyncio.create_task(post(app, "/score", body))
    while not one.ledger.progress().in_flight:  # noqa: ASYNC110
        await asyncio.sleep(0.005)

    call.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await call

    assert one.ledger.progress().in_flight == 0


async def test_a_door_opens_once_its_port_is_free_and_closes_with_the_app():
    port, app = free_port(), FastAPI()
    app.add_api_route("/livez", lambda: "alive")
    add_door(app, lambda: "127.0.0.1", port)
    other = bind("127.0.0.1", port)
    async with aiohttp.ClientSession() as session:
        async with app.router.lifespan_context(app):
            await asyncio.sleep(0)
            other.close()
            status = None
            while status != 200:
                with contextlib.suppress(aiohttp.ClientError):
                    async with session.get(f"http://127.0.0.1:{port}/livez") as answer:
                        status = answer.status
                await asyncio.sleep(0.02)
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(f"http://127.0.0.1:{port}/livez")
