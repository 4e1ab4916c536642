"""A gateway and a worker as processes, for clients as their users install them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests.service.worker.running import worker
from tests.waiting import until

_GATEWAY = """
import sys
from pathlib import Path
from service.gateway.app import run
from service.settings import EngineSettings, ServiceSettings
sys.exit(run(ServiceSettings(port=0, state_dir=Path(sys.argv[1])), EngineSettings()))
"""


@pytest.fixture(scope="session")
def url(tmp_path_factory) -> Iterator[str]:
    """The gateway's base URL; the scripted engine behind it ranks by shared words."""
    state_dir = tmp_path_factory.mktemp("state")
    with worker(state_dir):
        log = state_dir / "gateway.log"
        with log.open("w") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-c", _GATEWAY, str(state_dir)], stderr=stderr
            )
        try:
            address = until("listening", lambda: _address(log))
            until("ready", lambda: requests.get(f"{address}/readyz", timeout=5).ok)
            yield address
        finally:
            process.terminate()
            process.wait(timeout=10)


def _address(log: Path) -> str | None:
    for line in log.read_text().splitlines():
        entry = json.loads(line)
        if entry["message"] == "listening":
            return entry["url"]
    return None
