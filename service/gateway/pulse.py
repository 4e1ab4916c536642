"""Notices without traffic that a replica's port is closed, and that it is open again.

Without it a gateway that has no watchdog would stay "ready" in front of dead workers, and one that
a load balancer took out for that would never see a success that brings it back.
"""

from __future__ import annotations

import asyncio

from service.gateway.replica import Replica
from service.gateway.replicas import Replicas
from service.gateway.routing import Failure
from service.gateway.transport import Transport

EVERY_S = 1.0


class Pulse:
    """Knocks at every routable replica once a second."""

    def __init__(self, replicas: Replicas, transport: Transport) -> None:
        self._replicas = replicas
        self._transport = transport

    async def watch(self) -> None:
        """Go on for ever; ends when cancelled."""
        while True:
            await asyncio.gather(*(self._knock(one) for one in self._replicas.routable()))
            await asyncio.sleep(EVERY_S)

    async def _knock(self, replica: Replica) -> None:
        if await self._transport.refuses(replica.manifest.url):
            self._replicas.failed(replica, Failure.UNREACHABLE)
        else:
            self._replicas.reached(replica)
