"""Gateway and worker as two processes with real vLLM, asked over HTTP as a client would."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import requests

from deploy.bench.bare import sides
from deploy.bench.bare.server import Server, free_port

START_S = 240.0
MAX_TOKENS = 2048


@dataclass(frozen=True)
class Client:
    """Asks `/v1/rerank` on one connection."""

    url: str
    worker_url: str
    session: requests.Session

    def rerank(self, query: str, documents: list[str], **more: object) -> requests.Response:
        body = {"query": query, "documents": documents, "return_documents": False, **more}
        return self.session.post(f"{self.url}/v1/rerank", json=body, timeout=300)

    def results(self, query: str, documents: list[str], **more: object) -> list[dict]:
        """The results as answered: best first."""
        answer = self.rerank(query, documents, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()["results"]

    def progress(self) -> dict:
        """What the worker says of itself."""
        return requests.get(f"{self.worker_url}/progress", timeout=5).json()


@contextlib.contextmanager
def serving(folder: Path, model: Path, *, prefix_cache: bool = True) -> Iterator[Client]:
    """A gateway without a score cache, so that every request reaches vLLM."""
    folder.mkdir(parents=True)
    server = Server("ours", free_port(), "/readyz", state_dir=folder / "state")
    config = folder / "rankguard.toml"
    config.write_text(
        "\n".join(
            [
                "[service]",
                f"port = {server.port}",
                f"state_dir = {json.dumps(str(server.state_dir))}",
                "request_timeout_s = 300",
                "cache_bytes = 0",
                "[engine]",
                'kind = "vllm"',
                f"model = {json.dumps(str(model))}",
                f"max_model_len = {MAX_TOKENS}",
                'self_check = "warn"',  # random weights know nothing of Paris
                "[engine.vllm]",
                "enforce_eager = true",
                f"enable_prefix_caching = {json.dumps(prefix_cache)}",
                f"kv_cache_memory_bytes = {1 << 30}",
                "",
            ]
        ),
        encoding="utf-8",
    )
    try:
        for part, command in sides.our_commands(sys.executable, config).items():
            server.start(command, folder / f"{part}.log")
        server.wait_ready(START_S)
        with requests.Session() as session:
            yield Client(server.url, server.manifest().url, session)
    finally:
        server.stop()
