"""Looks at cards, host and gateway on the scheduler, and posts what it finds into the inbox."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timezone

from apscheduler.schedulers.background import BackgroundScheduler

from alerts.pipeline import Pipeline
from monitor.collectors.certificate import CertificateReader
from monitor.collectors.gateway import GatewayReader
from monitor.collectors.host import HostReader
from monitor.inbox import CardsSeen, HostSeen, LoadSeen, Message
from monitor.latest import Latest
from monitor.ports import GpuReader

_HOST_EVERY_S = 5.0
_LOAD_EVERY_S = 2.0
_DELIVERY_EVERY_S = 5.0
_CERTIFICATES_EVERY_S = 600.0
_REFUSALS_EVERY_S = 10.0

log = logging.getLogger("rankguard.watchdog")


class Sampler:
    """Adds its jobs when it is made; the scheduler runs each one alone and never twice at once."""

    def __init__(self, scheduler: BackgroundScheduler, post: Callable[[Message], None]) -> None:
        self._scheduler = scheduler
        self._post = post

    def cards(self, reader: GpuReader, every_s: float) -> None:
        self._every(every_s, "cards", lambda: self._post(CardsSeen(reader.read())))

    def host(self, reader: HostReader) -> None:
        self._every(_HOST_EVERY_S, "host", lambda: self._post(HostSeen(reader.read())))

    def load(self, reader: GatewayReader, *, scales: bool) -> None:
        """What the gateway tells; less often where nothing is scaled by it."""
        every_s = _LOAD_EVERY_S if scales else _REFUSALS_EVERY_S
        self._every(every_s, "load", lambda: self._post(LoadSeen(reader.read())))

    def certificates(self, reader: CertificateReader, latest: Latest) -> None:
        def look() -> None:
            latest.certificates = reader.read()

        self._every(_CERTIFICATES_EVERY_S, "certificates", look)

    def delivery(self, pipeline: Pipeline, latest: Latest) -> None:
        def look() -> None:
            latest.delivery = pipeline.snapshot()

        self._every(_DELIVERY_EVERY_S, "delivery", look)

    def _every(self, seconds: float, name: str, job: Callable[[], None]) -> None:
        def guarded() -> None:
            try:
                job()
            except Exception:  # a look that fails is missing, and the next one comes
                log.exception("%s could not be read", name)

        self._scheduler.add_job(
            guarded,
            "interval",
            seconds=seconds,
            id=name,
            next_run_time=datetime.now(timezone.utc),
        )
