from __future__ import annotations

import ssl
import time

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from pydantic import ValidationError

from monitor.certificate import Certificate
from monitor.collectors.certificate import CertificateReader
from monitor.exporter import SnapshotCollector
from monitor.latest import Latest
from monitor.settings import MonitorSettings
from monitor.snapshot import Snapshot
from tests.alerts.vendor import certificate, playing
from tests.waiting import free_port


@pytest.fixture
def front(tmp_path):
    """A TLS server as it stands in front of a gateway, and the authority of its certificate."""
    cert, key = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    with playing(tls=context) as server:
        yield server.port, cert


def test_a_valid_certificate_tells_its_end(front):
    port, authority = front

    (seen,) = CertificateReader([f"localhost:{port}"], authority).read()

    assert seen.problem == ""
    assert 86_400 < seen.expires_at - time.time() < 3 * 86_400  # made for two days


@pytest.mark.parametrize(
    ("host", "trusted", "words"),
    [
        pytest.param("localhost", False, "self-signed", id="an authority that nobody knows"),
        pytest.param("127.0.0.2", True, "IP address mismatch", id="another name"),
    ],
)
def test_a_certificate_that_clients_refuse_is_not_valid(front, host, trusted, words):
    port, authority = front

    (seen,) = CertificateReader([f"{host}:{port}"], authority if trusted else None).read()

    assert seen.expires_at is None
    assert words in seen.problem.replace("self signed", "self-signed") or "refused" in seen.problem


def test_nobody_there_is_told_and_the_next_address_is_looked_at(front):
    port, authority = front

    gone, there = CertificateReader(
        [f"localhost:{free_port()}", f"localhost:{port}"], authority
    ).read()

    assert gone.expires_at is None
    assert "refused" in gone.problem
    assert there.expires_at is not None


def test_the_metrics_say_both_and_show_no_end_of_what_is_not_valid():
    latest = Latest()
    latest.certificates = (Certificate("a:443", 2e9), Certificate("b:443", None, "expired"))
    latest.publish(Snapshot(at=time.time(), started_at=0.0))
    registry = CollectorRegistry()
    registry.register(SnapshotCollector(lambda: latest.snapshot, time.time))

    text = generate_latest(registry).decode()

    assert 'rankguard_certificate_valid{target="a:443"} 1.0' in text
    assert 'rankguard_certificate_valid{target="b:443"} 0.0' in text
    assert 'rankguard_certificate_expiry_timestamp_seconds{target="a:443"} 2e+09' in text
    assert 'rankguard_certificate_expiry_timestamp_seconds{target="b:443"}' not in text


@pytest.mark.parametrize("target", ["https://search.example.com", "search.example.com", "a:b", ""])
def test_an_address_without_a_port_is_refused(target):
    with pytest.raises(ValidationError, match="host:port"):
        MonitorSettings(certificates=(target,))
