"""Keeps this worker's manifest file up to date, also on a disk that refuses for a while."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from pathlib import Path

from service.manifest import Manifest, write_manifest

FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 2.0

log = logging.getLogger("rankguard.worker")


class Publisher:
    """Belongs to one event loop. What cannot be written is tried again until it can."""

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir
        self._wanted: Manifest | None = None
        self._task: asyncio.Task[None] | None = None

    def publish(self, manifest: Manifest) -> None:
        """Write it now; on a disk that is full or read-only, as soon as it can be written."""
        self._wanted = manifest
        if self._task is None and not self._written(manifest):
            self._task = asyncio.create_task(self._retry())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _retry(self) -> None:
        pause_s = FIRST_PAUSE_S
        while self._wanted is not None:
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            if self._written(self._wanted, again=True):
                log.warning("the manifest could be written at last")
                break
        self._task = None

    def _written(self, manifest: Manifest, *, again: bool = False) -> bool:
        try:
            write_manifest(self._state_dir, manifest)
        except OSError as error:
            if not again:
                log.error(  # noqa: TRY400 - the trace says nothing more
                    "cannot write the manifest in %s: %s; nobody sends work here until it can be",
                    self._state_dir,
                    error.strerror,
                )
            return False
        return True
