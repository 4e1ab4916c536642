"""A service on a real socket that answers as told."""

from __future__ import annotations

import http.server
import json
import threading
from dataclasses import dataclass, field

import pytest

RANKED = {
    "model": "m",
    "results": [{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.1}],
    "usage": {"total_tokens": 5},
}


FINDINGS = {
    "results": [{"rank": 1, "recall_rank": 1, "source": "a.md", "title": "", "text": "words"}],
    "meta": {"candidates": 1, "times_ms": {"total": 1.0}},
}


@dataclass
class Service:
    """What it answers, and what it got; `statuses` come before `status`, one by one."""

    url: str = ""
    status: int = 200
    body: object = field(default_factory=lambda: RANKED)
    headers: dict = field(default_factory=dict)
    got: list = field(default_factory=list)
    statuses: list = field(default_factory=list)


@pytest.fixture
def service():
    told = Service()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            told.got.append((self.path, dict(self.headers), json.loads(raw) if raw else None))
            answer = told.body if isinstance(told.body, bytes) else json.dumps(told.body).encode()
            self.send_response(told.statuses.pop(0) if told.statuses else told.status)
            for name, value in told.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def do_GET(self):
            self.do_POST()

        def log_message(self, *_arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        told.url = f"http://127.0.0.1:{listening.server_port}"
        yield told
        listening.shutdown()
