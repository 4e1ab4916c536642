"""The whole machine as real processes, for tests: `rankguard up` or its parts, on free ports."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import requests

from service.manifest import Manifest, read_manifest, read_manifests, replicas_dir
from tests.waiting import free_port, until

QUERY = "how do I reset my password"
RIGHT = "to reset your password, open the settings and choose reset password"
WRONG = "the ferry to the island leaves every morning at nine"


@dataclass
class Received:
    """One message that the webhook receiver got."""

    headers: dict[str, str]
    body: dict

    @property
    def status(self) -> str:
        return self.body["status"]

    @property
    def name(self) -> str:
        return self.body["alerts"][0]["labels"]["alertname"]


class Webhook:
    """A receiver on loopback that keeps what it gets; `fail` answers 500 that many times first.

    `refuse` may answer in its own way: it is given the request and says whether it did.
    """

    def __init__(self) -> None:
        self.received: list[Received] = []
        self.fail = 0
        self.refuse: Callable[[BaseHTTPRequestHandler], bool] = lambda _: False
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["Content-Length"]))
                if outer.refuse(self):
                    return
                if outer.fail > 0:
                    outer.fail -= 1
                    self.send_response(500)
                else:
                    outer.received.append(Received(dict(self.headers), json.loads(raw)))
                    self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@dataclass
class Stack:
    """Where a running stack is, and how to reach and to hurt it.

    `environment` is added to what its processes inherit; `python` runs them.
    """

    folder: Path
    gateway_port: int
    watchdog_port: int
    processes: dict[str, subprocess.Popen] = field(default_factory=dict)
    webhook: Webhook | None = None
    environment: dict[str, str] = field(default_factory=dict)
    python: str = sys.executable

    @property
    def state_dir(self) -> Path:
        return self.folder / "state"

    @property
    def config(self) -> Path:
        return self.folder / "rankguard.toml"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.gateway_port}"

    @property
    def watchdog_url(self) -> str:
        return f"http://127.0.0.1:{self.watchdog_port}"

    def command(self, *arguments: str) -> list[str]:
        return [self.python, "-m", "deploy", *arguments, "--config", str(self.config)]

    def start(self, name: str, *arguments: str) -> subprocess.Popen:
        log = (self.folder / f"{name}.log").open("ab")
        process = subprocess.Popen(
            self.command(*arguments),
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, **self.environment},
        )
        self.processes[name] = process
        return process

    def cli(self, *arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            self.command(*arguments), capture_output=True, text=True, timeout=60, check=False
        )

    def manifests(self) -> list[Manifest]:
        return read_manifests(self.state_dir)

    def manifest(self, replica: str) -> Manifest | None:
        return read_manifest(replicas_dir(self.state_dir) / f"{replica}.json")

    def status(self) -> dict:
        return requests.get(f"{self.watchdog_url}/status", timeout=5).json()

    def is_ready(self) -> bool:
        try:
            return requests.get(f"{self.url}/readyz", timeout=2).ok
        except requests.RequestException:
            return False

    def routable(self) -> int:
        """How many replicas the watchdog calls healthy."""
        try:
            return sum(item["state"] == "healthy" for item in self.status().get("replicas", []))
        except requests.RequestException:
            return 0

    def wait_ready(self, replicas: int = 1, limit_s: float = 30.0) -> None:
        until("the gateway is ready", self.is_ready, limit_s)
        self.wait_healthy(replicas, limit_s)

    def wait_healthy(self, replicas: int = 1, limit_s: float = 30.0) -> None:
        until(f"{replicas} replicas are healthy", lambda: self.routable() >= replicas, limit_s)

    def rerank(self, **body: object) -> requests.Response:
        body = {"query": QUERY, "documents": [WRONG, RIGHT], **body}
        return requests.post(f"{self.url}/v1/rerank", json=body, timeout=60)

    def script(self, **fault: object) -> None:
        """What the scripted engine does from the next job on."""
        (self.folder / "script.json").write_text(json.dumps(fault))

    def incidents(self) -> list[dict]:
        return json.loads(self.cli("incidents", "--json").stdout)

    def transitions(self) -> list[tuple]:
        with contextlib.closing(sqlite3.connect(self.state_dir / "journal.db")) as database:
            return database.execute("select * from transitions").fetchall()

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def kill_everything(self) -> None:
        pids = [manifest.pid for manifest in self.manifests()]
        pids += [process.pid for process in self.processes.values()]
        for pid in pids:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
        for process in self.processes.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)
        # what `up` started ends with it; give the kernel's signal a moment, then make sure
        for process in psutil.process_iter(["cmdline"]):
            if str(self.config) in (process.info["cmdline"] or []):
                with contextlib.suppress(psutil.Error):
                    process.kill()


_CONFIG = """
[service]
port = {gateway}
state_dir = "{folder}/state"
drain_timeout_s = 10
request_timeout_s = 30
[engine]
kind = "{engine}"
[engine.scripted]
script = "{folder}/script.json"
document_s = {document_s}
load_s = {load_s}
[monitor]
port = {watchdog}
replicas = {replicas}
canary = "{canary}"
canary_s = {canary_s}
gpus = "{gpus}"
"""
_RECEIVER = """
[[alerts.receivers]]
name = "oncall"
type = "webhook"
url = "{url}"
allow_insecure = true
"""


@contextlib.contextmanager
def stack(
    folder: Path,
    *,
    replicas: int = 1,
    engine: str = "scripted",
    document_s: float = 0.0,
    load_s: float = 0.0,
    canary_s: float = 2.0,
    gpus: str = "none",
    more: str = "",
    environment: Mapping[str, str] | None = None,
    python: str = sys.executable,
) -> Iterator[Stack]:
    """A configured stack with a webhook receiver; nothing is started yet."""
    webhook = Webhook()
    running = Stack(folder, free_port(), free_port(), webhook=webhook, python=python)
    # the playground's start costs seconds of a core: only its own tests have it
    running.environment.update({"RANKGUARD_UI__ENABLED": "false", **(environment or {})})
    text = _CONFIG.format(
        gateway=running.gateway_port,
        watchdog=running.watchdog_port,
        folder=folder,
        engine=engine,
        replicas=replicas,
        document_s=document_s,
        load_s=load_s,
        canary_s=canary_s,
        gpus=gpus,
        canary="order" if engine == "embedded" else "baseline",
    )
    running.config.write_text(text + _RECEIVER.format(url=webhook.url) + more)
    try:
        yield running
    finally:
        running.kill_everything()
        webhook.close()


@dataclass(frozen=True)
class Answer:
    """One request's outcome; status 0: no answer at all."""

    seconds: float
    status: int
    text: str


class Load:
    """Concurrent clients that rerank until told to stop; keeps every answer."""

    def __init__(
        self, target: Stack, clients: int = 8, documents: int = 4, timeout_s: float = 60.0
    ) -> None:
        self._target = target
        self._timeout_s = timeout_s
        self._stop = threading.Event()
        self._documents = [WRONG, RIGHT] * (documents // 2)
        self.answers: list[Answer] = []
        self.failed: list[Answer] = []
        self.wrong: list[Answer] = []
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(clients)]
        for thread in self._threads:
            thread.start()

    def _run(self) -> None:
        with requests.Session() as session:
            number = 0
            while not self._stop.is_set():
                number += 1
                # each query is new, so that no cache can answer
                query = f"{QUERY} {threading.get_ident()} {number}"
                self._ask(session, {"query": query, "documents": self._documents})

    def _ask(self, session: requests.Session, body: dict[str, object]) -> None:
        began = time.monotonic()
        try:
            got = session.post(f"{self._target.url}/v1/rerank", json=body, timeout=self._timeout_s)
            answer = Answer(time.monotonic() - began, got.status_code, got.text)
        except requests.RequestException as error:
            answer = Answer(time.monotonic() - began, 0, repr(error))
        if answer.status != 200:
            self.failed.append(answer)
        elif json.loads(answer.text)["results"][0]["index"] % 2 == 0:
            self.wrong.append(answer)
        self.answers.append(answer)

    def at_least(self, count: int, limit_s: float = 60.0) -> None:
        until(f"{count} answers", lambda: len(self.answers) >= count, limit_s)

    def stop(self) -> list[Answer]:
        """End the clients; what failed and what was wrong."""
        self._stop.set()
        for thread in self._threads:
            thread.join(65)
        return self.failed + self.wrong
