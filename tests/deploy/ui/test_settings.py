from __future__ import annotations

import subprocess
import sys

import pytest

from deploy.config import ConfigError, load, show
from deploy.ui.app import gateway_url, public_url
from deploy.ui.desk import as_visited


def test_by_default_it_is_on_loopback_and_starts_when_installed():
    ui = load(None, {}).ui

    assert (ui.enabled, ui.host, ui.port) == ("auto", "127.0.0.1", 7860)


@pytest.mark.parametrize(
    ("environ", "problem"),
    [
        pytest.param({"RANKGUARD_UI__HOST": "0.0.0.0"}, "auth_file", id="an open port"),
        pytest.param({"RANKGUARD_UI__HOST": "10.0.0.1"}, "auth_file", id="an outside address"),
        pytest.param({"RANKGUARD_UI__PORT": "8000"}, "same as", id="the gateway's port"),
        pytest.param({"RANKGUARD_UI__ENABLED": "maybe"}, "enabled", id="neither yes nor no"),
    ],
)
def test_what_cannot_be_is_refused(environ, problem):
    with pytest.raises(ConfigError, match=rf"\[ui.*{problem}"):
        load(None, environ)


@pytest.mark.parametrize(
    "environ",
    [
        pytest.param(
            {"RANKGUARD_UI__HOST": "0.0.0.0", "RANKGUARD_UI__AUTH_FILE": "keys"}, id="with keys"
        ),
        pytest.param(
            {"RANKGUARD_UI__HOST": "0.0.0.0", "RANKGUARD_UI__ENABLED": "false"}, id="turned off"
        ),
    ],
)
def test_an_open_port_is_fine(environ):
    assert load(None, environ).ui.host == "0.0.0.0"


def test_config_show_explains_the_section():
    text = show(load(None, {"RANKGUARD_UI__ENABLED": "false"}))

    assert "[ui]\n# whether `up` starts it" in text
    assert "enabled = false" in text


@pytest.mark.parametrize(
    ("environ", "inside", "outside"),
    [
        ({}, "http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ({"HOST": "0.0.0.0"}, "http://127.0.0.1:8000", "http://0.0.0.0:8000"),
        ({"HOST": "10.0.0.1"}, "http://10.0.0.1:8000", "http://10.0.0.1:8000"),
        ({"HOST": "::1", "PORT": "1"}, "http://[::1]:1", "http://[::1]:1"),
    ],
    ids=["default", "everywhere", "an address", "IPv6"],
)
def test_it_finds_the_gateway_of_this_host(environ, inside, outside):
    given = {f"RANKGUARD_SERVICE__{name}": value for name, value in environ.items()}
    config = load(None, {**given, "RANKGUARD_SERVICE__API_KEYS_FILE": "keys"})

    assert (gateway_url(config), public_url(config)) == (inside, outside)


def test_or_the_one_that_is_named():
    config = load(None, {"RANKGUARD_UI__GATEWAY_URL": "http://rerank.example"})

    assert gateway_url(config) == public_url(config) == "http://rerank.example"


@pytest.mark.parametrize(
    ("url", "host", "wanted"),
    [
        ("http://127.0.0.1:8000", "localhost:7860", "http://127.0.0.1:8000"),
        ("http://0.0.0.0:8000", "gpu-1:7860", "http://gpu-1:8000"),
        ("http://[::]:8000", "[fe80::1]:7860", "http://[fe80::1]:8000"),
        ("http://0.0.0.0:8000", "", "http://0.0.0.0:8000"),
    ],
)
def test_the_snippets_name_the_host_as_the_visitor_does(url, host, wanted):
    assert as_visited(url, host) == wanted


def ui(**environ):
    return subprocess.run(
        [sys.executable, "-m", "deploy", "ui"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**{f"RANKGUARD_UI__{k}": str(v) for k, v in environ.items()}, "PATH": "/usr/bin"},
    )


def test_a_bind_beyond_loopback_without_auth_ends_with_exit_code_2():
    done = ui(HOST="0.0.0.0")

    assert done.returncode == 2
    assert "auth_file" in done.stderr


def test_an_unusable_key_file_ends_with_exit_code_2_and_shows_no_key(tmp_path):
    file = tmp_path / "key"
    file.write_text("not one key")

    done = ui(API_KEY_FILE=file, PORT=0)

    assert done.returncode == 2
    assert "does not hold one API key" in done.stderr
    assert "not one key" not in done.stderr
