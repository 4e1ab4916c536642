"""How the gateway finds and reaches engine replicas of Ray Serve: through the deployment's handle.

The contract of a call is the worker's own HTTP contract: a path and a body in, a status and a body
out. What it says of a replica is the replica's manifest.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from ray.exceptions import RayActorError, RayError, RayTaskError
from ray.serve.exceptions import (
    BackPressureError,
    DeploymentUnavailableError,
    RayServeException,
    ReplicaUnavailableError,
)

from deploy.ray.scaling import GatewayLoad
from service.gateway.directory import Seen
from service.gateway.routing import Failure
from service.gateway.transport import SLACK_S, ReplicaFailed
from service.manifest import Manifest, Verdict, WorkerState

SCHEME = "serve:"

LOOK_S = 0.5
"""The gateway asks ten times a second, which is right for files; replicas are asked this often."""

CALLS_PER_S = 100
"""At most so many replicas are asked in a second: 800 would be a full-time job for a gateway."""

ANSWER_S = 2.0
"""A replica that does not say in this time what it is keeps the name that it had."""

SAME_END_S = 2.0
"""Calls to replicas of one node that break within this time broke for one cause: the node."""


def address(node: str, replica: str, mark: str) -> str:
    """What stands for a URL in the manifest of a Serve replica.

    Args:
        mark: equal for replicas that give the same scores.
    """
    return f"{SCHEME}{node}/{replica}/{mark}"


class ServeDirectory:
    """Implements `Directory`: asks every replica what it is, and tells it what is to be done."""

    def __init__(
        self,
        handle: Any,
        gateway: str,
        load: GatewayLoad,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._handle = handle
        self._gateway = gateway
        self._load = load
        self._clock = clock
        self._seen: list[Seen] = []
        self._looked_at: float | None = None

    def read(self) -> Sequence[Seen]:
        now = self._clock()
        if self._looked_at is not None and now - self._looked_at < look_every(len(self._seen)):
            return self._seen
        self._looked_at = now
        try:
            load = self._load.read()
            asked = self._handle.broadcast(
                "describe", self._gateway, load.queued_tokens, load.p95_s
            )
            answers = asked.results(timeout_s=ANSWER_S, return_exceptions=True)
        except DeploymentUnavailableError:
            answers = []
        except (RayError, RayServeException, TimeoutError) as error:
            raise OSError(0, f"Ray Serve does not answer: {type(error).__name__}") from error
        found = [seen(one) for one in answers if isinstance(one, str)]
        self._seen = sorted(found, key=lambda one: one.manifest.id)
        return self._seen


def look_every(replicas: int) -> float:
    """Seconds between two looks at so many replicas."""
    return max(LOOK_S, replicas / CALLS_PER_S)


def described(manifest: Manifest, verdict: Verdict) -> str:
    """What a replica answers to `describe`."""
    body = {name: getattr(manifest, name) for name in Manifest.__dataclass_fields__}
    return json.dumps({"manifest": body, "routable": verdict.routable, "reason": verdict.reason})


def seen(text: str) -> Seen:
    """The same, read."""
    body = json.loads(text)
    manifest = Manifest(**body["manifest"])
    manifest = replace(manifest, state=WorkerState(manifest.state), watched=True)
    return Seen(manifest, Verdict(manifest.generation, body["routable"], body["reason"]))


class ServeWire:
    """Implements `Wire`."""

    def __init__(self, handle: Any, clock: Callable[[], float] = time.monotonic) -> None:
        self._handle = handle
        self._clock = clock
        self._broke: dict[str, float] = {}

    async def close(self) -> None:
        return

    async def refuses(self, url: str) -> bool:
        """Never: the directory knows sooner which replicas are gone."""
        del url
        return False

    async def post(self, url: str, path: str, body: bytes, timeout_s: float) -> tuple[int, bytes]:
        node, _, replica = url.removeprefix(SCHEME).partition("/")
        response = self._handle.answer.remote(path, body, to=replica)
        began = self._clock()
        try:
            status, answer = await asyncio.wait_for(_result(response), timeout_s + SLACK_S)
        except asyncio.CancelledError:
            response.cancel()
            raise
        except (asyncio.TimeoutError, TimeoutError) as error:
            response.cancel()
            raise ReplicaFailed(Failure.TIMEOUT, "no answer in time") from error
        except (RayError, RayServeException) as error:
            raise self._failed(error, node, began) from error
        return int(status), bytes(answer)

    def _failed(self, error: Exception, node: str, began: float) -> ReplicaFailed:
        """What an error of Ray means for the chunk.

        A node that dies takes all its replicas along. A chunk that is sent from one to the next of
        them was not the cause, and must not be taken for one that kills workers.
        """
        if isinstance(error, BackPressureError):
            return ReplicaFailed(Failure.BUSY, "Serve's queue is full")
        if isinstance(error, DeploymentUnavailableError | ReplicaUnavailableError):
            return ReplicaFailed(Failure.UNREACHABLE, "it is not there any more")
        if isinstance(error, RayTaskError) and not isinstance(error, RayActorError):
            return ReplicaFailed(Failure.ERROR, f"it failed: {type(error.cause).__name__}")
        now = self._clock()
        self._broke = {one: at for one, at in self._broke.items() if now - at < SAME_END_S}
        if began > self._broke.get(node, began):
            return ReplicaFailed(Failure.UNREACHABLE, "its node is going away")
        self._broke.setdefault(node, now)
        return ReplicaFailed(Failure.LOST, "the replica ended")


async def _result(response: Any) -> Any:
    return await response
