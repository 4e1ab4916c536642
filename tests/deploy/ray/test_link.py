"""What Ray's errors mean for a chunk, and how often replicas are asked. Needs Ray, no cluster."""

from __future__ import annotations

import asyncio
import json

import pytest
from prometheus_client import CollectorRegistry

from deploy.ray.scaling import GatewayLoad
from service.gateway.routing import Failure
from service.gateway.transport import ReplicaFailed
from service.manifest import Manifest, Verdict, WorkerState
from service.metrics import GatewayMetrics

pytest.importorskip("ray", reason="Ray is not here: make test-ray")
pytestmark = pytest.mark.filterwarnings("ignore")

from ray.exceptions import (  # noqa: E402
    ActorDiedError,
    ActorUnavailableError,
    RayTaskError,
)
from ray.serve.exceptions import (  # noqa: E402
    BackPressureError,
    DeploymentUnavailableError,
    RayServeException,
)

from deploy.ray.link import (  # noqa: E402
    ServeDirectory,
    ServeWire,
    address,
    described,
    look_every,
    seen,
)

MANIFEST = Manifest(
    id="replica-0@gpu-1",
    generation=3,
    pid=42,
    started_ticks=7,
    boot_id="b",
    url=address("node-a", "abc", "mark"),
    engine="scripted",
    model="m",
    fingerprint="f",
    state=WorkerState.READY,
)


class Handle:
    """Stands for a deployment's handle: it answers, or raises what Ray would raise."""

    def __init__(self, outcome):
        self.outcome = outcome
        self.asked = []
        self.cancelled = 0
        self.answer = self

    def remote(self, *arguments, **named):
        self.asked.append((arguments, named))
        return self

    def broadcast(self, *arguments):
        self.asked.append(arguments)
        return self

    def results(self, **_limits):
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    def cancel(self):
        self.cancelled += 1

    def __await__(self):
        async def run():
            if self.outcome is None:
                await asyncio.get_running_loop().create_future()
            return self.results()

        return run().__await__()


def load():
    return GatewayLoad(GatewayMetrics(CollectorRegistry()).registry)


def test_what_a_replica_says_of_itself_comes_through_whole():
    found = seen(described(MANIFEST, Verdict(3, True, "healthy")))

    assert found.verdict == Verdict(3, True, "healthy")
    assert found.manifest.state is WorkerState.READY
    assert (found.manifest.id, found.manifest.url) == (MANIFEST.id, MANIFEST.url)
    assert found.manifest.watched, "traffic waits for the canary"


async def test_the_chosen_replica_is_named_in_the_call():
    handle = Handle((200, b"{}"))

    assert await ServeWire(handle).post(MANIFEST.url, "/score", b"body", 1.0) == (200, b"{}")
    assert handle.asked == [(("/score", b"body"), {"to": "abc/mark"})]


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        pytest.param(ActorDiedError(), Failure.LOST, id="the replica died"),
        pytest.param(
            ActorUnavailableError("x", b"0" * 16), Failure.LOST, id="the connection to it broke"
        ),
        pytest.param(BackPressureError(1, 1), Failure.BUSY, id="the queue is full"),
        pytest.param(
            DeploymentUnavailableError("d"), Failure.UNREACHABLE, id="there is no replica"
        ),
        pytest.param(
            RayTaskError("f", "traceback", ValueError("x")), Failure.ERROR, id="our code raised"
        ),
        pytest.param(RayServeException("?"), Failure.LOST, id="anything else of Serve's"),
    ],
)
async def test_what_an_error_of_rays_means_for_a_chunk(error, failure):
    with pytest.raises(ReplicaFailed) as failed:
        await ServeWire(Handle(error)).post(MANIFEST.url, "/score", b"", 1.0)

    assert failed.value.failure is failure


async def test_a_node_that_dies_is_not_counted_against_the_chunk_for_each_of_its_replicas():
    now = [10.0]
    wire = ServeWire(Handle(ActorDiedError()), clock=lambda: now[0])

    async def fail(node):
        now[0] += 0.1
        with pytest.raises(ReplicaFailed) as failed:
            await wire.post(address(node, "abc", "mark"), "/score", b"", 1.0)
        return failed.value.failure

    first, same, other = await fail("a"), await fail("a"), await fail("b")
    now[0] += 5.0

    assert (first, same, other) == (Failure.LOST, Failure.UNREACHABLE, Failure.LOST)
    assert await fail("a") is Failure.LOST


async def test_a_call_that_takes_too_long_is_cancelled():
    handle = Handle(None)

    with pytest.raises(ReplicaFailed) as failed:
        await ServeWire(handle).post(MANIFEST.url, "/score", b"", 0.01)

    assert failed.value.failure is Failure.TIMEOUT
    assert handle.cancelled == 1


async def test_a_call_that_nobody_waits_for_any_more_is_cancelled():
    handle = Handle(None)
    call = asyncio.create_task(ServeWire(handle).post(MANIFEST.url, "/score", b"", 60.0))
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    call.cancel()
    await asyncio.gather(call, return_exceptions=True)

    assert handle.cancelled == 1


def test_the_directory_asks_now_and_then_and_tells_the_load():
    now = [0.0]
    handle = Handle([described(MANIFEST, Verdict(3, True, "healthy")), ActorDiedError()])
    directory = ServeDirectory(handle, "gateway-1", load(), clock=lambda: now[0])

    first, again = directory.read(), directory.read()
    now[0] = 1.0
    directory.read()

    assert [one.manifest.id for one in first] == [MANIFEST.id]
    assert again == first
    assert handle.asked == [("describe", "gateway-1", 0.0, None)] * 2


def test_a_large_fleet_is_asked_less_often():
    assert look_every(3) == 0.5
    assert look_every(800) == 8.0


def test_no_replica_at_all_is_an_empty_directory():
    handle = Handle(DeploymentUnavailableError("d"))

    assert ServeDirectory(handle, "g", load()).read() == []


@pytest.mark.parametrize("error", [TimeoutError(), RayServeException("?")])
def test_what_cannot_be_asked_leaves_what_is_known(error):
    with pytest.raises(OSError, match="does not answer"):
        ServeDirectory(Handle(error), "g", load()).read()


def test_the_answer_is_json_of_plain_values():
    assert json.loads(described(MANIFEST, Verdict(3, True, "x")))["manifest"]["state"] == "ready"
