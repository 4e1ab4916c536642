"""A scripted HTTP server that plays a vendor: each request gets the next answer of the script."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Reply:
    """One answer. `hang`: none at all. `drip_s`: a pause before every byte of the body.

    `missing`: bytes of the body that are promised and do not come.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    hang: bool = False
    drip_s: float = 0.0
    missing: int = 0
    cut: bool = False


def says(body: Any, status: int = 200, **headers: str) -> Reply:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, json.dumps(body).encode(), named)


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Vendor(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, default: Reply) -> None:
        self.script: list[Reply] = []
        self.default = default
        self.got: list[Request] = []
        self.closing = threading.Event()
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def url(self, path: str = "/hook") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is part of the play."""


class _Handler(BaseHTTPRequestHandler):
    server: Vendor

    def _play(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if len(body) < length:
            return  # the client died while it sent
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.got.append(Request(self.command, self.path, headers, body))
        reply = self.server.script.pop(0) if self.server.script else self.server.default
        if reply.hang:
            self.server.closing.wait(20)
            return
        if reply.cut:
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body) + reply.missing))
        self.end_headers()
        if not reply.drip_s:
            self.wfile.write(reply.body)
            return
        for index in range(len(reply.body)):
            if self.server.closing.wait(reply.drip_s):
                return
            self.wfile.write(reply.body[index : index + 1])
            self.wfile.flush()

    do_GET = do_POST = do_HEAD = _play  # noqa: N815 the library's names

    def log_message(self, *args: object) -> None:
        """Quiet."""


@contextmanager
def playing(default: Reply | None = None, tls: ssl.SSLContext | None = None) -> Iterator[Vendor]:
    server = Vendor(default or Reply())
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        server.shutdown()
        thread.join(5)
        server.server_close()


def certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1 and its key, made by OpenSSL."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"),
            *("-keyout", str(key), "-out", str(cert)),
        ],
        check=True,
        capture_output=True,
    )
    return cert, key


def wait_for(condition: Any, seconds: float = 10.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.005)
