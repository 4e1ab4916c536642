from __future__ import annotations

import hashlib
import socket

import pytest

from deploy.config import Config
from deploy.doctor.finding import Finding
from deploy.doctor.secrets import check_secrets
from deploy.doctor.webhook import check_webhooks

Level = Finding.Level


def config(tmp_path, **receiver):
    return Config.model_validate(
        {
            "service": {"api_keys_file": str(tmp_path / "api_keys")},
            "alerts": {"receivers": [{"name": "oncall", "type": "webhook", **receiver}]},
        }
    )


@pytest.fixture
def keys(tmp_path):
    digest = hashlib.sha256(b"s3cret").hexdigest()
    (tmp_path / "api_keys").write_text(f"search:{digest}\n")


@pytest.mark.usefixtures("keys")
def test_private_files_are_fine(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("hush")
    secret.chmod(0o600)
    settings = config(tmp_path, url="https://example.com", secret_file=str(secret))

    assert {finding.level for finding in check_secrets(settings)} == {Level.OK}


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize(
    ("text", "mode", "level"),
    [
        pytest.param(None, 0, Level.FAIL, id="not there"),
        pytest.param("", 0o600, Level.FAIL, id="empty"),
        pytest.param("hush", 0o644, Level.WARN, id="open to everybody"),
    ],
)
def test_a_secret_that_is_missing_or_open_is_told_and_never_shown(tmp_path, text, mode, level):
    secret = tmp_path / "secret"
    if text is not None:
        secret.write_text(text)
        secret.chmod(mode)

    finding = check_secrets(config(tmp_path, url_file=str(secret)))[-1]

    assert finding.level is level
    assert "hush" not in finding.message + finding.fix


def test_a_keys_file_that_the_gateway_would_refuse_is_a_failure(tmp_path):
    (tmp_path / "api_keys").write_text("search:not-a-digest\n")

    finding = check_secrets(config(tmp_path, url="https://example.com"))[0]

    assert finding.level is Level.FAIL
    assert "not-a-digest" not in finding.message


def test_a_receiver_that_listens_can_be_reached_and_its_path_is_not_shown(tmp_path):
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        port = listening.getsockname()[1]
        url = f"http://127.0.0.1:{port}/hook/t0ken"

        (finding,) = check_webhooks(config(tmp_path, url=url, allow_insecure=True).alerts)

    assert finding.level is Level.OK
    assert "t0ken" not in finding.message


def test_a_receiver_that_refuses_is_told_with_its_port(tmp_path):
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # bound and not listening: refused
        port = bound.getsockname()[1]

        (finding,) = check_webhooks(config(tmp_path, url=f"https://127.0.0.1:{port}/").alerts)

    assert finding.level is Level.WARN
    assert f"127.0.0.1:{port}" in finding.message


def test_a_server_that_speaks_no_tls_is_told_as_that(tmp_path):
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        port = listening.getsockname()[1]
        import threading

        def answer():
            peer, _ = listening.accept()
            peer.recv(100)
            peer.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            peer.close()

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        (finding,) = check_webhooks(config(tmp_path, url=f"https://127.0.0.1:{port}/").alerts)
        thread.join(5)

    assert finding.level is Level.WARN
    assert "TLS" in finding.message
