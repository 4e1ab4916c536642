"""A real worker process with the scripted engine, for tests."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import requests

from service.manifest import Manifest, WorkerState, read_manifest, replicas_dir
from tests.waiting import until

_PROGRAM = """
import json, sys
from service.settings import EngineSettings, ServiceSettings
from service.worker.app import Identity, run
service, engine, identity = (json.loads(text) for text in sys.argv[1:])
sys.exit(run(ServiceSettings(**service), EngineSettings(**engine), Identity(**identity)))
"""


@dataclass
class Running:
    process: subprocess.Popen
    state_dir: Path
    script: Path
    id: str = "replica-0"

    @property
    def manifest(self) -> Manifest | None:
        return read_manifest(replicas_dir(self.state_dir) / f"{self.id}.json")

    def wait_state(self, state: WorkerState, limit_s: float = 10.0) -> Manifest:
        return until(
            f"{self.id} is {state.value}",
            lambda: (m := self.manifest) and m.state is state and m,
            limit_s,
        )

    def act(self, **script: object) -> None:
        """What the engine does from the next job on."""
        self.script.write_text(json.dumps(script))

    def score(self, query: str, *documents: str, **more: object) -> requests.Response:
        body = {"query": query, "documents": documents, "timeout_s": 5.0, **more}
        return requests.post(f"{self.manifest.url}/score", json=body, timeout=10)

    def progress(self) -> dict:
        return requests.get(f"{self.manifest.url}/progress", timeout=5).json()


@contextlib.contextmanager
def worker(state_dir: Path, *, watched: bool = False, **scripted: object) -> Iterator[Running]:
    script = state_dir / "script.json"
    script.parent.mkdir(parents=True, exist_ok=True)
    service = {"state_dir": str(state_dir), "drain_timeout_s": 5.0}
    engine = {"kind": "scripted", "scripted": {"script": str(script), **scripted}}
    arguments = [json.dumps(item) for item in (service, engine, {"watched": watched})]
    process = subprocess.Popen([sys.executable, "-c", _PROGRAM, *arguments], start_new_session=True)
    try:
        yield Running(process, state_dir, script)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(5)
