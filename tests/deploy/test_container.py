from __future__ import annotations

import hashlib
import http.server
import threading

import pytest

from deploy.config import load
from deploy.docker.ready import is_ready
from deploy.docker.start import NotWritable, environment
from tests.waiting import free_port


def test_without_keys_one_is_made_once_and_only_its_owner_can_read_it(tmp_path):
    first = environment(tmp_path, {})
    key = (tmp_path / "api_key").read_text().strip()
    second = environment(tmp_path, {})

    assert first["RANKGUARD_SERVICE__API_KEYS_FILE"] == str(tmp_path / "api_keys")
    assert hashlib.sha256(key.encode()).hexdigest() in (tmp_path / "api_keys").read_text()
    assert (tmp_path / "api_key").read_text().strip() == key
    assert (tmp_path / "api_key").stat().st_mode & 0o077 == 0
    assert second == first


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"RANKGUARD_SERVICE__API_KEYS_FILE": "/run/keys"}, id="keys are given"),
        pytest.param({"RANKGUARD_SERVICE__HOST": "127.0.0.1"}, id="nobody can come in"),
    ],
)
def test_no_key_is_made_where_none_is_needed(tmp_path, given):
    whole = environment(tmp_path, given)

    assert whole.items() >= given.items()
    assert not (tmp_path / "api_key").exists()


def test_the_volumes_own_configuration_is_used_with_its_keys(tmp_path):
    (tmp_path / "rankguard.toml").write_text('[service]\napi_keys_file = "/run/keys"\n')

    whole = environment(tmp_path, {})

    assert whole["RANKGUARD_CONFIG"] == str(tmp_path / "rankguard.toml")
    assert whole["RANKGUARD_SERVICE__API_KEYS_FILE"] == "/run/keys"


def test_the_page_is_as_open_as_the_gateway_and_has_the_key_that_was_made(tmp_path):
    whole = environment(tmp_path, {})

    assert whole["RANKGUARD_UI__HOST"] == "0.0.0.0"
    assert whole["RANKGUARD_UI__AUTH_FILE"] == str(tmp_path / "api_keys")
    assert whole["RANKGUARD_UI__API_KEY_FILE"] == str(tmp_path / "api_key")
    load(None, whole)


def test_a_gateway_on_loopback_leaves_the_page_there(tmp_path):
    whole = environment(tmp_path, {"RANKGUARD_SERVICE__HOST": "127.0.0.1"})

    assert load(None, whole).ui.host == "127.0.0.1"


def test_the_pages_own_files_stay_in_force(tmp_path):
    (tmp_path / "rankguard.toml").write_text(
        '[service]\napi_keys_file = "/run/keys"\n'
        '[ui]\nauth_file = "/run/visitors"\napi_key_file = "/run/key"\n'
    )

    ui = load(tmp_path / "rankguard.toml", environment(tmp_path, {})).ui

    assert (ui.host, str(ui.auth_file)) == ("0.0.0.0", "/run/visitors")
    assert str(ui.api_key_file) == "/run/key"


def test_everything_that_is_kept_lies_in_the_volume(tmp_path):
    whole = environment(tmp_path, {})

    for name in ("RANKGUARD_SERVICE__STATE_DIR", "XDG_CACHE_HOME"):
        assert whole[name].startswith(str(tmp_path))


def test_a_volume_that_cannot_be_written_is_told_in_words(tmp_path):
    with pytest.raises(NotWritable, match="api_key"):
        environment(tmp_path / "missing", {})


@pytest.mark.parametrize(("status", "ready"), [(200, True), (503, False)])
def test_the_health_check_is_readiness_and_not_liveness(status, ready, monkeypatch):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status if self.path == "/readyz" else 200)
            self.end_headers()

        def log_message(self, *_arguments):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.handle_request, daemon=True)
        thread.start()
        # a proxy is for other hosts: one that is not there is not asked
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
        assert is_ready(server.server_port) is ready
        thread.join(5)


def test_nobody_listening_is_not_ready():
    assert is_ready(free_port()) is False
