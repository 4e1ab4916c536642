"""The rendered files in a real Prometheus and a real Alertmanager, on a live stack with a fault.

Two replayed H100s, one of which falls off the bus after 20 seconds, under load. Every query of
every panel and every rule is asked; the alert must arrive at a receiver through Alertmanager.
"""

from __future__ import annotations

import http.server
import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import pytest

from deploy.config import load
from deploy.render.alertmanager import alertmanager
from deploy.render.artefact import write
from deploy.render.host import Site
from deploy.render.prometheus import prometheus, scrape_file
from deploy.render.rules.book import rule_book
from grafana.catalogue import catalogue
from grafana.dashboards.all import DASHBOARDS
from tests.alerts.vendor import certificate, playing
from tests.waiting import free_port, until

RECORDING = Path(__file__).parents[1] / "recordings" / "h100x2-lost.jsonl"
SITE = Site(this_host="gpu-1")

pytestmark = [pytest.mark.real, pytest.mark.slow, pytest.mark.timeout(400)]

NOTHING_TO_SHOW = {
    "Clocks held down by": "no card of this recording is slowed down",
    "Firing alerts": "rules on faults need a minute of a fault",
    "XIDs per hour": "a counter's first event is not an increase",
}


class Receiver(http.server.ThreadingHTTPServer):
    """Keeps what Alertmanager posts."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.alerts = []
        threading.Thread(target=self.serve_forever, daemon=True).start()


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.alerts += body["alerts"]
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_arguments):
        pass


class Stack:
    """Everything that runs, and where it is asked."""

    def __init__(self, folder, receiver, front):
        """`front` is the port of a TLS server, whose certificate is in the folder."""
        self.folder = folder
        self.receiver = receiver
        self.front = front
        self.ports = {name: free_port() for name in ("service", "monitor", "prometheus", "am")}
        self.processes = []
        self.config_file = folder / "rankguard.toml"
        self.config_file.write_text(
            f'[service]\nport = {self.ports["service"]}\nstate_dir = "{folder}/state"\n'
            '[engine]\nkind = "embedded"\n'
            f"[monitor]\nport = {self.ports['monitor']}\nreplicas = 2\n"
            f'gpus = "replay:{RECORDING}"\ncanary_s = 5.0\n'
            f'certificates = ["localhost:{self.front}"]\n'
            f'certificates_ca_file = "{self.folder}/cert.pem"\n'
            "[ui]\nenabled = false\n"
            "[[alerts.receivers]]\nname = 'oncall'\ntype = 'webhook'\nallow_insecure = true\n"
            f"url = 'http://127.0.0.1:{receiver.server_port}/hook'\n"
        )
        self.config = load(self.config_file, {})

    def start(self):
        write(prometheus(self.config, SITE), self.folder)
        at = f"127.0.0.1:{self.ports['am']}"
        scrape = scrape_file(self.config, SITE, alertmanager=at)
        (self.folder / "prometheus.yml").write_text(
            scrape.replace(": 5s", ": 1s").replace("4s", "1s")
        )
        (am_file,) = write(alertmanager(self.config, SITE), self.folder)
        am_file.write_text(am_file.read_text().replace("group_wait: 10s", "group_wait: 1s"))
        self._run(sys.executable, "-m", "deploy", "up", "--config", str(self.config_file))
        self._run(
            *("prometheus", f"--config.file={self.folder}/prometheus.yml"),
            f"--storage.tsdb.path={self.folder}/tsdb",
            f"--web.listen-address=127.0.0.1:{self.ports['prometheus']}",
        )
        self._run(
            *("prometheus-alertmanager", f"--config.file={am_file}"),
            *(f"--storage.path={self.folder}/am", "--cluster.listen-address="),
            f"--web.listen-address={at}",
        )

    def _run(self, *command):
        with (self.folder / f"{Path(command[0]).name}.log").open("wb") as log:
            environment = {k: v for k, v in os.environ.items() if not k.startswith("RANKGUARD_")}
            self.processes.append(
                subprocess.Popen(command, stdout=log, stderr=log, env=environment)
            )

    def stop(self):
        for process in self.processes:
            process.send_signal(signal.SIGTERM)
        for process in self.processes:
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()

    def ask(self, path, **parameters):
        query = urllib.parse.urlencode(parameters)
        url = f"http://127.0.0.1:{self.ports['prometheus']}/api/v1/{path}?{query}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            return {"error": error.read().decode()}
        except OSError:
            return {}

    def value(self, expr):
        return self.ask("query", query=expr).get("result", [])

    def rerank(self, count):
        """A little load: short and long documents, the same ones and new ones, and a bad one."""
        url = f"http://127.0.0.1:{self.ports['service']}/v1/rerank"
        for number in range(count):
            documents = ["Paris is the capital of France.", f"Note {number}.", "word " * 900]
            body = {"query": "capital of France" if number % 9 else "", "documents": documents}
            request = urllib.request.Request(
                url, json.dumps(body).encode(), {"Content-Type": "application/json"}
            )
            try:
                urllib.request.urlopen(request, timeout=20).close()
            except OSError:
                time.sleep(0.1)
            time.sleep(0.05)


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    for tool in ("prometheus", "prometheus-alertmanager"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not here (apt package {tool})")
    folder = tmp_path_factory.mktemp("stack")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate(folder))
    with Receiver() as receiver, playing(tls=context) as front:
        running = Stack(folder, receiver, front.port)
        running.start()
        try:
            until("it is ready", lambda: running.value("rankguard_ready == 1"), 90)
            loads = [threading.Thread(target=running.rerank, args=(150,)) for _ in range(2)]
            for load_thread in loads:
                load_thread.start()
            for load_thread in loads:
                load_thread.join(120)
            until("the card is lost", lambda: running.value("rankguard_gpu_up == 0"), 60)
            yield running
        finally:
            running.stop()
            receiver.shutdown()


def test_prometheus_reads_every_metric_that_the_tables_declare(stack):
    def missing():
        names = set(stack.ask("label/__name__/values") or ())
        return {
            series.name
            for series in catalogue()
            if not {series.name, f"{series.name}_bucket"} & names
        }

    absent_here = {
        # this recording's cards have none of these readings
        "rankguard_gpu_remapped_rows_uncorrected",
        "rankguard_gpu_retired_pages_pending",
        "rankguard_gpu_nvlinks_down",
        "rankguard_gpu_nvlink_errors_total",
        "rankguard_gpu_memory_clock_hertz",
        # no replica of this stack is on a card
        "rankguard_replica_gpu_memory_bytes",
    }
    until("every other metric is there", lambda: missing() <= absent_here, 60)


def test_the_series_that_are_gone_with_the_card_are_gone(stack):
    (lost,) = {item["metric"]["uuid"] for item in stack.value("rankguard_gpu_up == 0")}

    assert stack.value(f'rankguard_gpu_temperature_celsius{{uuid="{lost}"}}') == []


def test_every_rule_is_evaluated_without_an_error(stack):
    def evaluated():
        found = [rule for group in stack.ask("rules")["groups"] for rule in group["rules"]]
        return found if all(rule["health"] != "unknown" for rule in found) else None

    rules = until("every group had its turn", evaluated, 120)

    assert len(rules) == sum(len(g.recordings) + len(g.alerts) for g in rule_book(stack.config))
    assert {
        (rule["name"], rule.get("lastError", "")) for rule in rules if rule["health"] != "ok"
    } == set()


@pytest.mark.parametrize(
    ("title", "expr"),
    [
        pytest.param(panel.title, query.expr, id=f"{dashboard.uid}: {panel.title} {number}")
        for dashboard in DASHBOARDS
        for row in dashboard.rows
        for panel in row.panels
        for number, query in enumerate(panel.queries)
    ],
)
def test_the_query_of_a_panel_is_answered(stack, title, expr):
    for name, value in (("$__rate_interval", "30s"), ("$host", ".*"), ("$replica", ".*")):
        expr = expr.replace(name, value)
    query = expr.replace("$gpu", ".*")

    answer = stack.ask("query", query=query)

    assert "error" not in answer, answer
    if not _may_be_empty(title, expr):
        # what is recorded every half minute needs two rounds of what it is recorded from
        until(f"data: {expr}", lambda: stack.value(query), 120)


def _may_be_empty(title, expr):
    """Filters that show faults only, and comparisons with a past that this stack does not have."""
    return title in NOTHING_TO_SHOW or re.search(
        r"> 0$|== 0$|offset|nvlink|remapped_rows_uncorrected|retired_pages|memory_clock"
        r"|replica_gpu_memory",
        expr,
    )


def test_the_alert_on_the_lost_card_arrives_through_alertmanager(stack):
    def arrived():
        return [a for a in stack.receiver.alerts if a["labels"]["alertname"] == "RankguardXidReset"]

    (alert,) = until("the alert arrives", lambda: arrived()[:1], 120)

    assert alert["status"] == "firing"
    assert alert["labels"]["host"] == "gpu-1"
    assert alert["labels"]["xid"] == "79"
    assert "GPU-" in alert["annotations"]["summary"]


def test_a_gateway_that_hangs_is_an_alert_although_it_cannot_say_so(stack):
    # `up` would replace a gateway that hangs before Prometheus is sure of it
    pids = (stack.processes[0].pid, _gateway_pid(stack))
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        until(
            "the alert arrives",
            lambda: [
                a
                for a in stack.receiver.alerts
                if a["labels"]["alertname"] == "RankguardGatewayDown"
            ],
            90,
        )
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def _gateway_pid(stack):
    parent = stack.processes[0].pid
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    for child in map(int, children):
        if b"serve" in Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0"):
            return child
    raise AssertionError("the gateway is not a child of up")
