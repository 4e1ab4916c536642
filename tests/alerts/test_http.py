"""Outgoing requests against a real server that misbehaves."""

from __future__ import annotations

import socket
import ssl
import time

import pytest

from alerts.http import HttpClient, HttpFailure, HttpPolicy
from tests.alerts.vendor import Reply, certificate, playing


def client(**policy) -> HttpClient:
    return HttpClient(HttpPolicy(**{"allow_insecure": True, "timeout_s": 10, **policy}))


def failure(http: HttpClient, url: str) -> HttpFailure:
    with pytest.raises(HttpFailure) as caught:
        http.request("POST", url, b"{}", {})
    return caught.value


def test_an_answer_comes_back_whole():
    with playing(Reply(201, b"made", {"X-One": "1"})) as vendor:
        answer = client().request("POST", vendor.url("/a?b=c"), b"body", {"X-Two": "2"})

        assert (answer.status, answer.body, answer.headers["x-one"]) == (201, b"made", "1")
        assert (vendor.got[0].path, vendor.got[0].body) == ("/a?b=c", b"body")
        assert vendor.got[0].headers["x-two"] == "2"


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(Reply(hang=True), id="no answer at all"),
        pytest.param(Reply(cut=True), id="a connection that is cut"),
    ],
)
def test_what_gives_no_answer_is_left_in_time(reply):
    with playing(reply) as vendor:
        began = time.monotonic()
        found = failure(client(timeout_s=0.4), vendor.url("/token-123"))

        assert time.monotonic() - began < 4.0
        assert not found.permanent
        assert "token-123" not in str(found)


@pytest.mark.parametrize("proxied", [False, True], ids=["directly", "by a proxy"])
@pytest.mark.parametrize(
    ("reply", "status"),
    [
        pytest.param(Reply(200, b"x" * 100, drip_s=0.05), 200, id="a body that never ends"),
        pytest.param(Reply(503, b"x" * 100, drip_s=0.05), 503, id="nor does that of a no"),
        pytest.param(Reply(200, b"half", missing=100), 200, id="a body that is cut off"),
    ],
)
def test_the_deadline_is_over_the_whole_exchange_and_the_status_is_kept(reply, status, proxied):
    with playing(reply) as vendor:
        proxy = f"http://127.0.0.1:{vendor.port}" if proxied else ""
        url = "http://hooks.invalid/x" if proxied else vendor.url()
        began = time.monotonic()
        answer = client(timeout_s=1.5, proxy=proxy).request("POST", url, b"{}", {})

        assert time.monotonic() - began < 4.5  # the whole body would take five
        assert (answer.status, answer.complete) == (status, False)


def test_addresses_that_do_not_answer_share_one_time_limit(monkeypatch):
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:  # the queue is full: nobody gets an answer any more
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
        four = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))] * 4
        real = socket.getaddrinfo

        def resolve(host, *given, **more):
            return four if host == "hooks.example" else real(host, *given, **more)

        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        began = time.monotonic()
        failure(client(timeout_s=1.0), f"http://hooks.example:{port}/x")
        took_s = time.monotonic() - began
        for each in waiting:
            each.close()

    assert took_s < 3.5  # each its own second would be four


def test_headers_that_drip_do_not_outlast_the_deadline():
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(5)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        import threading

        def drip() -> None:
            connection, _ = server.accept()
            with connection:
                for _ in range(100):
                    try:
                        connection.sendall(b"H")
                    except OSError:
                        return
                    time.sleep(0.05)

        thread = threading.Thread(target=drip, daemon=True)
        thread.start()
        began = time.monotonic()
        failure(client(timeout_s=0.4), url)
        assert time.monotonic() - began < 4.0
        thread.join(6)


def test_a_redirect_is_an_answer_and_is_not_followed():
    with playing(Reply()) as target, playing() as vendor:
        vendor.default = Reply(302, b"", {"Location": target.url("/metadata")})

        answer = client().request("POST", vendor.url(), b"{}", {})

        assert answer.status == 302
        assert target.got == []


def test_an_answer_of_any_size_is_read_only_so_far():
    with playing(Reply(200, b"x" * 3_000_000)) as vendor:
        answer = client(timeout_s=10).request("POST", vendor.url(), b"{}", {})

        assert len(answer.body) == 64 * 1024


def test_a_connection_that_is_cut_or_refused_is_named_without_the_path():
    with playing(Reply(cut=True)) as vendor:
        cut = failure(client(), vendor.url("/secret"))
        gone = vendor.url("/secret")
    refused = failure(client(), gone)

    assert "127.0.0.1" in str(cut)
    assert "refused" in str(refused)
    assert "secret" not in str(cut) + str(refused)


def test_a_name_that_does_not_resolve_is_said():
    found = failure(client(), "http://nothing.invalid/x")

    assert "does not resolve" in str(found) or "no answer" in str(found)


def test_a_certificate_is_checked_and_a_custom_authority_is_trusted(tmp_path):
    cert, key = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    with playing(Reply(200, b"ok"), tls=context) as vendor:
        url = f"https://127.0.0.1:{vendor.port}/token-123"

        refused = failure(client(timeout_s=10), url)
        answer = client(timeout_s=10, ca_file=cert).request("POST", url, b"{}", {})

    assert "TLS" in str(refused)
    assert "token-123" not in str(refused)
    assert answer.body == b"ok"


def test_the_deadline_holds_over_tls_as_well(tmp_path):
    cert, key = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    with playing(Reply(200, b"x" * 100, drip_s=0.05), tls=context) as vendor:
        began = time.monotonic()
        http = client(ca_file=cert, timeout_s=2.0)
        answer = http.request("POST", f"https://127.0.0.1:{vendor.port}/", b"{}", {})

        assert time.monotonic() - began < 4.0
        assert not answer.complete


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://example.com/x", "allow_insecure"),
        ("https://127.0.0.1/x", "not a public address"),
        ("https://169.254.169.254/latest/meta-data", "not a public address"),
        ("https://[::1]/x", "not a public address"),
        ("https://[::ffff:10.0.0.1]/x", "not a public address"),
        ("https://localhost:9400/x", "not a public address"),
        ("ftp://example.com/x", "https"),
        ("https:///x", "no host"),
        ("https://evil.example\\@hooks.example.com/x", "backslash"),
        ("https://hooks.example.com\t.evil.example/x", "control character"),
        ("https://[hooks.example.com/x", "not a URL"),
        ("https://[64:ff9b::a9fe:a9fe]/x", "not a public address"),
    ],
)
def test_what_is_not_allowed_is_not_even_tried(url, says):
    found = failure(client(allow_insecure=False), url)

    assert found.permanent
    assert says in str(found)


def test_a_host_outside_the_allow_list_is_refused():
    with playing() as vendor:
        found = failure(client(allow_hosts=("hooks.example.com",)), vendor.url())

        assert "allow_hosts" in str(found)
        assert vendor.got == []


def test_environment_proxies_and_netrc_are_not_used(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with playing(Reply(200, b"direct")) as vendor:
        assert client().request("GET", vendor.url(), None, {}).body == b"direct"


def test_a_proxy_of_the_settings_gets_the_request():
    with playing(Reply(200, b"by proxy")) as proxy:
        http = client(proxy=f"http://127.0.0.1:{proxy.port}")

        assert http.request("POST", "http://hooks.invalid/x", b"{}", {}).body == b"by proxy"
        assert proxy.got[0].path == "http://hooks.invalid/x"
