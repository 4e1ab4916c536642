"""A Ray cluster of several nodes on this machine, each with a loopback address of its own, and
rankguard on it as rendered. A node stands for a host: its own address, its own state directory.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests
import yaml

from deploy.config import Config
from deploy.render.artefact import write
from deploy.render.host import Site
from deploy.render.kind import Kind, render
from service.manifest import Manifest, WorkerState, read_manifests
from service.process import started_ticks
from tests.waiting import free_port, until

ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_SERVE_LOG_TO_STDERR": "0",
    # as in the rendered commands: whoever has no token is refused
    "RAY_AUTH_MODE": "token",
    "RAY_AUTH_TOKEN": uuid.uuid4().hex,
    # how long a node's silence is borne before it counts as dead; Ray's own is half a minute
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_failure_threshold": "8",
    # no idle processes for CPUs that are not there
    "RAY_prestart_worker_first_driver": "0",
    "RAY_enable_worker_prestart": "0",
}
STORE_BYTES = 100 * 2**20
QUERY = "how do I reset my password"
RIGHT = "to reset your password, open the settings and choose reset password"
WRONG = "the ferry to the island leaves every morning at nine"


@dataclass
class Hosts:
    """The running cluster. `nodes` has no head: that one runs Serve's proxy and is not killed."""

    folder: Path
    cluster: object
    port: int
    config: Config
    nodes: dict[str, object] = field(default_factory=dict)
    serving: subprocess.Popen | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def state_dir(self, name: str) -> Path:
        return self.folder / name

    @property
    def everywhere(self) -> list[str]:
        return ["head", *self.nodes]

    def script(self, **fault: object) -> None:
        """What the engine of one process (`pid`), or of all, does from the next job on."""
        (self.folder / "script.json").write_text(json.dumps(fault))

    def add(self, name: str, cpus: int = 5) -> None:
        number = 3 + int(name.rpartition("-")[2])
        self.nodes[name] = _node(
            self.cluster,
            num_cpus=cpus,
            object_store_memory=STORE_BYTES,
            node_ip_address=f"127.0.0.{number}",
            env_vars={"RANKGUARD_SERVICE__STATE_DIR": str(self.state_dir(name))},
        )

    def kill(self, name: str) -> None:
        """End the node at once: raylet and agents; the replicas on it go with them."""
        self.cluster.remove_node(self.nodes.pop(name), allow_graceful=False)

    def manifests(self, name: str) -> list[Manifest]:
        return read_manifests(self.state_dir(name))

    def a_replica(self) -> Manifest:
        """One that runs, on a node rather than on the head."""
        names = [*self.nodes, "head"]
        return next(one for name in names for one in self.manifests(name) if _serves(one))

    def ready_on(self, *names: str) -> int:
        """Engine replicas that say on these nodes that they are ready, and whose process runs."""
        found = [one for name in names for one in self.manifests(name)]
        return sum(map(_serves, found))

    def readiness(self) -> dict:
        try:
            return requests.get(f"{self.url}/readyz", timeout=5).json()
        except (requests.RequestException, ValueError):
            return {}

    def routable(self) -> int:
        return sum(one["routable"] for one in self.readiness().get("replicas", []))

    def wait_routable(self, count: int, limit_s: float = 60.0) -> None:
        until(f"{count} replicas are routable", lambda: self.routable() == count, limit_s)

    def serve(self) -> None:
        """`serve run` on the rendered file, as an operator would without Ray's dashboard."""
        log = (self.folder / "serve.log").open("ab")
        self.serving = subprocess.Popen(
            self._run_command(self.config),
            stdout=log,
            stderr=log,
            env={**os.environ, **ENVIRONMENT},
            start_new_session=True,
        )

    def resize(self, replicas: int) -> None:
        """The same with another number of engine replicas: Serve ends those that are too many."""
        monitor = self.config.monitor.model_copy(update={"replicas": replicas})
        config = self.config.model_copy(update={"monitor": monitor})
        subprocess.run(
            [*self._run_command(config), "--non-blocking"],
            env={**os.environ, **ENVIRONMENT},
            capture_output=True,
            timeout=120,
            check=True,
        )

    def _run_command(self, config: Config) -> list[str]:
        out = self.folder / "rendered"
        write(render(Kind.RAY, config, Site()), out)
        path = out / "serve.yaml"
        body = yaml.safe_load(path.read_text())
        # the nodes are one machine, whose port is there once
        body["proxy_location"] = "HeadOnly"
        path.write_text(yaml.safe_dump(body))
        command = [str(Path(sys.executable).with_name("serve")), "run", str(path)]
        return [*command, "--address", self.cluster.address]

    def watchdog_environment(self, name: str) -> dict[str, str]:
        """What `watchdog.env` says, with the node's own state directory."""
        lines = (self.folder / "rendered" / "watchdog.env").read_text().splitlines()
        rendered = dict(line.split("=", 1) for line in lines if not line.startswith("#"))
        own = {"RANKGUARD_SERVICE__STATE_DIR": str(self.state_dir(name))}
        return {**os.environ, **rendered, **own}

    def log(self) -> str:
        return (self.folder / "serve.log").read_text(errors="replace")[-3000:]

    def stop(self) -> None:
        if self.serving is not None:
            self.serving.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.serving.wait(30)
            if self.serving.poll() is None:
                os.killpg(self.serving.pid, signal.SIGKILL)
                self.serving.wait(5)
        self.cluster.shutdown()


def _serves(manifest: Manifest) -> bool:
    running = started_ticks(manifest.pid) == manifest.started_ticks
    return running and manifest.state is WorkerState.READY


def _node(cluster: object, **options: object) -> object:
    """One more node; tried again when it is not up in Ray's 30 seconds: the machine is busy."""
    for _ in range(2):
        with contextlib.suppress(Exception):
            return cluster.add_node(**options)
    return cluster.add_node(**options)


@contextlib.contextmanager
def hosts(
    folder: Path, nodes: int, *, document_s: float, cpus: int = 5, **sections: dict
) -> Iterator[Hosts]:
    """A cluster with a head and `nodes` more nodes, rankguard deployed on it.

    The engine is the scripted one; a document takes it `document_s` seconds of sleep.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        from ray._raylet import AuthenticationTokenLoader
        from ray._raylet import Config as RayConfig
        from ray.cluster_utils import Cluster

        RayConfig.initialize("")  # it was read when Ray was imported
        AuthenticationTokenLoader.instance().reset_cache()
        port = free_port()
        scripted = {"document_s": document_s, "script": str(folder / "script.json")}
        sections["engine"] = {"kind": "scripted", "scripted": scripted}
        sections["fleet"] = {"gateway_port": free_port(), **sections.get("fleet", {})}
        config = Config.model_validate(
            {**sections, "service": {"port": port, "state_dir": str(folder / "head")}}
        )
        cluster = Cluster()
        running = Hosts(folder, cluster, port, config)
        try:
            # not 127.0.0.1: Ray takes that for "find out my address"
            _node(
                cluster,
                num_cpus=cpus if nodes == 0 else 1,
                object_store_memory=STORE_BYTES,
                include_dashboard=False,
                node_ip_address="127.0.0.2",
            )
            for number in range(nodes):
                running.add(f"node-{number}", cpus)
            running.serve()
            yield running
        finally:
            running.stop()


class Clients:
    """Clients that rerank in a loop; each tries again when an answer is the server's failure."""

    TRIES = 4

    def __init__(self, url: str, clients: int = 4, documents: int = 4) -> None:
        self._url = url
        self._mark = uuid.uuid4().hex
        self._stop = threading.Event()
        # no text twice: the gateway scores equal ones once
        self._documents = [RIGHT, *(f"{WRONG} {number}" for number in range(documents - 1))]
        self._asked: dict[int, float] = {}
        self.answered = 0
        self.retried = 0
        self.failed: list[str] = []
        self.wrong: list[str] = []
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._run, args=(number,), daemon=True)
            for number in range(clients)
        ]
        for thread in self._threads:
            thread.start()

    def _run(self, client: int) -> None:
        number = 0
        while not self._stop.is_set():
            number += 1
            # new texts each time: no cache of the gateway's may answer
            self._ask(f"{QUERY} {self._mark} {client} {number}")

    def _ask(self, query: str) -> None:
        self._asked[threading.get_ident()] = time.monotonic()
        said = ""
        for tries in range(self.TRIES):
            try:
                got = requests.post(
                    f"{self._url}/v1/rerank",
                    json={"query": query, "documents": self._documents},
                    timeout=60,
                )
            except requests.RequestException as error:
                said = type(error).__name__
            else:
                if got.ok:
                    self._answered(got, tries)
                    return
                said = f"{got.status_code} {got.text[:300]}"
                if got.status_code < 500:
                    break
            time.sleep(0.2)
        with self._lock:
            self.failed.append(said)

    def _answered(self, got: requests.Response, tries: int) -> None:
        best = got.json()["results"][0]["index"]
        with self._lock:
            self.answered += 1
            self.retried += tries > 0
            if self._documents[best] != RIGHT:
                self.wrong.append(got.text[:300])

    def more(self, count: int, limit_s: float = 120.0) -> None:
        """Wait for so many more answers."""
        wanted = self.answered + count
        try:
            until(f"{count} more answers", lambda: self.answered >= wanted, limit_s)
        except AssertionError as error:
            now = time.monotonic()
            waiting = [f"{now - began:.1f} s" for began in self._asked.values()]
            raise AssertionError(f"{error}: {self}, in hand for {waiting}") from None

    def __repr__(self) -> str:
        return f"{self.answered} answered, {self.retried} repeated, failed: {self.failed}"

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(90)
