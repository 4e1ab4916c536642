"""Asking the watchdog for a rollout: what is known when it refuses, and when its answer is lost."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from deploy.upgrade import record, switch
from deploy.upgrade.watched import Watchdog
from monitor.settings import MonitorSettings

ASKED = record.new_record("20261122-1", 0.0)


@contextmanager
def watchdog(answer, rollout=None):
    """One that knows of this rollout and answers orders with this status; 0: hangs up on them."""
    orders = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.say(200, {"watchdog": {}, "rollout": rollout})

        def do_POST(self):
            orders.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            if answer:
                self.say(answer, {"message": "said"})

        def say(self, status, body):
            raw = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield Watchdog(MonitorSettings(port=server.server_port)), orders
    finally:
        server.shutdown()
        server.server_close()


def test_an_order_that_is_taken():
    with watchdog(202) as (asked, orders):
        switch.ask(asked, ASKED)

    assert [one["version"] for one in orders] == [ASKED.id]


def test_an_order_that_was_taken_before_is_not_given_again():
    with watchdog(202, {"id": ASKED.id}) as (asked, orders):
        switch.ask(asked, ASKED)

    assert orders == []


@pytest.mark.parametrize(
    ("answer", "refused"),
    [
        pytest.param(409, True, id="refused: nothing was begun"),
        pytest.param(0, False, id="the answer is lost: it may have been taken"),
    ],
)
def test_a_refusal_is_told_from_a_lost_answer(answer, refused):
    with watchdog(answer) as (asked, orders), pytest.raises(switch.SwitchError) as caught:
        switch.ask(asked, ASKED)

    assert isinstance(caught.value, switch.NotTaken) is refused
    assert ("--resume" in str(caught.value)) is not refused
    assert len(orders) == 1
