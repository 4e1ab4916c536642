"""Large requests at once, against a gateway and a worker as processes: memory stays bounded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests.e2e.stack import Stack, stack
from tests.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(180)]

DOCUMENTS, BYTES = 2000, 50_000_000
CLIENTS = 8
MEBI = 2**20
REFUSED = 0  # the connection was closed while the body was still being sent


@pytest.fixture(scope="module")
def body() -> bytes:
    """2,000 documents, 50 MB."""
    documents = [f"{n} " + "x" * (BYTES // DOCUMENTS) for n in range(DOCUMENTS)]
    return json.dumps({"query": "q", "documents": documents, "return_documents": False}).encode()


@contextmanager
def serving(folder: Path) -> Iterator[Stack]:
    with stack(folder) as running:
        running.start("worker", "worker")
        running.start("gateway", "serve")
        until("the gateway is ready", running.is_ready, 60)
        yield running


def peak_mebi(running: Stack, name: str) -> float:
    """The most memory that a process ever held, in MiB."""
    status = Path(f"/proc/{running.processes[name].pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def flood(running: Stack, body: bytes) -> set[int]:
    """Every client sends it once, all at the same time; the statuses that came."""

    def send(_: int) -> int:
        headers = {"Content-Type": "application/json"}
        try:
            answer = requests.post(
                f"{running.url}/v1/rerank", data=body, headers=headers, timeout=60
            )
        except requests.RequestException:
            return REFUSED
        return answer.status_code

    with ThreadPoolExecutor(CLIENTS) as clients:
        return set(clients.map(send, range(CLIENTS)))


def test_bodies_beyond_the_limit_are_refused_before_they_are_held(tmp_path, body):
    with serving(tmp_path) as running:
        before = peak_mebi(running, "gateway")

        statuses = flood(running, body)

        assert statuses <= {413, REFUSED}
        assert peak_mebi(running, "gateway") < before + 64
        assert running.rerank().status_code == 200


def test_a_flood_within_the_limits_takes_no_more_memory_the_longer_it_lasts(
    tmp_path, body, monkeypatch: pytest.MonkeyPatch
):
    """Two bodies are held at once at most, and so are their texts; the others hear 429.

    Measured: 275 MiB, of which 62 are the empty gateway; 590 where all bodies are held.
    """
    held = 2 * len(body) + MEBI
    for name, value in {
        "MAX_BODY_BYTES": 64 * MEBI,
        "MAX_BUFFERED_BYTES": held,
        "MAX_DOCUMENTS": DOCUMENTS,
        "BODY_TIMEOUT_S": 60,
        "MAX_WAITING_TOKENS": 100_000_000,
    }.items():
        monkeypatch.setenv(f"RANKGUARD_SERVICE__{name}", str(value))
    with serving(tmp_path) as running:
        empty = {name: peak_mebi(running, name) for name in ("gateway", "worker")}
        statuses = flood(running, body)
        first = peak_mebi(running, "gateway")
        for _ in range(3):
            statuses |= flood(running, body)
        peak = {name: peak_mebi(running, name) for name in ("gateway", "worker")}

        assert 200 in statuses
        assert statuses <= {200, 429, 503, 504, REFUSED}
        # each body: its bytes, their text, the documents; and a chunk of them on its way
        assert peak["gateway"] < empty["gateway"] + 4 * held / MEBI
        assert peak["gateway"] < 1.5 * first
        assert peak["worker"] < empty["worker"] + held / MEBI
        until("it serves on", lambda: running.rerank().status_code == 200, 30)
