"""What the commands say to who types them on a host where nothing, or not everything, is there."""

from __future__ import annotations

import fcntl
import json
from http.server import BaseHTTPRequestHandler

import pytest
from typer.testing import CliRunner

from deploy.cli import app
from deploy.commands.columns import columns, console
from tests.json_server import Asked, JsonServer, Said
from tests.waiting import free_port

STATUS = {"state": "healthy", "replicas": [], "incidents": [], "rollout": None}


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs a command on an empty state directory and ports where nobody listens."""
    monkeypatch.setenv("RANKGUARD_SERVICE__STATE_DIR", str(tmp_path))
    for section in ("SERVICE", "MONITOR"):
        monkeypatch.setenv(f"RANKGUARD_{section}__PORT", str(free_port()))
    return lambda *words: CliRunner().invoke(app, words, catch_exceptions=False)


class Answering(JsonServer):
    """A watchdog or a gateway that says one thing."""

    def __init__(self, content: object) -> None:
        super().__init__()
        raw = json.dumps(content).encode()

        def get(request: BaseHTTPRequestHandler) -> None:
            request.send_response(200)
            request.send_header("Content-Length", str(len(raw)))
            request.end_headers()
            request.wfile.write(raw)

        self.server.RequestHandlerClass.do_GET = get

    def answer(self, asked: Asked) -> Said:
        return Said(404, {})


def test_incidents_before_the_first_start_are_a_sentence(run):
    done = run("incidents")

    assert done.exit_code == 1
    assert "no watchdog ran here yet" in done.stderr


def test_a_file_that_cannot_be_read_is_named_once_and_in_words(run, tmp_path):
    done = run("rerank", "query", "--file", str(tmp_path / "none"))

    assert done.exit_code == 2
    assert done.stderr == f"{tmp_path}/none: cannot be read: No such file or directory\n"


def test_stop_says_when_a_watchdog_would_start_new_replicas(run, tmp_path):
    assert run("stop").stderr == ""

    with (tmp_path / "watchdog.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        assert "stop it first" in run("stop").stderr


def test_up_on_a_disk_that_takes_no_lock_is_a_sentence_and_exit_code_2(run, tmp_path):
    (tmp_path / "up.lock").mkdir()

    done = run("up")

    assert done.exit_code == 2
    assert "up.lock cannot be written: Is a directory" in done.stderr


def test_config_check_tells_of_a_variable_that_is_not_read(run, monkeypatch):
    monkeypatch.setenv("RANKGUARD_SERVICE_PORT", "8080")

    done = run("config", "check")

    assert done.exit_code == 0
    assert "RANKGUARD_SERVICE__PORT" in done.stderr


def test_the_help_names_sections_in_brackets(run):
    assert "[fleet] hosts" in run("status", "--help").stdout


def test_a_gateway_that_does_not_answer_is_not_called_healthy(run, monkeypatch):
    with Answering(STATUS) as watchdog:
        monkeypatch.setenv("RANKGUARD_MONITOR__PORT", str(watchdog.server.server_port))
        alone = run("status")

        with Answering({}) as gateway:
            monkeypatch.setenv("RANKGUARD_SERVICE__PORT", str(gateway.server.server_port))
            whole = run("status")
            as_json = run("status", "--json")

        monkeypatch.setenv("RANKGUARD_MONITOR__ACTUATOR", "observe")
        observing = run("status")

    assert (alone.exit_code, whole.exit_code, observing.exit_code) == (1, 0, 0)
    assert "the gateway does not answer" in alone.stdout
    assert json.loads(as_json.stdout)["gateway_silent"] is None


def test_a_row_in_a_pipe_is_one_line(capsys, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    table = columns(("name", "why"))
    table.add_row("a" * 60, "b " * 60)

    console().print(table)

    assert len(capsys.readouterr().out.splitlines()) == 2


def test_a_row_on_a_narrow_terminal_is_folded_and_keeps_every_letter(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    table = columns(("name",))
    table.add_row("a" * 60)

    console().print(table)

    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 40
    assert sum(line.count("a") for line in lines[1:]) == 60
