"""Builds the watchdog from its settings and runs it; the only place that knows every adapter."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from prometheus_client import CollectorRegistry

from alerts.model import Alert
from alerts.pipeline import Pipeline
from alerts.senders.build import SecretError
from alerts.settings import AlertSettings
from monitor.actuators.process import ProcessActuator, WorkerCommand
from monitor.adopt import take_over
from monitor.board import FileBoard
from monitor.casebook import Casebook
from monitor.exporter import SnapshotCollector
from monitor.inbox import CommandAsked, Inbox
from monitor.journal import Journal, JournalError
from monitor.keeper import LoopLimits, Tools
from monitor.loop import Loop
from monitor.memory import fresh_start, to_json
from monitor.model import Moment
from monitor.notify import Notifier
from monitor.ports import Sink
from monitor.probes.process import boot_id
from monitor.probing import ScheduledProbes, build_scheduler
from monitor.replica import Command
from monitor.server import Desk, StatusServer
from monitor.settings import MonitorSettings
from monitor.snapshot import Snapshot

EXIT_OK = 0
EXIT_USAGE = 2
_ALERTS_STOP_S = 3.0

log = logging.getLogger("rankguard.watchdog")


class SystemClock:
    """Implements `Clock`."""

    def now(self) -> Moment:
        return Moment(time.monotonic(), time.time())


class CannotStart(Exception):
    """The watchdog cannot start here; the words say why and what to do."""


@dataclass(slots=True)
class _Stop:
    """Signals set flags here and nothing more."""

    asked: threading.Event = field(default_factory=threading.Event)
    forced: threading.Event = field(default_factory=threading.Event)
    wake: Callable[[], None] = lambda: None

    def on_signal(self, _number: int, _frame: FrameType | None) -> None:
        if self.asked.is_set():
            self.forced.set()
        self.asked.set()
        self.wake()


class _LogSink:
    """Where there are no receivers: the log is all there is."""

    def accept(self, alerts: Sequence[Alert]) -> None:
        for alert in alerts:
            log.info("alert %s %s: %s", alert.status.value, alert.name, alert.summary)


class _Latest:
    """The last snapshot; replaced whole, so that readers need no lock."""

    def __init__(self) -> None:
        self.snapshot: Snapshot | None = None

    def publish(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot


def run(
    settings: MonitorSettings,
    *,
    state_dir: Path,
    worker_command: WorkerCommand | Sequence[str],
    alerts: AlertSettings | None = None,
    stop_replicas_on_exit: bool = False,
    gateway_url: str | None = None,
    config_path: Path | None = None,
) -> int:
    """Run until SIGTERM or SIGINT; returns the exit code.

    Args:
        state_dir: where workers, gateway and watchdog meet; made when it is not there.
        worker_command: argv of a worker, to which `--id`, `--generation`, `--watched` and `--gpu`
            are added; or a function that makes the whole argv.
        alerts: receivers and routes; None or no receivers: incidents are logged and journaled.
        stop_replicas_on_exit: drain the workers at the end; else they go on and are adopted.
        gateway_url: where the gateway's metrics are, for scaling.
        config_path: named in messages.
    """
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s watchdog %(message)s",
    )
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    del gateway_url, config_path
    try:
        with _held(state_dir):
            return _Watchdog(settings, state_dir, worker_command, alerts).run(
                stop_replicas=stop_replicas_on_exit
            )
    except CannotStart as error:
        log.error("%s", error)  # noqa: TRY400 - it is for a person, the trace is not
        return EXIT_USAGE


class _Watchdog:
    """The wired whole, in the order in which it is built and taken down."""

    def __init__(
        self,
        settings: MonitorSettings,
        state_dir: Path,
        worker_command: WorkerCommand | Sequence[str],
        alerts: AlertSettings | None,
    ) -> None:
        self._settings = settings
        self._clock = SystemClock()
        self._inbox = Inbox()
        self._latest = _Latest()
        self._journal = _open_journal(state_dir / "journal.db")
        self._server = self._bind(state_dir / "journal.db")
        self._pipeline = _build_pipeline(alerts, state_dir / "journal.db")
        sink: Sink = _LogSink() if self._pipeline is None else self._pipeline
        self._scheduler = build_scheduler(4 + 2 * settings.replicas)
        self._board = FileBoard(state_dir)
        self._actuator = ProcessActuator(
            _as_function(worker_command),
            state_dir,
            self._inbox.wake,
            keep_logs=settings.keep_logs,
        )
        self._probes = ScheduledProbes(
            self._scheduler,
            self._inbox.post,
            poll_s=settings.poll_s,
            canary_timeout_s=settings.canary_timeout_s,
            mode=settings.canary,
        )
        self._loop = self._build_loop(Casebook(self._journal, sink, socket.gethostname()))

    def run(self, *, stop_replicas: bool) -> int:
        """Live from start to end."""
        stop = _Stop(wake=self._inbox.wake)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, stop.on_signal)
        notifier = Notifier()
        if self._pipeline is not None:
            self._pipeline.start()
        self._scheduler.start()
        self._server.start()
        log.info("watching; status at http://%s:%d/", self._settings.host, self._server.port)
        try:
            self._live(stop, notifier)
        finally:
            notifier.stopping()
            self._end(stop, stop_replicas=stop_replicas)
        return EXIT_OK

    def _live(self, stop: _Stop, notifier: Notifier) -> None:
        first = True
        while not stop.asked.is_set():
            try:
                pause_s = self._loop.tick()
            except Exception:  # the loop itself must never end by a surprise
                log.exception("a round failed")
                pause_s = self._settings.poll_s
            if first:
                notifier.ready()
                first = False
            notifier.alive()
            self._inbox.wait(pause_s)

    def _end(self, stop: _Stop, *, stop_replicas: bool) -> None:
        """Replicas first, while everything still runs; then what watched them."""
        if stop_replicas:
            log.info("draining the replicas")
            self._loop.stop_replicas(stop.forced.is_set)
        else:
            log.info("leaving the replicas running")
        with contextlib.suppress(JournalError):
            self._remember_for_next_start(stop_replicas=stop_replicas)
        self._scheduler.shutdown(wait=False)
        self._server.shutdown()
        self._server.server_close()
        if self._pipeline is not None:
            self._pipeline.stop(_ALERTS_STOP_S)
        self._actuator.close()
        self._journal.close()

    def _remember_for_next_start(self, *, stop_replicas: bool) -> None:
        """An orderly end is an operator's: what was given up may be tried again after it."""
        now = self._clock.now()
        for replica in self._loop.replicas():
            ended = replica.identity is None
            kept = fresh_start(replica, now) if stop_replicas or ended else replica
            self._journal.save_replica(replica.id, to_json(kept, now))

    def _bind(self, journal: Path) -> StatusServer:
        registry = CollectorRegistry()
        registry.register(SnapshotCollector(lambda: self._latest.snapshot))
        desk = Desk(
            latest=lambda: self._latest.snapshot,
            command=self._ask,
            registry=registry,
            journal=journal,
            now=time.time,
        )
        host, port = self._settings.host, self._settings.port
        try:
            return StatusServer(host, port, desk)
        except OSError as error:
            self._journal.close()
            raise CannotStart(
                f"cannot listen on {host}:{port}: {error.strerror}; stop what uses it, or set"
                " [monitor] port"
            ) from error

    def _ask(self, replica_id: str, command: Command) -> None:
        self._inbox.post(CommandAsked(replica_id, command))

    def _build_loop(self, casebook: Casebook) -> Loop:
        settings = self._settings
        watches = take_over(
            [f"replica-{index}" for index in range(settings.replicas)],
            self._journal.replicas(),
            actuator=self._actuator,
            board=self._board,
            casebook=casebook,
            boot_id=boot_id(),
            now=self._clock.now(),
        )
        return Loop(
            clock=self._clock,
            tools=Tools(self._actuator, self._board, self._probes, self._journal, casebook),
            inbox=self._inbox,
            limits=LoopLimits(
                poll_s=settings.poll_s,
                canary_s=settings.canary_s,
                health=settings.health_limits(),
                policy=settings.policy_limits(),
                canary=settings.canary_limits(),
            ),
            watches=watches,
            publish=self._latest.publish,
        )


@contextlib.contextmanager
def _held(state_dir: Path) -> Iterator[None]:
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


def _open_journal(path: Path) -> Journal:
    try:
        return Journal(path)
    except JournalError as error:
        raise CannotStart(
            f"{error}; is the disk full or the file from elsewhere? {path}"
        ) from error


def _build_pipeline(alerts: AlertSettings | None, database: Path) -> Pipeline | None:
    if alerts is None or not alerts.receivers:
        return None
    try:
        return Pipeline(alerts, database, host=socket.gethostname())
    except SecretError as error:
        raise CannotStart(str(error)) from error


def _as_function(command: WorkerCommand | Sequence[str]) -> WorkerCommand:
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
