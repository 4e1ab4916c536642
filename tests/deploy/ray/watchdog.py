"""Observing watchdogs beside a Ray cluster's nodes, one for each, with a receiver of alerts."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import requests

from tests.deploy.ray.cluster import Hosts
from tests.e2e.stack import Webhook
from tests.waiting import free_port, until

CARDS = Path(__file__).parents[2] / "recordings" / "a10x1.jsonl"
CONFIG = """
[service]
state_dir = "{state_dir}"
[monitor]
port = {port}
gpus = "replay:{cards}"
canary = "order"
canary_s = 2.0
[[alerts.receivers]]
name = "oncall"
type = "webhook"
url = "{url}"
allow_insecure = true
"""


@dataclass(frozen=True)
class Watching:
    hosts: Hosts
    folder: Path
    ports: dict[str, int]

    @property
    def addresses(self) -> list[str]:
        return [f"127.0.0.1:{port}" for port in self.ports.values()]

    def expected(self) -> int:
        return self.hosts.ready_on(*self.ports)

    def healthy(self) -> int:
        """Replicas that their hosts' watchdogs call healthy."""
        found = []
        for address in self.addresses:
            with contextlib.suppress(requests.RequestException):
                found += requests.get(f"http://{address}/status", timeout=5).json()["replicas"]
        return sum(one["state"] == "healthy" for one in found)

    def incidents(self) -> set[tuple[str, str]]:
        """Those that fire: watchdog and id."""
        found = set()
        for address in self.addresses:
            status = requests.get(f"http://{address}/status", timeout=5).json()
            found |= {(address, str(one["id"])) for one in status["incidents"]}
        return found

    def status(self, *arguments: str) -> dict:
        command = [sys.executable, "-m", "deploy", "status", "--json", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        return json.loads(done.stdout)


@contextlib.contextmanager
def watchdogs(hosts: Hosts, folder: Path) -> Iterator[tuple[Watching, Webhook]]:
    """One for the head and one for each node, with the environment as rendered for them."""
    webhook = Webhook()
    ports = {name: free_port() for name in ("head", *hosts.nodes)}
    processes = []
    try:
        for name, port in ports.items():
            config = folder / f"{name}.toml"
            config.write_text(
                CONFIG.format(
                    state_dir=hosts.state_dir(name), port=port, cards=CARDS, url=webhook.url
                )
            )
            log = (folder / f"{name}.log").open("wb")
            command = [sys.executable, "-m", "deploy", "watch", "--config", str(config)]
            environment = hosts.watchdog_environment(name)
            processes.append(subprocess.Popen(command, stdout=log, stderr=log, env=environment))
        watching = Watching(hosts, folder, ports)
        until("all watchdogs answer", lambda: all(map(_answers, watching.addresses)), 60)
        yield watching, webhook
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
        webhook.close()


def _answers(address: str) -> bool:
    try:
        return requests.get(f"http://{address}/status", timeout=5).ok
    except requests.RequestException:
        return False
