from __future__ import annotations

import shutil
import subprocess

import pytest

from deploy.render.artefact import write
from deploy.render.host import Site
from deploy.render.kind import Kind, render
from tests.deploy.render.golden import config

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
