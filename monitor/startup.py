"""What must be in order before the watchdog starts, and how it says that it is not."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from alerts.model import Alert
from alerts.pipeline import Pipeline
from alerts.senders.apprise import AppriseMissing
from alerts.senders.build import SecretError
from alerts.senders.template import TemplateError
from alerts.settings import AlertSettings
from monitor.actuators.process import WorkerCommand
from monitor.journal import Journal, JournalError
from monitor.model import Moment

log = logging.getLogger("rankguard.watchdog")
_DAMAGED = ".damaged"


class CannotStart(Exception):
    """The watchdog cannot start here; the words say why and what to do."""


@contextlib.contextmanager
def held(state_dir: Path) -> Iterator[None]:
    """Hold the state directory: one watchdog each, or two would restart each other's workers."""
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        lock = (state_dir / "watchdog.lock").open("a+", encoding="ascii")
    except OSError as error:
        raise CannotStart(
            f"cannot write to the state directory {state_dir}: {error.strerror};"
            " set [service] state_dir"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            raise CannotStart(f"a watchdog (pid {holder}) already holds {state_dir}") from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def open_journal(path: Path) -> Journal:
    """The journal; one that a crash of the disk has damaged is put aside and begun anew.

    Whoever watches must not stay away because what was is not known any more: what runs is found
    again by its manifests.

    Raises:
        CannotStart: the file cannot be read or written.
    """
    try:
        return Journal(path)
    except JournalError as error:
        if not _is_damaged(error):
            raise CannotStart(f"{error}; is the disk full? {path}") from error
        log.warning("%s; it is kept as %s%s, and a new one begins", error, path, _DAMAGED)
    try:
        for ending in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                path.with_name(f"{path.name}{ending}").replace(f"{path}{_DAMAGED}{ending}")
        return Journal(path)
    except (JournalError, OSError) as error:
        raise CannotStart(f"a new journal cannot begin: {error}; {path}") from error


def _is_damaged(error: JournalError) -> bool:
    """SQLite says so with a plain DatabaseError; a lock or a full disk is an OperationalError."""
    cause = error.__cause__
    return isinstance(cause, sqlite3.DatabaseError) and not isinstance(
        cause, sqlite3.OperationalError
    )


def build_pipeline(
    alerts: AlertSettings | None, database: Path, alive: Callable[[], bool]
) -> Pipeline | None:
    if alerts is None or not (
        alerts.receivers or alerts.heartbeat.url or alerts.heartbeat.url_file
    ):
        return None
    try:
        return Pipeline(alerts, database, host=socket.gethostname(), healthy=alive)
    except (SecretError, AppriseMissing, TemplateError) as error:
        raise CannotStart(str(error)) from error


def as_function(command: WorkerCommand | Sequence[str]) -> WorkerCommand:
    if callable(command):
        return command
    base = list(command)

    def build(replica_id: str, generation: int, gpu_uuid: str | None) -> list[str]:
        gpu = [] if gpu_uuid is None else ["--gpu", gpu_uuid]
        return [
            *base,
            "--id",
            replica_id,
            "--generation",
            str(generation),
            "--watched",
            *gpu,
        ]

    return build


class SystemClock:
    """Implements `Clock`."""

    def now(self) -> Moment:
        return Moment(time.monotonic(), time.time())


class LogSink:
    """Implements `Sink` where there are no receivers: the log is all there is."""

    def accept(self, alerts: Sequence[Alert]) -> None:
        for alert in alerts:
            log.info("alert %s %s: %s", alert.status.value, alert.name, alert.summary)
