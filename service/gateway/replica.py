"""One generation of one replica, as the gateway keeps it. Decides nothing."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from service.gateway.routing import Health
from service.manifest import Manifest


@dataclass(slots=True, eq=False)
class Replica:
    """One generation of one replica, and what this gateway has on it."""

    manifest: Manifest
    routable: bool
    reason: str
    health: Health = field(default_factory=Health)
    outstanding: int = 0
    stalled_until: float = 0.0
    gone_at: float | None = None
    work: set[asyncio.Task[object]] = field(default_factory=set)

    @property
    def key(self) -> str:
        return key_of(self.manifest)

    @property
    def id(self) -> str:
        return self.manifest.id


def key_of(manifest: Manifest) -> str:
    return f"{manifest.id}/{manifest.generation}/{manifest.pid}/{manifest.started_ticks}"
