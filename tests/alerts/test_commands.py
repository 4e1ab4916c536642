"""`rankguard alerts`, run as a user runs it."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from alerts.desk import SilenceRequest
from deploy.cli import app
from tests.alerts.make import Clock, alert
from tests.alerts.stand import BAD, Stand
from tests.alerts.vendor import Reply, playing


def run(folder: Path, *arguments: str) -> SimpleNamespace:
    """In this process, which saves a second for each call; one test below starts a real one."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        done = CliRunner().invoke(app, ["alerts", *arguments], catch_exceptions=False)
    finally:
        os.chdir(before)
    return SimpleNamespace(code=done.exit_code, out=done.stdout, err=done.stderr)


def configure(folder: Path, receivers: str = "") -> None:
    (folder / "rankguard.toml").write_text(
        f'[service]\nstate_dir = "{folder}"\n[alerts]\ntimezone = "UTC"\n{receivers}'
    )


def receiver(url: str, name: str = "oncall", more: str = "") -> str:
    return (
        f'[[alerts.receivers]]\nname = "{name}"\ntype = "webhook"\nurl = "{url}"\n'
        f"allow_insecure = true\n{more}\n"
    )


def test_a_test_sends_each_severity_and_closes_what_it_opened(tmp_path):
    with playing(Reply(200, b"thanks")) as vendor:
        configure(tmp_path, receiver(vendor.url()))
        done = run(tmp_path, "test", "--receiver", "oncall", "--json")
        sent = [request.json for request in vendor.got]

    results = json.loads(done.out)
    assert done.code == 0
    assert [result["message"] for result in results] == [
        "critical firing",
        "critical resolved",
        "warning firing",
        "warning resolved",
        "info firing",
        "info resolved",
    ]
    assert {result["detail"] for result in results} == {"HTTP 200 thanks"}
    assert all(body["alerts"][0]["labels"]["test"] == "true" for body in sent)


def test_a_test_that_is_not_delivered_says_what_was_answered_and_is_exit_code_1(tmp_path):
    with playing(Reply(404, b"no_team")) as vendor:
        configure(tmp_path, receiver(vendor.url("/token-1")))
        done = run(tmp_path, "test")

    assert done.code == 1
    assert "HTTP 404 no_team" in done.out
    assert "token-1" not in done.out + done.err


def test_a_test_may_not_reach_this_host_unless_the_settings_allow_it(tmp_path):
    with playing() as vendor:
        text = receiver(vendor.url().replace("http://", "https://"))
        configure(tmp_path, text.replace("allow_insecure = true", ""))
        done = run(tmp_path, "test")

        assert done.code == 1
        assert "not a public address" in done.out
        assert vendor.got == []


def test_an_unknown_receiver_is_wrong_usage(tmp_path):
    configure(tmp_path, receiver("https://x.example/"))
    done = run(tmp_path, "test", "-r", "nobody")

    assert done.code == 2
    assert "oncall" in done.err


@pytest.fixture
def stand(tmp_path):
    made = Stand(tmp_path, clock=Clock())
    made.answers["oncall"] = lambda m: BAD
    made.pipeline.accept([alert(incident=7)])
    made.run(5)
    configure(tmp_path)
    yield made
    made.pipeline.stop(1)


def test_the_outbox_shows_what_was_given_up_and_sends_it_again(stand, tmp_path):
    (entry,) = json.loads(run(tmp_path, "outbox", "--state", "failed", "--json").out)
    table = run(tmp_path, "outbox").out
    retried = run(tmp_path, "outbox", "--retry", entry["key"])
    stand.answers.clear()
    stand.run(5)

    assert entry["alert"] == "ReplicaHung"
    assert "failed" in table
    assert retried.code == 0
    assert stand.delivered() == [("firing", "ReplicaHung")]
    assert run(tmp_path, "outbox", "--retry", "nonsense").code == 1
    assert run(tmp_path, "outbox", "--state", "nonsense").code == 2


def test_each_transition_is_shown_with_what_was_decided(stand, tmp_path):
    stand.pipeline.desk.silence(SilenceRequest(["host=gpu-1"], 60, "ann", "moving"))
    stand.pipeline.accept([alert(incident=8, replica="replica-1")])
    stand.run(5)
    found = json.loads(run(tmp_path, "decisions", "--json").out)

    assert [(each["object"], each["decision"]) for each in found] == [
        ("replica-1", "opened: silenced"),
        ("replica-0", "opened"),
    ]
    assert "silenced" in run(tmp_path, "decisions").out


def test_an_incident_is_acknowledged_by_number(stand, tmp_path):
    done = run(tmp_path, "ack", "7", "--author", "ann", "-m", "on it", "--json")

    assert [each["name"] for each in json.loads(done.out)] == ["ReplicaHung"]
    (kept,) = stand.pipeline.desk.acknowledgements()
    assert (kept.author, kept.comment, kept.incident) == ("ann", "on it", 7)
    assert run(tmp_path, "ack", "99").code == 1
    assert run(tmp_path, "ack").code == 2


def test_a_silence_is_added_listed_and_ended(stand, tmp_path):
    added = run(
        tmp_path, "silence", "add", "host=gpu-1", "--for", "2h", "-m", "moving", "--author", "ann"
    )
    (listed,) = json.loads(run(tmp_path, "silence", "list", "--json").out)
    table = run(tmp_path, "silence", "list").out
    ended = run(tmp_path, "silence", "expire", listed["id"][:4])

    assert added.code == 0
    assert listed["matchers"] == ['host="gpu-1"']
    assert listed["ends_at"] - listed["starts_at"] == 7200
    assert "moving" in table
    assert ended.code == 0
    assert json.loads(run(tmp_path, "silence", "list", "--json").out) == []
    assert run(tmp_path, "silence", "expire", listed["id"]).code == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["host=gpu-1", "--for", "2h"],
        ["host=gpu-1", "--for", "soon", "-m", "x"],
        ["-m", "everything by accident"],
        ["nonsense", "-m", "x"],
    ],
    ids=["no comment", "no duration", "no matcher", "no matcher at all"],
)
def test_a_silence_that_is_a_mistake_is_wrong_usage(arguments, stand, tmp_path):
    done = run(tmp_path, "silence", "add", *arguments)

    assert done.code == 2
    assert done.err


def test_a_route_is_explained(tmp_path):
    configure(
        tmp_path,
        receiver("https://x.example/")
        + receiver("https://y.example/", "mail")
        + '[[alerts.routes]]\nseverity = ["critical"]\nreceivers = ["oncall"]\n'
        + '[[alerts.routes]]\nmatchers = ["alertname=~Gpu.*"]\nreceivers = ["mail"]\n',
    )
    steps = json.loads(
        run(tmp_path, "route", "--labels", "severity=warning,alertname=GpuThermal", "--json").out
    )
    nowhere = run(tmp_path, "route", "--labels", "severity=info")

    assert [(step["receivers"], step["fit"]) for step in steps] == [
        ("oncall", "other_severity"),
        ("mail", "matched"),
    ]
    assert steps[0]["why"] == "severity is warning, not critical"
    assert nowhere.code == 1


def test_without_a_journal_it_says_so(tmp_path):
    configure(tmp_path)
    done = run(tmp_path, "outbox")

    assert done.code == 1
    assert "no journal yet" in done.err


def test_the_command_works_as_a_process_of_its_own(tmp_path):
    configure(tmp_path)
    done = subprocess.run(
        [sys.executable, "-m", "deploy", "alerts", "silence", "--help"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    assert "expire" in done.stdout


def test_an_order_that_could_not_be_kept_is_no_success(tmp_path, monkeypatch):
    monkeypatch.setattr("alerts.database.BUSY_MS", 50)
    stand = Stand(tmp_path)
    stand.pipeline.stop(1)
    configure(tmp_path)
    other = sqlite3.connect(tmp_path / "journal.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    done = run(tmp_path, "silence", "add", "host=gpu-1", "-m", "moving the rack")

    other.close()
    assert done.code == 1
    assert "nothing was kept" in done.err


@pytest.mark.parametrize("form", [[], ["--json"]], ids=["as toml", "as json"])
def test_what_is_shown_of_the_settings_holds_no_token(form, tmp_path, monkeypatch):
    (tmp_path / "rankguard.toml").write_text(
        "[alerts.heartbeat]\n"
        'url = "https://beats.example.com/ping/token-1"\n'
        'proxy = "http://me:password-2@proxy.example:3128"\n'
        '[[alerts.receivers]]\nname = "chat"\ntype = "slack"\n'
        'url = "https://hooks.example.com/services/token-3?x=token-4"\n'
        '[[alerts.receivers]]\nname = "hook"\ntype = "webhook"\n'
        'url = "https://me:password-5@hook.example.com/x"\n'
        'headers = { Authorization = "Bearer token-6" }\n'
        '[[alerts.receivers]]\nname = "am"\ntype = "alertmanager"\n'
        'urls = ["https://me:password-7@am.example.com/prefix"]\n'
    )
    monkeypatch.chdir(tmp_path)

    shown = CliRunner().invoke(app, ["config", "show", *form], catch_exceptions=False).stdout

    assert not re.search(r"(token|password)-\d", shown)
    for part in (
        "https://hooks.example.com/***",
        "https://beats.example.com/***",
        "http://proxy.example:3128",
        "https://am.example.com/prefix",
        "Authorization",
    ):
        assert part in shown
