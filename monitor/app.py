"""Builds the watchdog from its settings and runs it; the only place that knows every adapter."""

from __future__ import annotations

import contextlib
import logging
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType

from prometheus_client import CollectorRegistry, ProcessCollector

from alerts.model import Alert
from alerts.settings import AlertSettings
from alerts.snapshot import PipelineSnapshot
from monitor.actuators.docker import DockerActuator, connect_docker
from monitor.actuators.observe import ObservingActuator, ObservingBoard
from monitor.actuators.process import ProcessActuator, WorkerCommand
from monitor.actuators.systemd import SystemdActuator
from monitor.adopt import take_over
from monitor.board import FileBoard
from monitor.bundle import Bundles
from monitor.casebook import Casebook
from monitor.collectors.gateway import GatewayReader
from monitor.collectors.host import HostReader
from monitor.collectors.kmsg import KmsgReader
from monitor.collectors.nvml import NvmlCollector, library_is_there
from monitor.collectors.replay import (
    RecordingError,
    RecordingReader,
    RecordingWriter,
    ReplayReader,
)
from monitor.collectors.replay import load as load_recording
from monitor.exporter import SnapshotCollector
from monitor.html import PageRenderer
from monitor.inbox import Inbox, KernelSeen
from monitor.journal import JournalError
from monitor.keeper import Tools
from monitor.loop import Loop
from monitor.memory import fresh_start, to_json
from monitor.model import Moment, Reason
from monitor.notify import Notifier
from monitor.ports import ActuatorError, Board, ClosingActuator, GpuReader, Sink
from monitor.probes.process import boot_id
from monitor.probing import ScheduledProbes, build_scheduler
from monitor.replica import Phase
from monitor.sampling import Sampler
from monitor.server import Desk, StatusServer
from monitor.settings import MonitorSettings
from monitor.snapshot import Snapshot
from monitor.startup import CannotStart, as_function, build_pipeline, held, open_journal
from monitor.watch import Watch

EXIT_OK = 0
EXIT_USAGE = 2
_ALERTS_STOP_S = 3.0
_LOOP_DEAD_S = 30.0
_DELIVERY_EVERY_S = 5.0
_CURSOR = "kmsg"

log = logging.getLogger("rankguard.watchdog")


class SystemClock:
    """Implements `Clock`."""

    def now(self) -> Moment:
        return Moment(time.monotonic(), time.time())


@dataclass(slots=True)
class _Stop:
    """Signals set flags here and nothing more."""

    asked: threading.Event = field(default_factory=threading.Event)
    forced: threading.Event = field(default_factory=threading.Event)
    hangup: threading.Event = field(default_factory=threading.Event)
    wake: Callable[[], None] = lambda: None

    def on_hangup(self, _number: int, _frame: FrameType | None) -> None:
        self.hangup.set()
        self.wake()

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
        self.delivery: PipelineSnapshot | None = None

    def publish(self, snapshot: Snapshot) -> None:
        self.snapshot = replace(snapshot, delivery=self.delivery)

    def alive(self) -> bool:
        """The loop ran a moment ago; the alerts' heartbeat stops when it did not."""
        return self.snapshot is not None and time.time() - self.snapshot.at < _LOOP_DEAD_S


def run(
    settings: MonitorSettings,
    *,
    state_dir: Path,
    worker_command: WorkerCommand | Sequence[str],
    alerts: AlertSettings | None = None,
    stop_replicas_on_exit: bool = False,
    gateway_url: str | None = None,
    config_path: Path | None = None,
    reload: Callable[[], MonitorSettings] | None = None,
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
        reload: reads the settings anew on SIGHUP; what it raises is told of, and nothing changes.
    """
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s watchdog %(message)s",
    )
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    state_dir = state_dir.resolve()  # it is part of the mark by which workers are known
    try:
        with held(state_dir):
            watchdog = _Watchdog(settings, state_dir, worker_command, alerts, gateway_url)
            return watchdog.run(
                stop_replicas=stop_replicas_on_exit, reload=reload, config_path=config_path
            )
    except (CannotStart, ActuatorError) as error:
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
        gateway_url: str | None,
    ) -> None:
        self._settings = settings
        self._state_dir = state_dir
        self._clock = SystemClock()
        self._inbox = Inbox()
        self._latest = _Latest()
        self._notices: list[str] = []
        database = state_dir / "journal.db"
        self._journal = open_journal(database)
        self._server = self._bind(database)
        self._gpu_reader = self._build_gpu_reader()
        self._pipeline = build_pipeline(alerts, database, self._latest.alive)
        self._scheduler = build_scheduler(6 + 2 * settings.bounds()[1])
        self._board: Board = FileBoard(state_dir)
        self._may_start: Callable[[str], Reason | None] = lambda _: None
        self._actuator = self._build_actuator(worker_command)
        self._probes = ScheduledProbes(
            self._scheduler,
            self._inbox.post,
            poll_s=settings.poll_s,
            canary_timeout_s=settings.canary_timeout_s,
            mode=settings.canary,
        )
        self._kernel = self._build_kernel_reader()
        sink: Sink = _LogSink() if self._pipeline is None else self._pipeline
        self._casebook = Casebook(self._journal, sink, socket.gethostname())
        self._loop = self._build_loop()
        self._schedule(gateway_url)

    def run(
        self,
        *,
        stop_replicas: bool,
        reload: Callable[[], MonitorSettings] | None,
        config_path: Path | None,
    ) -> int:
        """Live from start to end."""
        stop = _Stop(wake=self._inbox.wake)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, stop.on_signal)
        signal.signal(signal.SIGHUP, stop.on_hangup)
        notifier = Notifier()
        if self._pipeline is not None:
            self._pipeline.start()
        self._scheduler.start()
        self._server.start()
        log.info("watching; status at http://%s:%d/", self._settings.host, self._server.port)
        for notice in self._notices:
            log.info("%s", notice)
        try:
            self._live(stop, notifier, lambda: self._reload(reload, config_path))
        finally:
            notifier.stopping()
            self._end(stop, stop_replicas=stop_replicas)
        return EXIT_OK

    def _live(self, stop: _Stop, notifier: Notifier, reload: Callable[[], None]) -> None:
        first = True
        while not stop.asked.is_set():
            if stop.hangup.is_set():
                stop.hangup.clear()
                reload()
            try:
                pause_s = self._loop.tick()
            except Exception:  # the loop itself must never end by a surprise
                log.exception("a round failed")
                pause_s = self._settings.poll_s
            if first:
                notifier.ready()
                first = False
            notifier.alive()
            self._note_kernel_cursor()
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
        if self._gpu_reader is not None:
            self._gpu_reader.close()
        if self._kernel is not None:
            self._kernel.stop()
        self._server.shutdown()
        self._server.server_close()
        if self._pipeline is not None:
            self._pipeline.stop(_ALERTS_STOP_S)
        self._actuator.close()
        self._journal.close()

    def _remember_for_next_start(self, *, stop_replicas: bool) -> None:
        """An orderly end is an operator's: what was given up may be tried again after it."""
        now = self._clock.now()
        held = self._journal.holds()
        for replica in self._loop.replicas():
            ended = stop_replicas or replica.identity is None
            kept = fresh_start(replica, now) if ended else replica
            if ended and replica.id not in held:
                kept = replace(kept, phase=Phase.STOPPED)
            self._journal.save_replica(replica.id, to_json(kept, now))

    def _reload(
        self, reload: Callable[[], MonitorSettings] | None, config_path: Path | None
    ) -> None:
        """Take up new limits; an invalid file keeps the old ones and is told of."""
        if reload is None:
            log.warning("SIGHUP: this watchdog was started without a configuration to read anew")
            return
        try:
            settings = reload()
        except Exception as error:  # noqa: BLE001 - the loader is the caller's: any error is one
            log.error("%s is invalid, the old settings stay: %s", config_path, error)  # noqa: TRY400
            self._loop.config_error = str(error)[:500]
            return
        self._loop.config_error = None
        self._loop.set_limits(settings.loop_limits(), settings.scaling_limits())
        fixed = [
            name
            for name in ("host", "port", "gpus", "actuator", "canary", "poll_s")
            if getattr(settings, name) != getattr(self._settings, name)
        ]
        if fixed:
            log.warning("changes of %s need a restart of the watchdog", ", ".join(fixed))
        log.info("took up the settings of %s", config_path)

    # building

    def _bind(self, journal: Path) -> StatusServer:
        registry = CollectorRegistry()
        registry.register(SnapshotCollector(lambda: self._latest.snapshot, time.time))
        ProcessCollector(registry=registry)
        desk = Desk(
            latest=lambda: self._latest.snapshot,
            command=self._inbox.post,
            registry=registry,
            journal=journal,
            now=time.time,
            page=PageRenderer(),
            alerts=lambda: None if self._pipeline is None else self._pipeline.desk,
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

    def _build_actuator(self, command: WorkerCommand | Sequence[str]) -> ClosingActuator:
        settings = self._settings
        if settings.actuator == "systemd":
            unit, folder = settings.unit, settings.unit_environment_dir
            return SystemdActuator(unit, folder, self._inbox.wake)
        if settings.actuator == "docker":
            client = connect_docker()
            return DockerActuator(client, settings.label, self._state_dir, self._inbox.wake)
        if settings.actuator == "observe":
            observing = ObservingActuator(self._board)
            self._board = ObservingBoard(self._board)
            self._may_start = observing.may_start
            self._notices.append("observing only: nothing is started, ended or routed from here")
            return observing
        return ProcessActuator(
            as_function(command),
            self._state_dir,
            self._inbox.wake,
            keep_logs=settings.keep_logs,
        )

    def _build_gpu_reader(self) -> GpuReader | None:
        gpus = self._settings.gpus
        if gpus == "none":
            return None
        if gpus.startswith("replay:"):
            try:
                recording = load_recording(Path(gpus.removeprefix("replay:")))
            except RecordingError as error:
                raise CannotStart(str(error)) from error
            kind = "synthetic cards" if recording.synthetic else "recorded cards"
            self._notices.append(f"the cards shown are replayed ({kind}): {recording.about}")
            return ReplayReader(recording)
        if not library_is_there():
            self._notices.append("no NVIDIA driver library on this host: cards are not watched")
            return None
        return NvmlCollector(self._settings.gpu_timeout_s)

    def _build_kernel_reader(self) -> KmsgReader | None:
        if self._settings.gpus.startswith("replay:"):
            return None  # this host's kernel knows nothing of replayed cards
        noted = self._journal.noted(_CURSOR)
        boot, _, sequence = (noted or "").partition(" ")
        after = int(sequence) if boot == boot_id() and sequence.isdigit() else None
        reader = KmsgReader(lambda event: self._inbox.post(KernelSeen(event)), after=after)
        self._cursor = after
        return reader if reader.start() else None

    def _note_kernel_cursor(self) -> None:
        """What was read is not acted on again after a restart; what comes meanwhile is."""
        cursor = None if self._kernel is None else self._kernel.cursor
        if cursor is not None and cursor != self._cursor:
            self._cursor = cursor
            with contextlib.suppress(JournalError):
                self._journal.note(_CURSOR, f"{boot_id()} {cursor}")

    def _schedule(self, gateway_url: str | None) -> None:
        settings = self._settings
        sampler = Sampler(self._scheduler, self._inbox.post)
        sampler.host(HostReader([self._state_dir, *filter(None, [settings.model_cache])]))
        if self._gpu_reader is not None:
            reader = self._gpu_reader
            if settings.record is not None:
                reader = RecordingReader(reader, RecordingWriter(settings.record, "recorded"))
            sampler.cards(reader, settings.poll_s)
        low, high = settings.bounds()
        if gateway_url is not None and low < high:
            sampler.load(GatewayReader(gateway_url))
        if self._pipeline is not None:
            sampler.other("delivery", _DELIVERY_EVERY_S, self._look_at_delivery)

    def _look_at_delivery(self) -> None:
        if self._pipeline is not None:
            self._latest.delivery = self._pipeline.snapshot()

    def _take_over(self, replica_ids: Sequence[str]) -> list[Watch]:
        return take_over(
            replica_ids,
            self._journal.replicas(),
            actuator=self._actuator,
            board=self._board,
            casebook=self._casebook,
            boot_id=boot_id(),
            now=self._clock.now(),
            anybodys=self._settings.actuator == "observe",
        )

    def _build_loop(self) -> Loop:
        settings = self._settings
        watches = self._take_over(self._first_ids())
        if isinstance(self._actuator, ProcessActuator):
            self._actuator.end_strays()
        bundles = Bundles(
            self._state_dir,
            keep=settings.keep_incidents,
            latest=lambda: self._latest.snapshot,
            kernel_lines=lambda: () if self._kernel is None else self._kernel.recent(),
        )
        tools = Tools(
            self._actuator,
            self._board,
            self._probes,
            self._journal,
            self._casebook,
            save_evidence=bundles.save,
            read_log=bundles.read_log,
        )
        return Loop(
            clock=self._clock,
            tools=tools,
            inbox=self._inbox,
            limits=settings.loop_limits(),
            watches=watches,
            publish=self._latest.publish,
            await_cards=self._gpu_reader is not None,
            scaling=settings.scaling_limits(),
            may_start=self._may_start,
            make_watch=lambda replica_id: self._take_over([replica_id])[0],
            keep_s=settings.keep_days * 86400,
            notices=self._notices,
        )

    def _first_ids(self) -> list[str]:
        """As many as the settings say, and who runs already: scaling drains who is too many."""
        low, high = self._settings.bounds()
        wanted = [
            f"replica-{index}" for index in range(max(low, min(self._settings.replicas, high)))
        ]
        running = [one.id for one in self._board.manifests() if one.watched]
        return [*wanted, *(one for one in running if one not in wanted)]
