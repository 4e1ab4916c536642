"""`rankguard bench start` with a real worker process; the engine is the scripted one."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from deploy.bench import starts

pytestmark = pytest.mark.e2e


def bench_start(tmp_path, *arguments, load_s=0.3):
    config = tmp_path / "rankguard.toml"
    config.write_text(
        f'[service]\nstate_dir = "{tmp_path}/state"\n'
        f'[engine]\nkind = "scripted"\n[engine.scripted]\nload_s = {load_s}\n'
    )
    return subprocess.run(
        [sys.executable, "-m", "deploy", "bench", "start", "--config", str(config), *arguments],
        capture_output=True,
        text=True,
        timeout=100,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        check=False,
    )


def test_it_starts_cold_once_and_then_warm_and_leaves_nothing(tmp_path):
    done = bench_start(tmp_path, "--warm", "1", "--json", "-o", str(tmp_path / "out"))

    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["rows"]
    assert [row["kind"] for row in rows] == ["cold", "warm"]
    assert all(row["first_answer_s"] >= row["ready_s"] >= 0.3 for row in rows)
    assert json.loads((tmp_path / "out" / "start.json").read_text())["rows"] == rows
    assert not list(tmp_path.glob("rankguard-trial-*"))
    assert not (tmp_path / "state" / "replicas").exists()


def test_an_engine_that_does_not_start_is_a_sentence_and_exit_code_1(tmp_path):
    config = tmp_path / "rankguard.toml"
    config.write_text(f'[engine]\nkind = "vllm"\nmodel = "{tmp_path}/nothing"\n')

    done = subprocess.run(
        [sys.executable, "-m", "deploy", "bench", "start", "--config", str(config), "--warm", "0"],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )

    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.strip()


def test_pages_are_forgotten_without_touching_the_files(tmp_path):
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(b"x" * 8192)

    starts.forget_pages(tmp_path)

    assert weights.read_bytes() == b"x" * 8192
