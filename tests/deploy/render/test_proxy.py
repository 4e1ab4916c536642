from __future__ import annotations

import http.server
import shutil
import subprocess
import threading
import urllib.error
import urllib.request

import pytest

from deploy.render.artefact import write
from deploy.render.host import Site
from deploy.render.kind import Kind, render
from tests.deploy.render.golden import config
from tests.waiting import free_port, until

HOSTS = Site(hosts=("127.0.0.1", "127.0.0.2"))


def test_every_host_is_a_server_of_both_balancers():
    haproxy = render(Kind.HAPROXY, config(), HOSTS)[0].text
    nginx = render(Kind.NGINX, config(), HOSTS)[0].text

    for host in HOSTS.hosts:
        assert f"server {host} {host}:8000" in haproxy
        assert f"server {host}:8000" in nginx


def test_the_balancer_waits_longer_than_the_service_may_take():
    text = render(Kind.HAPROXY, config(service={"request_timeout_s": 60}), HOSTS)[0].text

    assert "timeout server 65s" in text


def test_a_body_that_the_service_takes_passes_nginx():
    text = render(Kind.NGINX, config(service={"max_body_bytes": 1234567}), HOSTS)[0].text

    assert "client_max_body_size 1234567;" in text


def test_an_ipv6_address_gets_its_brackets():
    text = render(Kind.HAPROXY, config(), Site(hosts=("fd00::1",)))[0].text

    assert "server fd00__1 [fd00::1]:8000" in text


@pytest.mark.real
def test_haproxy_takes_the_file(tmp_path):
    if shutil.which("haproxy") is None:
        pytest.skip("haproxy is not here (apt package haproxy)")
    (path,) = write(render(Kind.HAPROXY, config(), HOSTS), tmp_path)

    done = subprocess.run(
        ["haproxy", "-c", "-f", str(path)], capture_output=True, text=True, timeout=20, check=False
    )

    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr


@pytest.mark.real
def test_nginx_takes_the_file(tmp_path):
    if shutil.which("nginx") is None:
        pytest.skip("nginx is not here (apt package nginx)")
    (path,) = write(render(Kind.NGINX, config(), HOSTS), tmp_path)
    whole = tmp_path / "nginx.conf"
    whole.write_text(
        f"pid {tmp_path}/pid; error_log stderr; events {{}} http {{ include {path}; }}"
    )

    done = subprocess.run(
        ["nginx", "-t", "-c", str(whole)], capture_output=True, text=True, timeout=20, check=False
    )

    assert done.returncode == 0, done.stderr


class Host(http.server.ThreadingHTTPServer):
    """Stands where a host's gateway stands: ready or not, and it counts what it answered."""

    def __init__(self, address, port, *, ready):
        super().__init__((address, port), _Gateway)
        self.ready = ready
        self.breaks = False
        self.answered = 0
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()


class _Gateway(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self._answer(200 if self.server.ready else 503)

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.breaks:
            self.close_connection = True
            return
        if self.server.ready:
            self.server.answered += 1
        self._answer(200 if self.server.ready else 503)

    def _answer(self, status):
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_arguments):
        pass


@pytest.fixture(params=["haproxy", "nginx"])
def balanced(request, tmp_path):
    """Two hosts behind a real balancer on its rendered file; the first one is not ready."""
    if shutil.which(request.param) is None:
        pytest.skip(f"{request.param} is not here (apt package {request.param})")
    port, listen, stats = free_port(), free_port(), free_port()
    settings = config(service={"port": port})
    (path,) = write(render(Kind(request.param), settings, HOSTS), tmp_path)
    text = path.read_text().replace("bind :8080", f"bind 127.0.0.1:{listen}")
    text = text.replace("listen 8080", f"listen 127.0.0.1:{listen}").replace("8404", str(stats))
    path.write_text(text)
    command = ["haproxy", "-db", "-f", str(path)]
    if request.param == "nginx":
        whole = tmp_path / "nginx.conf"
        whole.write_text(
            f"daemon off; pid {tmp_path}/pid; error_log {tmp_path}/error.log;\n"
            f"events {{}}\nhttp {{ access_log off; client_body_temp_path {tmp_path}/body;\n"
            f"include {path}; }}\n"
        )
        command = ["nginx", "-c", str(whole)]
    hosts = [Host(address, port, ready=index == 1) for index, address in enumerate(HOSTS.hosts)]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{listen}"
        until("the balancer answers", lambda: _post(url) == 200)
        yield url, hosts
    finally:
        process.terminate()
        process.wait(10)
        for host in hosts:
            host.shutdown()
            host.server_close()


def _post(url):
    try:
        request = urllib.request.Request(f"{url}/v1/rerank", data=b"{}")
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


@pytest.mark.real
def test_no_request_is_lost_to_a_host_that_is_not_ready(balanced):
    url, (not_ready, ready) = balanced

    answers = [_post(url) for _ in range(40)]

    assert answers == [200] * 40
    assert not_ready.answered == 0
    assert ready.answered >= 40


@pytest.mark.real
def test_no_request_is_lost_when_the_hosts_change_places(balanced):
    url, (first, second) = balanced
    first.ready = True
    until("both take traffic", lambda: _post(url) == 200 and first.answered > 0, 15)

    second.ready = False  # drains: answers 503 from now on
    answers = [_post(url) for _ in range(40)]

    assert answers == [200] * 40


@pytest.mark.real
def test_no_request_is_lost_on_a_host_whose_connections_break(balanced):
    url, (first, _) = balanced
    first.ready = True
    until("both take traffic", lambda: _post(url) == 200 and first.answered > 0, 15)

    first.breaks = True  # its gateway is killed with requests in hand, again and again
    answers = [_post(url) for _ in range(40)]

    assert answers == [200] * 40


@pytest.mark.real
def test_no_request_is_lost_when_a_host_is_gone(balanced):
    url, (first, _) = balanced
    first.ready = True
    until("both take traffic", lambda: _post(url) == 200 and first.answered > 0, 15)

    first.shutdown()
    first.server_close()
    answers = [_post(url) for _ in range(40)]

    assert answers == [200] * 40


@pytest.mark.real
def test_metrics_are_for_the_inside(balanced):
    url, _ = balanced

    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"{url}/metrics", timeout=5)
