"""What a chunk is asked before it travels, and what is noted of it after: see quarantine.py."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

from prometheus_client import Counter

from service.embedding import EmbedJob
from service.errors import PoisonRequest
from service.gateway.quarantine import Quarantine, Standing, marks_of
from service.gateway.replicas import Lease, Replicas
from service.request import ScoreJob

LOOK_S = 0.05
"""Between two looks whether a replica ended, or whether the chunk that travels alone is back."""

NAMED = 10
"""Texts that an error names one by one."""

Job = ScoreJob | EmbedJob

logger = logging.getLogger(__name__)


class Suspects:
    """Chunks in flight at processes that ended; costs nothing while there are none."""

    def __init__(self, replicas: Replicas, refusals: Counter, clock: Callable[[], float]) -> None:
        """Count in `refusals` what is refused."""
        self._replicas = replicas
        self._refusals = refusals
        self._clock = clock
        self._quarantine = Quarantine()
        self._lane = asyncio.Lock()

    async def admit(self, job: Job, deadline: float) -> Standing:
        """How the chunk may travel; waits while that is not settled, and while another is alone.

        Raises:
            PoisonRequest: not at all.
        """
        while True:
            standing = self.standing(job)
            if standing is Standing.POISON:
                self._refusals.inc()
                refused = self._refused(job)
                logger.warning("poison request refused", extra={"reason": refused.message})
                raise refused
            waits = standing is Standing.UNSETTLED or (
                standing is Standing.ALONE and self._lane.locked()
            )
            if not waits or self._clock() >= deadline:
                return standing
            await asyncio.sleep(LOOK_S)

    def standing(self, job: Job) -> Standing:
        if self._quarantine.is_idle:
            return Standing.FREE
        routable = self._replicas.routable()
        self._quarantine.settle(
            {one.key for one in routable},
            {one.key for one in routable if one.health.reachable},
            self._clock(),
            self._replicas.departed,
        )
        return self._quarantine.standing(marks_of(job))

    def lane(self, standing: Standing) -> contextlib.AbstractAsyncContextManager[None]:
        """What to hold while the chunk travels."""
        return self._lane if standing is Standing.ALONE else contextlib.nullcontext()

    def lost(self, lease: Lease, job: Job) -> None:
        """The connection to the replica broke while it had the chunk."""
        key = lease.replica.key
        self._quarantine.lost(key, marks_of(job), self._clock(), alone=lease.alone)

    def scored(self, job: Job) -> None:
        if not self._quarantine.is_idle:
            self._quarantine.scored(marks_of(job))

    def _refused(self, job: Job) -> PoisonRequest:
        kind = "texts" if isinstance(job, EmbedJob) else "documents"
        names = [f"{kind}[{place}]" for place in self._quarantine.refused(marks_of(job))]
        shown = ", ".join(names[:NAMED]) + (" and more" if len(names) > NAMED else "")
        minutes = self._quarantine.limits.refuse_s / 60
        return PoisonRequest(
            f"engines ended while they worked on {shown}; refused for {minutes:.0f} minutes",
            param=names[0],
        )
