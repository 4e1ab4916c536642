"""SIGHUP: takes up new limits; an invalid file keeps the old ones and is told of."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from monitor.loop import Loop
from monitor.settings import MonitorSettings

_FIXED = ("host", "port", "gpus", "actuator", "canary", "poll_s")
"""What is built once at the start."""

log = logging.getLogger("rankguard.watchdog")


class Reload:
    """What SIGHUP does to one watchdog."""

    def __init__(
        self,
        loop: Loop,
        started_with: MonitorSettings,
        load: Callable[[], MonitorSettings] | None,
        path: Path | None,
    ) -> None:
        """Read by `load`; None: there is no file to read anew. `path` is named in messages."""
        self._loop = loop
        self._started_with = started_with
        self._load = load
        self._path = path

    def run(self) -> None:
        if self._load is None:
            log.warning("SIGHUP: this watchdog was started without a configuration to read anew")
            return
        try:
            settings = self._load()
        except Exception as error:  # noqa: BLE001 - the loader is the caller's: any error is one
            log.error("%s is invalid, the old settings stay: %s", self._path, error)  # noqa: TRY400
            self._loop.set_config_error(str(error)[:500])
            return
        self._loop.set_config_error(None)
        self._loop.set_limits(settings.loop_limits(), settings.scaling_limits())
        fixed = [
            name for name in _FIXED if getattr(settings, name) != getattr(self._started_with, name)
        ]
        if fixed:
            log.warning("changes of %s need a restart of the watchdog", ", ".join(fixed))
        log.info("took up the settings of %s", self._path)
