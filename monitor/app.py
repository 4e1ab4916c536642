"""Builds the watchdog from its settings and runs it; the only place that knows every adapter."""

from __future__ import annotations

import contextlib
import logging
import socket
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from prometheus_client import CollectorRegistry, ProcessCollector

from alerts.settings import AlertSettings
from monitor.actuators.process import WorkerCommand
from monitor.adapters import KernelLog, build_gpu_reader, build_hands
from monitor.adopt import first_ids, hand_over, take_over
from monitor.bundle import Bundles
from monitor.cardnotes import lost_cards
from monitor.casebook import Casebook
from monitor.collectors.certificate import CertificateReader
from monitor.collectors.gateway import GatewayReader
from monitor.collectors.host import HostReader
from monitor.exporter import SnapshotCollector
from monitor.html import PageRenderer
from monitor.inbox import Inbox
from monitor.journal import JournalError
from monitor.keeper import Tools
from monitor.latest import Latest
from monitor.logs import BoundedLog
from monitor.loop import Loop
from monitor.notify import Notifier
from monitor.ports import ActuatorError, Sink
from monitor.probes.owner import recorded
from monitor.probes.process import boot_id
from monitor.probing import ScheduledProbes, build_scheduler
from monitor.reload import Reload
from monitor.rolling import Rolling
from monitor.sampling import Sampler
from monitor.server import Desk, StatusServer
from monitor.settings import MonitorSettings
from monitor.signals import Signals
from monitor.startup import CannotStart, LogSink, SystemClock, build_pipeline, held, open_journal
from monitor.versions import Versions
from monitor.watch import Watch

EXIT_OK = 0
EXIT_USAGE = 2
_ALERTS_STOP_S = 3.0

log = logging.getLogger("rankguard.watchdog")


def run(
    settings: MonitorSettings,
    *,
    state_dir: Path,
    worker_command: WorkerCommand | Sequence[str],
    alerts: AlertSettings | None = None,
    stop_replicas_on_exit: bool = False,
    gateway_url: str | None = None,
    runbooks: Path | None = None,
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
        runbooks: folder of the runbooks that are served; None: none are.
        config_path: named in messages.
        reload: reads the settings anew on SIGHUP; what it raises is told of, and nothing changes.
    """
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    state_dir = state_dir.resolve()  # it is part of the mark by which workers are known
    with BoundedLog(sys.stderr) as lines:
        try:
            with held(state_dir):
                watchdog = _Watchdog(
                    settings,
                    state_dir,
                    worker_command,
                    alerts=alerts,
                    gateway_url=gateway_url,
                    runbooks=runbooks,
                    latest=Latest(lambda: lines.dropped),
                )
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
        *,
        alerts: AlertSettings | None,
        gateway_url: str | None,
        runbooks: Path | None,
        latest: Latest,
    ) -> None:
        self._settings = settings
        self._state_dir = state_dir
        self._clock = SystemClock()
        self._inbox = Inbox()
        self._latest = latest
        database = state_dir / "journal.db"
        self._journal = open_journal(database)
        self._server = self._bind(database, runbooks)
        self._gpu_reader, about_cards, self._ask_reset = build_gpu_reader(
            settings, self._inbox.post, lost_cards(self._journal, boot_id())
        )
        self._pipeline = build_pipeline(alerts, database, self._latest.alive)
        self._scheduler = build_scheduler(6 + 2 * settings.bounds()[1])
        self._hands = build_hands(settings, state_dir, worker_command, self._inbox.wake)
        self._probes = ScheduledProbes(
            self._scheduler,
            self._inbox.post,
            poll_s=settings.poll_s,
            canary_timeout_s=settings.canary_timeout_s,
            mode=settings.canary,
        )
        self._kernel = KernelLog(settings, self._journal, self._inbox)
        self._notices = [one for one in (about_cards, self._hands.notice) if one]
        sink: Sink = LogSink() if self._pipeline is None else self._pipeline
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
        stop = Signals(self._inbox.wake)
        stop.install()
        notifier = Notifier()
        if self._pipeline is not None:
            self._pipeline.start()
        self._scheduler.start()
        self._server.start()
        log.info("watching; status at http://%s:%d/", self._settings.host, self._server.port)
        for notice in self._notices:
            log.info("%s", notice)
        try:
            self._live(stop, notifier, Reload(self._loop, self._settings, reload, config_path))
        finally:
            notifier.stopping()
            self._end(stop, stop_replicas=stop_replicas)
        return EXIT_OK

    def _live(self, stop: Signals, notifier: Notifier, reload: Reload) -> None:
        first = True
        while not stop.asked.is_set():
            if stop.hangup.is_set():
                stop.hangup.clear()
                reload.run()
            posted = self._kernel.cursor
            try:
                pause_s = self._loop.tick()
                notifier.alive()  # rounds that all fail are a watchdog that is restarted
            except Exception:  # the loop itself must never end by a surprise
                log.exception("a round failed")
                pause_s = self._settings.poll_s
            if first:
                notifier.ready()
                first = False
            self._kernel.note(posted)
            self._inbox.wait(pause_s)

    def _end(self, stop: Signals, *, stop_replicas: bool) -> None:
        """Replicas first, while everything still runs; then what watched them."""
        if stop_replicas:
            log.info("draining the replicas")
            self._loop.stop_replicas(stop.forced.is_set)
        else:
            log.info("leaving the replicas running")
        with contextlib.suppress(JournalError):
            replicas, now = self._loop.replicas(), self._clock.now()
            hand_over(replicas, self._journal, ended=stop_replicas, now=now)
        self._scheduler.shutdown(wait=False)
        if self._gpu_reader is not None:
            self._gpu_reader.close()
        self._kernel.stop()
        self._server.shutdown()
        self._server.server_close()
        if self._pipeline is not None:
            self._pipeline.stop(_ALERTS_STOP_S)
        self._hands.actuator.close()
        self._journal.close()

    # building

    def _bind(self, journal: Path, runbooks: Path | None) -> StatusServer:
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
            runbooks=runbooks,
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

    def _schedule(self, gateway_url: str | None) -> None:
        settings = self._settings
        sampler = Sampler(self._scheduler, self._inbox.post)
        sampler.host(HostReader([self._state_dir, *filter(None, [settings.model_cache])]))
        if self._gpu_reader is not None:
            sampler.cards(self._gpu_reader, settings.poll_s)
        if gateway_url is not None:
            low, high = settings.bounds()
            sampler.load(GatewayReader(gateway_url), scales=low < high)
        if settings.certificates:
            reader = CertificateReader(settings.certificates, settings.certificates_ca_file)
            sampler.certificates(reader, self._latest)
        if self._pipeline is not None:
            sampler.delivery(self._pipeline, self._latest)

    def _take_over(self, replica_ids: Sequence[str]) -> list[Watch]:
        return take_over(
            replica_ids,
            self._journal.replicas(),
            actuator=self._hands.actuator,
            board=self._hands.board,
            casebook=self._casebook,
            boot_id=boot_id(),
            now=self._clock.now(),
            anybodys=self._settings.actuator == "observe",
        )

    def _build_loop(self) -> Loop:
        settings = self._settings
        low, high = settings.bounds()
        count = max(low, min(settings.replicas, high))
        watches = self._take_over(first_ids(count, self._hands.board))
        self._hands.end_strays()
        bundles = Bundles(
            self._state_dir,
            keep=settings.keep_incidents,
            latest=lambda: self._latest.snapshot,
            kernel_lines=self._kernel.recent,
        )
        tools = Tools(
            self._hands.actuator,
            self._hands.board,
            self._probes,
            self._journal,
            self._casebook,
            save_evidence=bundles.save,
            read_log=bundles.read_log,
            owner_of=recorded if settings.gpus.startswith("replay:") else self._hands.owners.of,
            end_strays=self._hands.end_strays,
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
            may_start=self._hands.may_start,
            ask_reset=self._ask_reset,
            make_watch=lambda replica_id: self._take_over([replica_id])[0],
            keep_s=settings.keep_days * 86400,
            notices=self._notices,
            boot_id=boot_id(),
            rolling=Rolling(self._journal, Versions(self._state_dir), self._clock.now()),
        )
