"""The watchdog's HTTP: metrics, status, page, and the operator's commands. Reads snapshots only."""

from __future__ import annotations

import ipaddress
import json
import logging
import re
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from alerts.desk import Desk as AlertDesk
from monitor import alertapi, rolloutapi
from monitor.html import PageRenderer
from monitor.inbox import CommandAsked, CordonAsked, RolloutAsked, RolloutEnded
from monitor.journal import JournalError, read_recent
from monitor.page import overall, status
from monitor.replica import Command, CommandKind
from monitor.snapshot import Snapshot

OPERATOR_HEADER = "X-Rankguard-Operator"
"""A browser sends no such header across sites without asking first, and we never allow it."""

_SOCKET_TIMEOUT_S = 10.0
_MAX_BODY = 4096
_MAX_THREADS = 32
_STALE_S = 30.0
_RUNBOOK = re.compile(r"[A-Za-z]+\.md")
_SHOWN = 25  # incidents and transitions on the page

log = logging.getLogger("rankguard.watchdog.http")


@dataclass(frozen=True, slots=True)
class Desk:
    """What the handlers may ask for.

    Attributes:
        latest: the last snapshot, None before the first.
        command: passes an operator's request on; its effect shows in later snapshots.
        now: Unix seconds.
        runbooks: folder with `<alert name>.md`; None: they are not served.
        alerts: silences and acknowledgements; None while no receivers are configured.
    """

    latest: Callable[[], Snapshot | None]
    command: Callable[[CommandAsked | CordonAsked | RolloutAsked | RolloutEnded], None]
    registry: CollectorRegistry
    journal: Path
    now: Callable[[], float]
    page: PageRenderer
    runbooks: Path | None = None
    alerts: Callable[[], AlertDesk | None] = lambda: None


class StatusServer(ThreadingHTTPServer):
    """Bounded: more than 32 requests at a time are refused with 503."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, host: str, port: int, desk: Desk) -> None:
        self.desk = desk
        self._slots = threading.BoundedSemaphore(_MAX_THREADS)
        if ":" in host:
            self.address_family = socket.AF_INET6
        super().__init__((host, port), _Handler)

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def start(self) -> None:
        threading.Thread(target=self.serve_forever, name="http", daemon=True).start()

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._slots.acquire(blocking=False):
            request.sendall(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        log.debug("a client went away")


class _Handler(BaseHTTPRequestHandler):
    server: StatusServer
    timeout = _SOCKET_TIMEOUT_S
    server_version = "rankguard"
    sys_version = ""

    def do_GET(self) -> None:
        desk = self.server.desk
        snapshot = desk.latest()
        path = self.path.partition("?")[0]
        if path == "/metrics":
            self._send(HTTPStatus.OK, generate_latest(desk.registry), CONTENT_TYPE_LATEST)
        elif path == "/livez":
            self._livez(snapshot)
        elif path.startswith("/runbooks/"):
            self._runbook(path.removeprefix("/runbooks/"))
        elif path.startswith("/api/"):
            self._send_json(*alertapi.read(desk.alerts(), path.strip("/").split("/")[1:]))
        elif snapshot is None:
            self._send_json(HTTPStatus.SERVICE_UNAVAILABLE, {"state": "starting"})
        elif path == "/readyz":
            state = overall(snapshot)
            ready = state in {"healthy", "degraded"}
            code = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
            self._send_json(code, {"state": state})
        elif path == "/status":
            self._send_json(HTTPStatus.OK, status(snapshot))
        elif path == "/":
            self._send(HTTPStatus.OK, self._page(snapshot).encode(), "text/html; charset=utf-8")
        else:
            self._send_json(HTTPStatus.NOT_FOUND, {"error": "no such page"})

    def do_POST(self) -> None:
        refused = self._refuse_command()
        if refused is not None:
            self._send_json(HTTPStatus.FORBIDDEN, {"error": refused})
            return
        parts = self.path.strip("/").split("/")
        try:
            body = self._body()
        except ValueError as error:
            self._send_json(HTTPStatus.BAD_REQUEST, {"error": str(error)})
            return
        if len(parts) == 4 and parts[:2] == ["api", "replicas"]:
            self._command_replica(parts[2], parts[3], body)
        elif len(parts) == 4 and parts[:2] == ["api", "gpus"]:
            self._command_gpu(parts[2], parts[3], body)
        elif parts[:2] == ["api", "rollout"]:
            self._command_rollout("/".join(parts[2:]), body)
        else:
            self._send_json(*alertapi.order(self.server.desk.alerts(), parts[1:], body))

    def _command_replica(self, replica_id: str, verb: str, body: dict[str, Any]) -> None:
        snapshot = self.server.desk.latest()
        known = {view.replica.id for view in snapshot.replicas} if snapshot is not None else set()
        if replica_id not in known:
            self._send_json(HTTPStatus.NOT_FOUND, {"error": f"no replica {replica_id!r}"})
            return
        if verb not in {kind.value for kind in CommandKind}:
            self._send_json(HTTPStatus.NOT_FOUND, {"error": "drain, undrain or restart"})
            return
        try:
            for_s = _duration(body)
        except ValueError as error:
            self._send_json(HTTPStatus.BAD_REQUEST, {"error": str(error)})
            return
        self.server.desk.command(CommandAsked(replica_id, Command(CommandKind(verb), for_s)))
        self._send_json(HTTPStatus.ACCEPTED, {"message": f"{replica_id}: {verb} is under way"})

    def _command_gpu(self, uuid: str, verb: str, body: dict[str, Any]) -> None:
        snapshot = self.server.desk.latest()
        known = {view.card.uuid for view in snapshot.cards} if snapshot is not None else set()
        if uuid not in known:
            self._send_json(HTTPStatus.NOT_FOUND, {"error": f"no card {uuid!r}"})
            return
        if verb not in {"cordon", "uncordon"}:
            self._send_json(HTTPStatus.NOT_FOUND, {"error": "cordon or uncordon"})
            return
        try:
            for_s = _duration(body)
        except ValueError as error:
            self._send_json(HTTPStatus.BAD_REQUEST, {"error": str(error)})
            return
        why = str(body.get("why", ""))[:200]
        self.server.desk.command(CordonAsked(uuid, verb == "cordon", for_s, why))
        until = "until uncordon" if for_s is None else f"for {for_s:.0f} s"
        said = f"{uuid}: cordoned {until}" if verb == "cordon" else f"{uuid}: in use again"
        self._send_json(HTTPStatus.ACCEPTED, {"message": said})

    def _command_rollout(self, verb: str, body: dict[str, Any]) -> None:
        desk = self.server.desk
        order = rolloutapi.order(desk.latest(), verb, body, desk.now())
        if order.message is not None:
            desk.command(order.message)
        self._send_json(order.code, order.body)

    def _livez(self, snapshot: Snapshot | None) -> None:
        age_s = None if snapshot is None else self.server.desk.now() - snapshot.at
        alive = age_s is None or age_s < _STALE_S
        code = HTTPStatus.OK if alive else HTTPStatus.SERVICE_UNAVAILABLE
        self._send_json(code, {"loop_age_s": age_s})

    def _runbook(self, name: str) -> None:
        """As text: it is meant for reading, at night, on a host without internet."""
        folder = self.server.desk.runbooks
        if folder is None or not _RUNBOOK.fullmatch(name) or not (folder / name).is_file():
            self._send_json(HTTPStatus.NOT_FOUND, {"error": "no such runbook"})
            return
        self._send(HTTPStatus.OK, (folder / name).read_bytes(), "text/plain; charset=utf-8")

    def _refuse_command(self) -> str | None:
        """Why this request may not command; None when it may."""
        if not ipaddress.ip_address(self.client_address[0].partition("%")[0]).is_loopback:
            return "commands are taken from this host only"
        if self.headers.get(OPERATOR_HEADER) is None:
            return f"the header {OPERATOR_HEADER} is missing"
        host = self.headers.get("Host", "")
        name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
        if name == "localhost":
            return None
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return "the Host header must be localhost or an address"
        return None

    def _body(self) -> dict[str, Any]:
        try:
            length = int(self.headers.get("Content-Length") or 0)
        except ValueError:
            length = -1
        if not 0 <= length <= _MAX_BODY:
            raise ValueError("the body is too large")
        text = self.rfile.read(length)
        if not text:
            return {}
        body = json.loads(text)
        if not isinstance(body, dict):
            raise ValueError("the body must be a JSON object")  # noqa: TRY004 - one error for all
        return body

    def _page(self, snapshot: Snapshot) -> str:
        desk = self.server.desk
        try:
            incidents, transitions = read_recent(desk.journal, _SHOWN)
        except JournalError:
            incidents, transitions = list(snapshot.incidents), []
        return desk.page.render(snapshot, incidents, transitions, socket.gethostname())

    def _send_json(self, code: HTTPStatus, body: Any) -> None:
        self._send(code, json.dumps(body).encode(), "application/json")

    def _send(self, code: HTTPStatus, body: bytes, content_type: str) -> None:
        self.send_response(code)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        log.debug(format, *args)


def _duration(body: dict[str, Any]) -> float | None:
    """Seconds from `for_s` or `hours`; None or 0: without an end. Raises ValueError."""
    value = body.get("for_s")
    if value is None and body.get("hours") is not None:
        hours = body["hours"]
        value = hours * 3600 if isinstance(hours, int | float) else hours
    if value is None or value == 0:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e8:
        raise ValueError("for_s and hours must be numbers above 0")
    return float(value)
