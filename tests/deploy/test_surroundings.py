from __future__ import annotations

import io
import os
import pty
import signal
import subprocess
import sys
import urllib.request

import pytest

from deploy.client import Unreachable, call
from deploy.surroundings import print_in_any_locale, reach_loopback_directly
from tests.json_server import Asked, JsonServer, Said

NOBODY = "http://127.0.0.1:9"


class Echo(JsonServer):
    def answer(self, asked: Asked) -> Said:
        return Said(200, asked.body)


def test_loopback_is_reached_past_a_proxy_of_the_environment_by_every_library(monkeypatch):
    monkeypatch.setenv("http_proxy", NOBODY)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)

    with Echo() as server:
        with pytest.raises(Unreachable):
            call("POST", server.url, json={"a": 1})
        reach_loopback_directly(os.environ)

        assert call("POST", server.url, json={"a": 1}) == {"a": 1}
        with urllib.request.urlopen(server.url, data=b'{"a": 2}', timeout=5) as answer:
            assert answer.status == 200


def test_a_process_of_ours_is_never_asked_through_a_proxy_wherever_it_is_bound(monkeypatch):
    monkeypatch.setenv("http_proxy", NOBODY)

    with Echo() as server:
        assert call("POST", server.url, ours=True, json={"a": 1}) == {"a": 1}


@pytest.mark.parametrize(
    ("environ", "no_proxy"),
    [
        pytest.param({"PATH": "/bin"}, None, id="without a proxy nothing is set"),
        pytest.param({"http_proxy": ""}, None, id="an empty one is none"),
        pytest.param({"HTTPS_PROXY": "x"}, "localhost,127.0.0.1,::1", id="nothing was left out"),
        pytest.param(
            {"http_proxy": "x", "NO_PROXY": ".corp, localhost"},
            ".corp,localhost,127.0.0.1,::1",
            id="what was left out before stays so",
        ),
        pytest.param({"http_proxy": "x", "no_proxy": "*"}, "*", id="everything is direct already"),
    ],
)
def test_what_goes_past_the_proxy(environ, no_proxy):
    reach_loopback_directly(environ)

    assert environ.get("no_proxy") == no_proxy


def test_a_host_name_that_does_not_exist_is_told_as_that():
    with pytest.raises(Unreachable, match="no host of this name"):
        call("GET", "http://no-such-host.invalid:1/")


def test_a_pipe_gets_utf8_in_a_locale_that_cannot_say_it():
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")

    print_in_any_locale([stream])
    print("█ 如何", file=stream, flush=True)

    assert raw.getvalue().decode() == "█ 如何\n"


def test_a_terminal_shows_a_question_mark_for_what_it_cannot_show():
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w", encoding="latin-1") as stream:
        print_in_any_locale([stream])
        print("é█", file=stream, flush=True)

        assert os.read(ours, 100) == "é?\r\n".encode("latin-1")
    os.close(ours)


def test_ctrl_c_while_the_modules_are_loaded_is_no_traceback():
    code = (
        "import sys, types, deploy.__main__ as entry\n"
        "class Cut:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'deploy.cli': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Cut())\n"
        "entry.main()\n"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (128 + signal.SIGINT, "")


def test_the_version_is_printed():
    done = subprocess.run(
        [sys.executable, "-m", "deploy", "--version"], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip()[0].isdigit()
