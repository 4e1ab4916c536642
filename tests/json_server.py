"""A server for tests whose answers a test gives; on a free loopback port, in threads of its own."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Asked:
    """One POST."""

    path: str
    body: dict
    headers: dict[str, str]


@dataclass(frozen=True)
class Said:
    """What is answered: bytes as they are, anything else as JSON."""

    status: int
    content: object
    headers: dict[str, str] = field(default_factory=dict)


class JsonServer:
    """To be subclassed with `answer`; a context manager."""

    def __init__(self) -> None:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                said = outer.answer(Asked(self.path, body, dict(self.headers)))
                content = said.content
                raw = content if isinstance(content, bytes) else json.dumps(content).encode()
                self.send_response(said.status)
                for name, value in said.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def answer(self, asked: Asked) -> Said:
        raise NotImplementedError

    def __enter__(self):
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
