"""One watchdog with real workers on a state directory, and the ways to hurt them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import requests

from monitor.board import FileBoard
from monitor.journal import JournalError, read_incidents
from tests.waiting import free_port, until


class Stand:
    def __init__(self, folder: Path, *, worker=(), environment=None, **settings) -> None:
        self.state_dir = folder / "state"
        self.port = free_port()
        self.settings = {
            "port": self.port,
            "gpus": "none",
            "poll_s": 0.5,
            "canary_s": 2.0,
            **settings,
        }
        self.worker = list(worker)
        self.environment = environment
        self.board = FileBoard(self.state_dir)
        self.log = folder / "watchdog.log"
        self.process: subprocess.Popen | None = None

    def command(self, *, stop_replicas=False) -> list[str]:
        return [
            sys.executable,
            "-m",
            "tests.monitor.watchdog_main",
            f"--state-dir={self.state_dir}",
            f"--settings={json.dumps(self.settings)}",
            f"--worker={json.dumps(self.worker)}",
            f"--reload-from={self.state_dir.parent / 'settings.json'}",
            *(["--stop-replicas"] if stop_replicas else []),
        ]

    def start(self, *, stop_replicas=True) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command(stop_replicas=stop_replicas),
                stdout=log,
                stderr=log,
                env=self.environment,
            )

    def status(self) -> dict:
        try:
            return requests.get(f"http://127.0.0.1:{self.port}/status", timeout=5).json()
        except requests.RequestException:
            return {"state": "unreachable", "replicas": []}

    def metrics(self) -> str:
        return requests.get(f"http://127.0.0.1:{self.port}/metrics", timeout=5).text

    def command_replica(self, replica: str, verb: str, **headers) -> requests.Response:
        headers = headers or {"X-Rankguard-Operator": "test"}
        url = f"http://127.0.0.1:{self.port}/api/replicas/{replica}/{verb}"
        return requests.post(url, headers=headers, timeout=5)

    def healthy(self, count=1) -> bool:
        body = self.status()
        return body["state"] == "healthy" and len(body["replicas"]) >= count

    def wait_healthy(self, count=1, limit_s=20.0) -> None:
        until(f"{count} replicas are healthy", lambda: self.healthy(count), limit_s)

    def script(self, replica="replica-0", **fault) -> None:
        path = self.state_dir / f"{replica}.script.json"
        temporary = path.with_suffix(".new")
        temporary.write_text(json.dumps(fault))
        temporary.replace(path)

    def manifest(self, replica="replica-0"):
        return self.board.manifest(replica)

    def verdict(self, replica="replica-0") -> dict:
        return json.loads((self.state_dir / "verdicts" / f"{replica}.json").read_text())

    def incidents(self) -> list[dict]:
        try:
            return read_incidents(self.state_dir / "journal.db")
        except JournalError:
            return []

    def resolved(self) -> list[dict]:
        found = self.incidents()
        return found if found and all(one["status"] == "resolved" for one in found) else []

    def score(self, replica="replica-0", timeout_s=30.0) -> requests.Response:
        body = {"id": "t", "query": "a b", "documents": ["a", "b"], "timeout_s": timeout_s}
        return requests.post(f"{self.manifest(replica).url}/score", json=body, timeout=timeout_s)

    def stop(self, number=signal.SIGTERM, limit_s=20.0) -> int:
        self.process.send_signal(number)
        return self.process.wait(limit_s)

    def clear(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(5)
        for manifest in self.board.manifests():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(manifest.identity.pid, signal.SIGKILL)
