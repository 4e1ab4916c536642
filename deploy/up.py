"""`rankguard up`: gateway, watchdog and playground as children, in order up and in order down.

The watchdog owns the replicas; `up` keeps the two processes alive and ends everything in the
right order: first the gateway, whose open requests need the replicas, then the watchdog.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import requests

from deploy.address import local_url
from deploy.config import Config
from deploy.doctor.finding import Finding
from deploy.doctor.host import check_host, check_port, check_state_dir
from deploy.lock import AlreadyRunning, CannotHold, hold, is_held
from deploy.part import Part
from deploy.pulse import Pulse, asking
from deploy.ui.settings import EXTRA, is_installed
from service.manifest import Manifest, read_manifests, replicas_dir
from service.process import boot_id, started_ticks
from service.worker.engines.e5.place import is_complete, model_folder
from service.worker.select import resolve_kind
from service.worker.worker import EXIT_START_FAILED_FOR_GOOD

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_FORCED = 130
_POLL_S = 0.2
_GRACE_S = 10.0  # on top of the drain timeout: for a process to close its files and end


class Up:
    """The running skeleton: start, wait until ready, keep alive, end in order."""

    def __init__(
        self,
        config: Config,
        file: Path | None,
        say: Callable[[str], None],
        *,
        has_playground: bool = False,
    ) -> None:
        self._config = config
        self._say = say
        self._stop = threading.Event()
        self._forced = False
        self._http = requests.Session()
        self._http.trust_env = False  # the gateway is ours: no proxy
        self._why_not = ""
        settings = ["--config", str(file.resolve())] if file else []
        tail = [*settings, "--die-with-parent", str(os.getpid())]
        base = [sys.executable, "-m", "deploy"]
        service, monitor = config.service, config.monitor
        self._gateway_url = local_url(service.host, service.port)
        self._watchdog_url = local_url(monitor.host, monitor.port)
        self._watchdog = Part(
            "watchdog",
            [*base, "watch", "--stop-replicas-on-exit", *tail],
            Pulse(asking(self._watchdog_url)),
        )
        self._gateway = Part("gateway", [*base, "serve", *tail], Pulse(asking(self._gateway_url)))
        self._playground = Part("playground", [*base, "ui", *tail]) if has_playground else None

    def run(self) -> int:
        """Live from start to end; returns the exit code."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)
        began = time.monotonic()
        try:
            self._watchdog.start(began)
            self._gateway.start(began)
            code = self._live(began)
        finally:
            self._end()
            if self._why_not:
                self._say(self._why_not)
        return EXIT_FORCED if self._forced else code

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        if self._stop.is_set():
            self._forced = True
            self._kill_all()
        self._stop.set()

    def _live(self, began: float) -> int:
        ready = False
        reason = ""
        while not self._stop.wait(_POLL_S):
            for part in (self._watchdog, self._gateway):
                if part.process is not None and part.process.poll() == EXIT_USAGE:
                    self._say(f"the {part.name} cannot start; see the message above")
                    return EXIT_USAGE
                self._keep_alive(part)
            if ready:
                self._keep_playground()
                continue
            ready, now_reason = self._readiness()
            if ready:
                self._announce(time.monotonic() - began)
            elif self._hopeless():
                return EXIT_FAILED
            elif now_reason != reason:
                reason = now_reason
                self._say(f"waiting: {reason}")
        return EXIT_OK

    def _keep_alive(self, part: Part) -> None:
        now = time.monotonic()
        if part.kill_if_hung(now):
            self._say(f"the {part.name} does not answer any more and was killed")
        if part.process is not None:
            code = part.process.poll()
            if code is None:
                return
            part.ended(now)
            self._say(f"the {part.name} ended (status {code}); starting it again")
        if now >= part.next_start:
            part.start(now)

    def _keep_playground(self) -> None:
        """It starts when all else is ready, and nothing that happens to it touches the rest."""
        part = self._playground
        if part is None:
            return
        if part.process is not None and part.process.poll() == EXIT_USAGE:
            self._say("the playground cannot start; see the message above. All else goes on")
            self._playground = None
            return
        self._keep_alive(part)

    def _readiness(self) -> tuple[bool, str]:
        try:
            answer = self._http.get(f"{self._gateway_url}/readyz", timeout=1.0)
            body = answer.json()
        except (requests.RequestException, ValueError):
            return False, "the gateway is starting"
        return answer.ok, str(body.get("reason", answer.status_code))

    def _manifests(self) -> list[Manifest]:
        return read_manifests(self._config.service.state_dir)

    def _hopeless(self) -> bool:
        """Every replica said that another start would change nothing."""
        manifests = self._manifests()
        failed = [item for item in manifests if item.exit_code == EXIT_START_FAILED_FOR_GOOD]
        if not manifests or len(failed) < len(manifests):
            return False
        causes = sorted({str(item.reason) for item in failed})
        self._why_not = "\n".join(f"the model cannot be served: {cause}" for cause in causes)
        return True

    def _announce(self, seconds: float) -> None:
        self._say(f"rankguard is ready after {seconds:.1f} s")
        self._say(f"  API     {self._gateway_url}/v1/rerank  (/docs for the schema)")
        self._say(f"  status  {self._watchdog_url}/")
        if self._playground is not None:
            page = self._config.ui
            self._say(f"  page    {local_url(page.host, page.port)}/  (in a few seconds)")
        for notice in {item.notice for item in self._manifests() if item.notice}:
            self._say(f"  note    {notice}")
        self._say("Ctrl-C drains and stops; a second one forces")

    def _end(self) -> None:
        if not self._forced:
            self._say("stopping: open requests finish first")
        limit_s = self._config.service.drain_timeout_s + _GRACE_S
        if self._playground is not None:
            self._playground.stop(_GRACE_S)
        self._gateway.stop(limit_s)
        self._watchdog.stop(limit_s + _GRACE_S)
        if self._sweep():
            self._say("a replica had to be killed")
        if not self._forced:
            self._say("stopped")

    def _kill_all(self) -> None:
        for part in (self._playground, self._gateway, self._watchdog):
            if part is not None:
                part.kill()
        self._sweep()

    def _sweep(self) -> int:
        """Kill replicas that the watchdog left, and remove their manifests; how many there were."""
        killed = 0
        for manifest in self._manifests():
            same_boot = manifest.boot_id == boot_id()
            if same_boot and started_ticks(manifest.pid) == manifest.started_ticks:
                killed += 1
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(manifest.pid, signal.SIGKILL)
            path = replicas_dir(self._config.service.state_dir) / f"{manifest.id}.json"
            path.unlink(missing_ok=True)
        return killed


def up(config: Config, file: Path | None) -> int:
    """Check the host, prepare the model, run everything; returns the exit code."""

    def say(text: str) -> None:
        print(text, file=sys.stderr, flush=True)

    state_dir = config.service.state_dir
    if not _passes([check_state_dir(state_dir)], say):
        return EXIT_USAGE
    try:
        with hold(state_dir):
            _await_last_run(config, say)
            if not _passes(check_host(config), say):
                return EXIT_USAGE
            kind, why = resolve_kind(config.engine)
            say(f"engine: {kind} ({why})")
            if kind == "embedded" and not _prepare_model(config, file):
                return EXIT_FAILED
            playground = _has_playground(config, say)
            return Up(config, file, say, has_playground=playground).run()
    except CannotHold as error:
        say(f"state directory: {error}")
        return EXIT_USAGE
    except AlreadyRunning as error:
        say(f"rankguard already runs on {state_dir} (pid {error}); stop it, or set another")
        say("  fix: RANKGUARD_SERVICE__STATE_DIR=… and other ports")
        return EXIT_USAGE


def _passes(findings: list[Finding], say: Callable[[str], None]) -> bool:
    failed = [item for item in findings if item.level is Finding.Level.FAIL]
    for finding in failed:
        say(f"{finding.check}: {finding.message}\n  fix: {finding.fix}")
    return not failed


def _has_playground(config: Config, say: Callable[[str], None]) -> bool:
    """Whether to start it; a reason why not never keeps the service from starting."""
    if config.ui.enabled is False:
        return False
    if not is_installed():
        if config.ui.enabled is True:
            say(f"no playground: it is not installed\n  fix: pip install '{EXTRA}'")
        return False
    taken = check_port("playground port", config.ui.host, config.ui.port, "ui")
    if taken.level is Finding.Level.FAIL:
        say(f"no playground: {taken.message}\n  fix: {taken.fix}")
        return False
    return True


def _await_last_run(config: Config, say: Callable[[str], None]) -> None:
    """An `up` that was killed leaves a watchdog that drains its replicas before it ends."""
    lock = config.service.state_dir / "watchdog.lock"
    deadline = time.monotonic() + config.service.drain_timeout_s + _GRACE_S
    told = False
    while time.monotonic() < deadline and is_held(lock):
        if not told:
            say("waiting: the watchdog of an earlier run is still ending")
            told = True
        time.sleep(_POLL_S)


def _prepare_model(config: Config, file: Path | None) -> bool:
    """Make the embedded model where it is missing, in a child: its libraries are large."""
    if is_complete(model_folder(config.engine.embedded)):
        return True
    settings = ["--config", str(file.resolve())] if file else []
    command = [sys.executable, "-m", "deploy", "model", "prepare", *settings]
    return subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode == 0
