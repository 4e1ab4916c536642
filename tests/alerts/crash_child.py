"""A process that raises alerts until it is killed; started by the crash tests and measurements."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from alerts.message import Message, Outcome
from alerts.pipeline import Pipeline
from alerts.senders.build import build
from alerts.settings import AlertSettings
from tests.alerts.make import alert, resolved


def settings_for(url: str) -> AlertSettings:
    return AlertSettings.model_validate(
        {
            "receivers": [
                {"name": "oncall", "type": "webhook", "url": url, "allow_insecure": True,
                 "per_minute": 1_000_000}
            ],
            "routes": [{"receivers": ["oncall"], "group_wait_s": 0, "group_interval_s": 0}],
        }
    )  # fmt: skip


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Deadly:
    """A sender that dies before or after its first try."""

    def __init__(self, inner: Any, when: str) -> None:
        self._inner = inner
        self._when = when

    def send(self, message: Message) -> Outcome:
        if self._when == "before send":
            die()
        outcome: Outcome = self._inner.send(message)
        if self._when == "after send":
            die()
        return outcome

    def close(self) -> None:
        self._inner.close()


def die_at(when: str, database: str, url: str) -> None:
    """Raise one alert and die at the named step."""
    pipeline = Pipeline(
        settings_for(url),
        Path(database),
        host="gpu-1",
        make_sender=lambda *given: Deadly(build(*given), when),
    )
    pipeline.accept([alert(at=time.time())])
    if when == "after record":
        die()
    pipeline.plan_once()
    if when == "after plan":
        die()
    pipeline.deliver_once()


def keep_raising(database: str, url: str, log: str, first: int) -> None:
    """Raise and resolve incidents for ever; log each transition once it was accepted."""
    accepted = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    pipeline = Pipeline(settings_for(url), Path(database), host="gpu-1")
    pipeline.start()
    number = first
    while True:
        number += 1
        firing = alert(replica=f"r{number}", incident=number, at=time.time())
        pipeline.accept([firing])
        os.write(accepted, f"{number} firing\n".encode())
        time.sleep(0.002)
        pipeline.accept([resolved(firing, time.time())])
        os.write(accepted, f"{number} resolved\n".encode())


if __name__ == "__main__":
    die_at(*sys.argv[1:])
