from __future__ import annotations

import json
import os

import pytest

from monitor import bundle
from monitor.bundle import Bundles
from monitor.model import Health, Moment, Reason, Verdict
from monitor.probes.process import identify
from monitor.redact import HIDDEN, redact, redact_argv
from monitor.replica import Replica
from monitor.snapshot import Snapshot
from monitor.watch import Watch

NOW = Moment(1.0, 2.0)
HUNG = Verdict(Health.HUNG, Reason.NO_PROGRESS, "no progress for 3.0 s")


@pytest.mark.parametrize(
    "text",
    [
        "api_key=hunter2hunter2",
        'HF_TOKEN: "hunter2hunter2"',
        "--hf-token hunter2hunter2",
        "Authorization: Bearer hunter2hunter2",
        "https://me:hunter2hunter2@host/path",
        "https://host/hook?sign=hunter2hunter2&x=1",
        '{"client_secret": "hunter2hunter2"}',
        "export AWS_SECRET_ACCESS_KEY=hunter2hunter2",
        "password=hunter2hunter2; user=me",
        "sk-hunter2hunter2",
    ],
)
def test_a_secret_is_taken_out(text):
    cleaned = redact(text)

    assert "hunter2" not in cleaned
    assert HIDDEN in cleaned


@pytest.mark.parametrize(
    "text",
    [
        "loaded 12 tokens in 3 s",
        "GET /score 200",
        "max_tokens reached",
        "the key idea is to wait",
    ],
)
def test_what_is_no_secret_stays(text):
    assert redact(text) == text


def test_a_secret_after_its_option_is_taken_out():
    argv = ["vllm", "--api-key", "hunter2", "--model", "m", "--token=hunter2"]

    assert redact_argv(argv) == ["vllm", "--api-key", HIDDEN, "--model", "m", f"--token={HIDDEN}"]


@pytest.fixture
def watch():
    return Watch(Replica("replica-0", generation=3, identity=identify(os.getpid())))


def bundles(folder, **options):
    snapshot = Snapshot(at=1.0, started_at=0.0)
    return Bundles(
        folder,
        latest=lambda: snapshot,
        kernel_lines=lambda: ["NVRM: Xid (PCI:0000:04:00): 79"],
        **{"keep": 3, **options},
    )


def test_a_bundle_holds_verdict_log_kernel_lines_and_processes(tmp_path, watch):
    log = tmp_path / "logs" / "replica-0" / "3.log"
    log.parent.mkdir(parents=True)
    log.write_text("first\n" + "x" * 100_000 + "\nlast words, api_key=hunter2\n")

    bundles(tmp_path).save(7, watch, HUNG, NOW)

    folder = tmp_path / "incidents" / "7" / "generation-3"
    facts = json.loads((folder / "facts.json").read_text())
    tail = (folder / "log.txt").read_text()
    assert facts["verdict"]["reason"] == "no_progress"
    assert facts["evidence"]["process"]["alive"] is True
    assert "last words" in tail
    assert "first" not in tail
    assert "hunter2" not in tail
    assert "Xid" in (folder / "kernel.txt").read_text()
    assert json.loads((folder / "processes.json").read_text()) is not None
    assert folder.stat().st_mode & 0o077 == 0


def test_a_bundle_holds_the_stacks_where_a_tool_for_them_is_installed(tmp_path, watch, monkeypatch):
    tool = tmp_path / "bin" / "py-spy"
    tool.parent.mkdir()
    tool.write_text('#!/bin/sh\necho "Thread of $4: $*"\n')
    tool.chmod(0o755)
    monkeypatch.setattr(bundle, "_STACKS_TIMEOUT_S", 30.0)
    monkeypatch.setenv("PATH", f"{tool.parent}{os.pathsep}{os.environ['PATH']}")

    bundles(tmp_path).save(7, watch, HUNG, NOW)

    stacks = (tmp_path / "incidents" / "7" / "generation-3" / "stacks.txt").read_text()
    assert f"Thread of {os.getpid()}: dump --nonblocking --pid {os.getpid()}" in stacks


def test_only_the_newest_bundles_are_kept(tmp_path, watch):
    made = bundles(tmp_path)
    for incident in range(8, 13):
        made.save(incident, watch, HUNG, NOW)

    kept = sorted(int(path.name) for path in (tmp_path / "incidents").iterdir())
    assert kept == [10, 11, 12]


def test_a_disk_that_refuses_keeps_nobody_alive(tmp_path, watch):
    (tmp_path / "incidents").write_text("a file where the folder should be")

    bundles(tmp_path).save(1, watch, HUNG, NOW)
